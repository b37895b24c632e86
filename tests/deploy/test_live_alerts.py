"""Live services under real traffic, watched by a real Prometheus that alerts through a real Alertmanager to a webhook.

The rules are the shipped ones with every duration divided by sixty.
"""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.deploy.monitoring import FACTOR, Prometheus, alertmanager, await_that, prometheus, webhook
from tests.deploy.test_dashboards import DASHBOARDS, expressions
from tests.deploy.traffic import Traffic, digits, noisy, tables, traffic
from tests.processes import ROOT, service

pytestmark = pytest.mark.deploy

# A window that forgets within half a minute of this traffic.
FLAGS = ("--window-rows", "2000", "--drain-grace", "0.2")
MODELS = ("breast-cancer", "diabetes", "digits")
# Ten minutes of rows, ten minutes of patience, and what scraping and notifying take.
WHILE = 2 * 600 / FACTOR + 5


class Watched:
    """Live replicas, the traffic to them, and what watches them."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        receiver, self.told = stack.enter_context(webhook())
        alerts_to = stack.enter_context(alertmanager(folder, receiver))
        self.replicas = dict(self._start() for _ in range(2))
        for address in self.addresses:
            assert httpx.post(f"{address}/predict", json={}).status_code == 422  # so that there are refusals to show
        self.prometheus: Prometheus = stack.enter_context(prometheus(folder, self.addresses, alerts_to))
        self.clean = digits().tolist()
        self.noisy = noisy(digits(), sigma=80.0).tolist()
        self.traffic: Traffic = stack.enter_context(traffic(self.addresses, {**tables(), "digits": self.clean}))

    @property
    def addresses(self) -> list[str]:
        return list(self.replicas)

    def add(self) -> None:
        """One replica more."""
        address, process = self._start()
        self.replicas[address] = process
        self._changed()

    def restart(self, address: str) -> None:
        """One replica stops, and another process takes its place."""
        process = self.replicas.pop(address)
        self._changed()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        _, self.replicas[address] = self._start(int(address.rsplit(":", 1)[1]))
        self._changed()

    def _start(self, port: int | None = None) -> tuple[str, "subprocess.Popen[bytes]"]:
        return self._stack.enter_context(service(ROOT / "models", *FLAGS, port=port))

    def _changed(self) -> None:
        self.traffic.addresses = self.addresses
        self.prometheus.scrape(self.addresses)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with ExitStack() as stack:
        found = Watched(stack, tmp_path_factory.mktemp("monitoring"))
        ratios = "count by (model) (chainzrule_gradient_tail_ratio)"
        await_that(lambda: len(found.prometheus.query(ratios)) == len(MODELS), 120, "the windows fill")
        time.sleep(WHILE)
        found.told.seen.clear()  # until Prometheus had found the replicas there were none, it said so
        yield found


def raised(watched: Watched) -> set[tuple[str, str]]:
    """What fires, but for latency: the machine that runs the tests may have other things to do."""
    return {found for found in watched.prometheus.alerts() if not found[0].startswith("ChainzRuleErrorBudgetBurn")}


def test_stable_traffic_raises_nothing(watched: Watched) -> None:
    assert raised(watched) == set()
    for model in MODELS:
        mean = watched.prometheus.value(
            f'model_version:chainzrule_prediction_volatility_relative:mean10m{{model="{model}"}}'
        )
        assert mean == pytest.approx(1.0, abs=0.45), model
        drift = watched.prometheus.value(
            f'model_version:chainzrule_gradient_tail_ratio:reference_ratio{{model="{model}"}}'
        )
        assert drift == pytest.approx(1.0, abs=0.15), model


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_shows_data(watched: Watched, path: Path) -> None:
    empty = [
        expression for expression in expressions(path, scaled_down=FACTOR) if not watched.prometheus.query(expression)
    ]
    assert empty == []


def test_restarts_and_scale_ups_raise_nothing(watched: Watched) -> None:
    begin = time.monotonic()
    watched.add()
    for address in watched.addresses[:2]:
        watched.restart(address)
    up = 'count(up{job="chainzrule"} == 1)'
    await_that(lambda: watched.prometheus.value(up) == 3, 30, "all replicas are scraped")
    time.sleep(WHILE)
    since = f"[{int(time.monotonic() - begin)}s]"
    assert watched.prometheus.query(f'max_over_time(ALERTS{{alertstate="firing", alertname!~".*Burn.*"}}{since})') == []
    assert not {name for name in watched.told.names("firing") if "Burn" not in name}


def test_noise_raises_the_alert_and_its_end_clears_it(watched: Watched) -> None:
    expected = ("ChainzRuleVolatilityAboveReference", "digits")
    watched.traffic.rows["digits"] = watched.noisy
    await_that(lambda: expected in raised(watched), 2 * WHILE, "the alert fires")
    await_that(lambda: watched.told.seen["firing", *expected] > 0, 30, "the webhook is told")
    assert "on-call" in watched.told.receivers
    assert {model for _, model in raised(watched)} == {"digits"}, "noise on one model says nothing of the others"
    watched.traffic.rows["digits"] = watched.clean
    await_that(lambda: not raised(watched), 4 * WHILE, "the alert clears")
    await_that(lambda: watched.told.seen["resolved", *expected] > 0, 30, "the webhook is told that it is over")
