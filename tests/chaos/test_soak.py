"""Requests without end while versions come and go: every one is answered, and nothing grows."""

import itertools
import json
import re
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.artifacts import CLASSIFIER
from tests.chaos.abuse import get, post
from tests.chaos.memory import Resident
from tests.chaos.wire import Wire
from tests.processes import service

pytestmark = pytest.mark.chaos

CLIENTS = 4
KEPT = 3  # versions in the repository
GROWTH = 1.05  # of memory, from a third of the requests on
TOYS = (CLASSIFIER, replace(CLASSIFIER, seed=5))
ROWS = [[float(number % 7), -1.0] for number in range(64)]
TENSOR = {"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}
REQUESTS = [
    *([post(b'{"model":"toy","instances":[[1.0,2.0]]}')] * 6),
    post(json.dumps({"model": "toy", "instances": ROWS}).encode()),
    post(json.dumps({"instances": ROWS[:2], "model": "toy", "include": ["jacobian"]}).encode(), path="/sensitivity"),
    post(json.dumps({"inputs": [TENSOR]}).encode(), path="/v2/models/toy/infer"),
    get("/models/toy"),
]
SCRAPE_AFTER = 500


class Client:
    """Sends its share of the requests, one after the other."""

    def __init__(self, port: int, count: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self._port = port
        self._count = count

    def run(self) -> None:
        """Until all are sent."""
        with Wire(self._port) as wire:
            for number in range(self._count):
                request = REQUESTS[number % len(REQUESTS)] if number % SCRAPE_AFTER else get("/metrics")
                try:
                    answer = wire.ask(request)
                    self.outcomes[str(answer.status)] += 1
                except OSError as error:
                    self.outcomes[f"{type(error).__name__}: {error}"] += 1


class Repository:
    """Publishes a version after the other and removes the oldest, as often as it is asked to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "models"
        self._staging = folder / "staging"
        self._numbers = itertools.count(1)
        self.published = 0
        self.log: Path | None = None  # of the service that follows

    def change(self) -> None:
        """One more version appears at once; one too many is removed file by file."""
        number = next(self._numbers)
        written = TOYS[number % 2].write(self._staging, str(number))
        (self.folder / "toy").mkdir(parents=True, exist_ok=True)
        written.rename(self.folder / "toy" / str(number))
        self.published = number
        if number > KEPT:
            shutil.rmtree(self.folder / "toy" / str(number - KEPT))

    def change_until(self, over: threading.Event, seconds: float) -> None:
        """A change every so many seconds, but none that takes away what is served before there is anything newer."""
        while not over.wait(seconds):
            if self.published <= self._newest_ready() + KEPT - 2:
                self.change()

    def _newest_ready(self) -> int:
        log = self.log.read_text() if self.log is not None and self.log.exists() else ""
        ready = re.findall(r'"model version ready", "model": "toy", "version": "(\d+)"', log)
        return int(ready[-1]) if ready else 0


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    """A repository that changes four times a second."""
    changing = Repository(tmp_path)
    changing.change()
    over = threading.Event()
    thread = threading.Thread(target=changing.change_until, args=(over, 0.25), daemon=True)
    thread.start()
    yield changing
    over.set()
    thread.join(10)


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_reloads_cost_no_request_and_no_memory(count: int, repository: Repository, tmp_path: Path) -> None:
    log = repository.log = tmp_path / "log"
    with service(repository.folder, "--reload-seconds", "0.2", log=log) as (address, process):
        port = int(address.rpartition(":")[2])
        resident = Resident(process.pid)
        memory, outcomes = [resident.now()], Counter[str]()
        rounds = 12
        for _ in range(rounds):
            clients = [Client(port, count // rounds // CLIENTS) for _ in range(CLIENTS)]
            threads = [threading.Thread(target=client.run, daemon=True) for client in clients]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for client in clients:
                outcomes += client.outcomes
            memory.append(resident.now())
            assert process.poll() is None
        with Wire(port) as wire:
            scrape = wire.ask(get("/metrics")).content
    loaded = log.read_text().count('"model version ready"')
    print(f"\n{dict(outcomes)}; {repository.published} versions published, {loaded} loaded")
    print(f"memory in MB: {[round(one) for one in memory]}; the last scrape had {len(scrape)} bytes")
    assert outcomes.keys() == {"200"}
    assert loaded > KEPT, "too few versions were loaded: nothing is shown"
    assert max(memory[-3:]) <= GROWTH * max(memory[3:6])
    assert "Traceback" not in log.read_text()
