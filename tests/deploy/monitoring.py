"""A real Prometheus and a real Alertmanager on loopback, with the shipped configuration made quicker."""

import contextlib
import json
import re
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.processes import ROOT, free_port

DEPLOY = ROOT / "deploy"
RULES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
SECONDS = {"s": 1, "m": 60, "h": 3600}
FACTOR = 60  # ten minutes of the shipped rules are ten seconds here


def tool(*names: str) -> str:
    """The first of these programs that is installed; skips the test where none is."""
    for name in names:
        if found := shutil.which(name):
            return found
    pytest.skip(f"{names[0]} is not installed (Debian: apt-get install prometheus prometheus-alertmanager)")


def quicker(text: str) -> str:
    """Rules or routes with every duration divided by `FACTOR`."""

    def shorter(found: re.Match[str]) -> str:
        seconds = int(found[2]) * SECONDS[found[3]] / FACTOR
        return f"{found[1]}{max(round(seconds), 1)}s"

    return re.sub(r"(\[|\b(?:for|group_wait|group_interval|repeat_interval): )(\d+)([smh])\b", shorter, text)


@dataclass
class Told:
    """What a webhook was told: how often each alert began and ended, by (status, alert, model)."""

    seen: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    receivers: set[str] = field(default_factory=set)

    def names(self, status: str) -> set[str]:
        """Alerts of this status."""
        return {alert for found, alert, _ in self.seen if found == status}


@contextlib.contextmanager
def webhook() -> Iterator[tuple[str, Told]]:
    """A receiver of Alertmanager's notifications: its address, and what it was told so far."""
    told = Told()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.receivers.add(content["receiver"])
            for alert in content["alerts"]:
                labels = alert["labels"]
                told.seen[alert["status"], labels["alertname"], labels.get("model", "")] += 1
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", told
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


@contextlib.contextmanager
def alertmanager(folder: Path, receiver: str) -> Iterator[str]:
    """The address of an Alertmanager that routes as shipped, to this webhook."""
    port = free_port()
    config = yaml.safe_load(quicker((DEPLOY / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8")))
    for one in config["receivers"]:
        one["webhook_configs"] = [{"url": receiver, "send_resolved": True}]
    (folder / "alertmanager.yml").write_text(json.dumps(config))
    command = [
        tool("prometheus-alertmanager", "alertmanager"),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with _running(command, folder / "alertmanager.log", f"http://127.0.0.1:{port}") as address:
        yield address


class Prometheus:
    """Asks a running Prometheus, and tells it what to scrape."""

    def __init__(self, address: str, targets: Path) -> None:
        self.address = address
        self._targets = targets

    def scrape(self, addresses: list[str]) -> None:
        """From now on these and no others, as when replicas come and go behind a name."""
        new = self._targets.with_suffix(".new")
        new.write_text(json.dumps([{"targets": [address.removeprefix("http://") for address in addresses]}]))
        new.replace(self._targets)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector that an expression gives now."""
        answer = httpx.get(f"{self.address}/api/v1/query", params={"query": expression}, timeout=30).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def value(self, expression: str) -> float | None:
        """Its first value; None where there is none."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None

    def alerts(self, state: str = "firing") -> set[tuple[str, str]]:
        """The alerts in a state, by (name, model)."""
        answer = httpx.get(f"{self.address}/api/v1/alerts", timeout=30).json()
        found = [alert["labels"] for alert in answer["data"]["alerts"] if alert["state"] == state]
        return {(labels["alertname"], labels.get("model", "")) for labels in found}


@contextlib.contextmanager
def prometheus(folder: Path, addresses: list[str], alerts_to: str) -> Iterator[Prometheus]:
    """A Prometheus with the shipped job and rules, that scrapes these addresses every second."""
    port = free_port()
    (folder / "rules").mkdir()
    for path in RULES:
        (folder / "rules" / path.name).write_text(quicker(path.read_text(encoding="utf-8")))
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alerts_to.removeprefix("http://")]}]}]
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    del jobs["chainzrule"]["dns_sd_configs"]  # there is no name server on loopback
    jobs["chainzrule"]["file_sd_configs"] = [{"files": [str(folder / "targets.json")], "refresh_interval": "1s"}]
    config["scrape_configs"] = [jobs["chainzrule"]]
    (folder / "prometheus.yml").write_text(json.dumps(config))
    command = [
        tool("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    asked = Prometheus(f"http://127.0.0.1:{port}", folder / "targets.json")
    asked.scrape(addresses)
    with _running(command, folder / "prometheus.log", asked.address):
        yield asked


@contextlib.contextmanager
def _running(command: list[str], log: Path, address: str) -> Iterator[str]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        await_that(lambda: _answers(f"{address}/-/ready") or process.poll() is not None, 30, f"{command[0]} starts")
        assert process.poll() is None, log.read_text(encoding="utf-8")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url, timeout=5).status_code == 200
    return False


def await_that(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)
