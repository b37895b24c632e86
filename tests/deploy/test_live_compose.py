"""The operator's walk of docs/operations.md, command by command, in real containers; then an alert through all of them.

Rules and scrapes are made quicker, in a copy of the project; everything else is as shipped.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from chainzrule import __version__
from tests.deploy.containers import Engine, engine, size
from tests.deploy.monitoring import FACTOR, Prometheus, await_that, quicker
from tests.deploy.traffic import digits, noisy, tables, traffic
from tests.processes import ROOT, free_port

pytestmark = pytest.mark.deploy

COPIED = ("deploy", "chainzrule", "service", "models")
COPIED += ("Dockerfile", ".dockerignore", "pyproject.toml", "constraints.txt", "requirements", "LICENSE")
PORTS = {"SERVICE_PORT": 8000, "PROMETHEUS_PORT": 9090, "ALERTMANAGER_PORT": 9093, "GRAFANA_PORT": 3000}
REPLICA = "label=chainzrule.replica"
LABEL = "label=com.docker.compose.project=deploy"
# Prints each notification that it is sent on a line.
WEBHOOK = """
import http.server
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("", 8080), Receiver).serve_forever()
"""


class Walk:
    """An operator in a copy of the project, with the engine of this machine."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.ports = {name: free_port() for name in PORTS}
        settings = {name: str(port) for name, port in self.ports.items()}
        settings["HOME"] = str(folder)
        if not engine.stand_ins:  # Docker's own settings and plugins stay where they are
            settings["DOCKER_CONFIG"] = os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker"))
        self.engine.environment.update(settings)
        self.text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
        for name, port in PORTS.items():
            self.text = self.text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{self.ports[name]}")
        self._copy()

    def run(self, command: str) -> str:
        return self.engine.run(command, self.folder)

    def section(self, title: str) -> str:
        """Run a section's commands as they are written; what the last one prints."""
        text = re.split(r"^## ", self.text.split(f"\n## {title}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
        blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        commands = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
        assert commands, title
        return [self.run(command) for command in commands][-1]

    def give_receivers_an_address(self) -> None:
        path = self.folder / "deploy/alertmanager/alertmanager.yml"
        routes: dict[str, Any] = yaml.safe_load(quicker(path.read_text(encoding="utf-8")))
        for receiver in routes["receivers"]:
            receiver["webhook_configs"] = [{"url": "http://webhook:8080/"}]
        path.write_text(json.dumps(routes))

    def notified(self) -> set[tuple[str, str, str]]:
        """What the webhook was told: (status, alert, model)."""
        found = set()
        for line in self.run("docker logs webhook").splitlines():
            for alert in json.loads(line)["alerts"] if line.startswith("{") else ():
                found.add((alert["status"], alert["labels"]["alertname"], alert["labels"].get("model", "")))
        return found

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.ports['SERVICE_PORT']}"

    @property
    def prometheus(self) -> Prometheus:
        return Prometheus(f"http://127.0.0.1:{self.ports['PROMETHEUS_PORT']}", self.folder)

    def _copy(self) -> None:
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.folder / name, symlinks=True)
            else:
                shutil.copy(source, self.folder / name)
        for path in (self.folder / "deploy/prometheus/rules").glob("*.yml"):
            path.write_text(quicker(path.read_text(encoding="utf-8")))
        scraping = self.folder / "deploy/prometheus/prometheus.yml"
        scraping.write_text(re.sub(r"_interval: 15s", "_interval: 1s", re.sub("10s", "1s", scraping.read_text())))
        (self.folder / "webhook.py").write_text(WEBHOOK)
        if self.engine.stand_ins:  # of Grafana there is none
            compose = self.folder / "deploy/compose.yaml"
            content = yaml.safe_load(compose.read_text(encoding="utf-8"))
            del content["services"]["grafana"]
            compose.write_text(yaml.safe_dump(content))


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    found = Walk(engine(), tmp_path_factory.mktemp("walk"))
    running = f"docker ps --all --quiet --filter {LABEL}"
    assert not found.run(running), "containers of this project run already; end them: docker compose down"
    try:
        yield found
    finally:
        found.run(f"docker rm --force webhook stranger $({running}) || true")
        found.run("docker compose -f deploy/compose.yaml down --volumes --remove-orphans || true")


def answer(printed: str) -> float:
    """The value of a query to Prometheus."""
    [found] = json.loads(printed)["data"]["result"]
    return float(found["value"][1])


def test_start(walk: Walk) -> None:
    assert answer(walk.section("Start")) == 1


def test_the_image_holds_what_serving_needs_and_nothing_more(walk: Walk) -> None:
    asked = """
import importlib.util, os, pathlib, shutil, sys
sys.path.insert(0, "/app")
unwanted = ("torch", "onnx", "chainzrule.training", "pip", "setuptools")
modules = [name for name in unwanted if importlib.util.find_spec(name)]
programs = [name for name in ("cc", "gcc", "c++", "ld", "make") if shutil.which(name)]
packages = "/opt/venv/lib/python3.11/site-packages"
folders = ("/var/lib/apt/lists", "/var/cache/apt/archives", "/root/.cache", f"{packages}/pip")
caches = [file for path in folders for file in pathlib.Path(path).rglob("*") if file.is_file() and file.stat().st_size]
print(modules, programs, caches, os.getuid())
"""
    (walk.folder / "asked.py").write_text(asked)
    mounted = f"--volume {walk.folder}/asked.py:/asked.py:ro --entrypoint python"
    assert walk.run(f"docker run --rm --read-only --user 0 {mounted} chainzrule:local /asked.py") == "[] [] [] 0\n"
    command = "docker run --rm --read-only --entrypoint python chainzrule:local -m chainzrule"
    assert walk.run(f"{command} --version") == f"chainzrule {__version__}\n"
    assert walk.run(f"{command} models --models /models").count(" yes\n") == len(list((ROOT / "models").iterdir()))
    [stated] = re.findall(r"adds (\d+) MB to its base image", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert size(walk.engine, "chainzrule:local") / 1e6 == pytest.approx(int(stated), rel=0.05)


def test_replicas_are_confined(walk: Walk) -> None:
    running = walk.run(f"docker ps --quiet --filter {LABEL} --filter {REPLICA}")
    replica = running.split()[0]
    status = walk.run(f"docker exec {replica} cat /proc/1/status")
    assert re.search(r"^Uid:\t10001\t", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\t0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    for path in ("/here", "/models/here", "/app/here"):
        walk.run(f"! docker exec --user 0 {replica} touch {path}")
    limits = json.loads(walk.run(f"docker inspect {replica}"))[0]["HostConfig"]
    assert (limits["Memory"], limits["NanoCpus"], limits["PidsLimit"]) == (2**30, 10**9, 512)


def test_the_health_checks_pass(walk: Walk) -> None:
    running = f"docker ps --quiet --filter {LABEL}"
    if walk.engine.stand_ins:  # Podman has no timer for them here
        for container in walk.run(running).split():
            walk.run(f"podman healthcheck run {container}")
    else:
        asked = f"docker inspect --format '{{{{.State.Health.Status}}}}' $({running})"
        await_that(lambda: set(walk.run(asked).split()) == {"healthy"}, 90, "all are healthy")


def test_grafana_shows_the_dashboards_to_anyone(walk: Walk) -> None:
    if walk.engine.stand_ins:
        pytest.skip("there is no Grafana that could be had without a registry: Docker's is tested where Docker runs")
    found = httpx.get(f"http://127.0.0.1:{walk.ports['GRAFANA_PORT']}/api/search?type=dash-db", timeout=10).json()
    assert {one["uid"] for one in found} == {"chainzrule-stability", "chainzrule-operations"}


def test_more_replicas(walk: Walk) -> None:
    assert answer(walk.section("More replicas")) == 2


def test_a_rolling_restart_under_load_loses_no_request(walk: Walk) -> None:
    before = walk.prometheus.value('sum(chainzrule_model_loaded_timestamp_seconds{model="digits"})') or 0
    # Somebody else's container, of another compose file with a service of this name.
    theirs = "--label com.docker.compose.service=service python:3.11-slim sleep 600"
    walk.run(f"docker run --detach --name stranger {theirs}")
    try:
        begun = walk.run("docker inspect --format '{{.State.StartedAt}}' stranger")
        with traffic([walk.address], tables(), batch=4, pause=0.02, senders=4) as sent:
            walk.section("Restart without losing a request")
        assert set(sent.codes) == {200}, sent.refused
        assert sent.codes[200] > 500
        assert walk.run("docker inspect --format '{{.State.StartedAt}}' stranger") == begun
    finally:
        walk.run("docker rm --force --time 0 stranger || docker rm --force stranger")
    loaded = 'sum(chainzrule_model_loaded_timestamp_seconds{model="digits"})'
    await_that(lambda: (walk.prometheus.value(loaded) or 0) > before + 10, 30, "both replicas are new")


def test_noise_raises_the_alert_through_all_of_it(walk: Walk) -> None:
    mount = f"--volume {walk.folder}/webhook.py:/webhook.py:ro"
    walk.run(
        f"docker run --detach --name webhook --network deploy_default {mount} python:3.11-slim python3 /webhook.py"
    )
    walk.give_receivers_an_address()
    walk.section("Be told")
    running = walk.run(f"docker inspect $(docker ps --quiet --filter {LABEL})")
    mounted = {mount["Source"] for container in json.loads(running) for mount in container["Mounts"]}
    assert f"{walk.folder}/alerts" in mounted, "Alertmanager is another, with the folder that was named"
    assert len(walk.run(f"docker ps --quiet --filter {LABEL} --filter {REPLICA}").split()) == 2, "replicas go on"
    alert = ("ChainzRuleVolatilityAboveReference", "digits")
    clean = digits().tolist()
    span = 2 * 600 / FACTOR + 5
    with traffic([walk.address], {**tables(), "digits": clean}, batch=20, pause=0.1) as sent:
        count = 'model_version:chainzrule_predictions:increase10m{model="digits"}'
        await_that(lambda: (walk.prometheus.value(count) or 0) > 1000, 60, "there is traffic")
        assert alert not in walk.prometheus.alerts()
        sent.rows["digits"] = noisy(digits(), sigma=80.0).tolist()
        await_that(lambda: ("firing", *alert) in walk.notified(), 3 * span, "the webhook is told")
        sent.rows["digits"] = clean
        await_that(lambda: ("resolved", *alert) in walk.notified(), 4 * span, "the webhook is told that it is over")
    assert set(sent.codes) == {200}, sent.refused


def test_a_published_version_is_served_without_a_restart(walk: Walk) -> None:
    # A version number that is taken on purpose by a folder that is no artifact: it fails, the older one goes on.
    (walk.folder / "models/diabetes/2").mkdir()
    (walk.folder / "models/diabetes/2/card.json").write_text("{}")
    failed = 'count(chainzrule_model_state{model="diabetes", version="2", state="FAILED"} == 1)'
    await_that(lambda: walk.prometheus.value(failed) == 2, 30, "both replicas refuse it")
    assert httpx.get(f"{walk.address}/readyz", timeout=10).status_code == 200
    shutil.rmtree(walk.folder / "models/diabetes/2")


def test_stop(walk: Walk) -> None:
    walk.run("docker rm --force webhook")
    walk.section("Stop")
    if walk.engine.stand_ins:  # podman-compose forgets replicas beyond the first
        walk.run(f"docker ps --all --quiet --filter {LABEL} | xargs --no-run-if-empty docker rm --force")
    assert walk.run(f"docker ps --all --quiet --filter {LABEL}") == ""
    walk.run("! deploy/rolling-restart")  # there is nothing left that it could restart
