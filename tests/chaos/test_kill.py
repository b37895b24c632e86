"""Processes that are killed under load: alone, a service loses what was in flight; behind the proxy nothing is lost."""

import contextlib
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.artifacts import CLASSIFIER
from tests.chaos.abuse import post
from tests.chaos.wire import Answer, Wire
from tests.deploy.haproxy import haproxy
from tests.processes import free_port, service

pytestmark = pytest.mark.chaos

CLIENTS = 8
KILLS = 2
REQUEST = post(b'{"model":"toy","instances":[[1.0,2.0]]}')
# The proxy asks each replica once a second, and takes it in at the first good answer.
TAKEN_IN = 3.0  # seconds
IN_FLIGHT = 1.0  # seconds that a request may have been on its way when the process was killed


@dataclass
class Load:
    """Clients that ask without pause, and connect again where a connection ends or is refused.

    Attributes:
        outcomes: how often what became of a request.
        contents: the different answers.
        lost: when those requests were sent whose answer never came.
    """

    port: int
    outcomes: Counter[str] = field(default_factory=Counter)
    contents: set[bytes] = field(default_factory=set)
    lost: list[float] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def client(self) -> None:
        """Until told to stop."""
        with Wire(self.port) as wire:
            while not self.over.is_set():
                begin = time.monotonic()
                try:
                    self._note(wire.ask(REQUEST))
                except ConnectionRefusedError:  # it was never sent
                    self.outcomes["refused"] += 1
                    time.sleep(0.01)
                except OSError:
                    self.outcomes["lost"] += 1
                    self.lost.append(begin)

    def _note(self, answer: Answer) -> None:
        self.outcomes[str(answer.status)] += 1
        if answer.status == 200:
            self.contents.add(answer.content)

    def await_answers(self, more: int) -> None:
        """Wait until so many more requests are answered."""
        wanted = self.outcomes["200"] + more
        _await(lambda: self.outcomes["200"] >= wanted)


@contextlib.contextmanager
def load(port: int) -> Iterator[Load]:
    """Load while the block runs."""
    running = Load(port)
    threads = [threading.Thread(target=running.client, daemon=True) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield running
    finally:
        running.over.set()
        for thread in threads:
            thread.join(30)


def _await(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    CLASSIFIER.publish(root)
    return root


def test_a_killed_service_loses_what_was_in_flight_and_nothing_else(models: Path) -> None:
    port = free_port()
    deaths = []
    with load(port) as asked:
        for _ in range(KILLS):
            with service(models, port=port) as (_, process):
                asked.await_answers(500)
                process.send_signal(signal.SIGKILL)
                begin = time.monotonic()
                process.wait(10)
                deaths.append((begin - IN_FLIGHT, time.monotonic()))
    print(f"\n{dict(asked.outcomes)}")
    assert asked.outcomes.keys() <= {"200", "refused", "503", "lost"}  # 503 until its models are loaded
    assert [at for at in asked.lost if not any(begin <= at <= end for begin, end in deaths)] == []
    assert len(asked.contents) == 1, "not every answer was whole, or a start changed the answers"


def test_behind_the_proxy_nothing_is_lost(models: Path, tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    with contextlib.ExitStack() as started:
        replicas = [started.enter_context(service(models, port=port))[1] for port in ports]
        with haproxy(tmp_path, ports) as address, load(int(address.rpartition(":")[2])) as asked:
            for turn in range(2 * KILLS):
                time.sleep(TAKEN_IN)  # earlier, the other replica would be the only one
                asked.await_answers(500)
                place = turn % 2
                replicas[place].send_signal(signal.SIGKILL)
                replicas[place].wait(10)
                asked.await_answers(500)
                replicas[place] = started.enter_context(service(models, port=ports[place]))[1]
    print(f"\n{dict(asked.outcomes)}")
    assert asked.outcomes.keys() == {"200"}
    assert len(asked.contents) == 1


def test_the_port_of_a_killed_service_is_free_at_once(models: Path, tmp_path: Path) -> None:
    """Whatever connections it had: none of them keeps the port in use."""
    port = free_port()
    with service(models, port=port) as (_, process):
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        with service(models, port=port) as (address, _), Wire(port) as wire:
            assert address.endswith(str(port))
            assert wire.ask(REQUEST).status == 200
        for connection in held:
            connection.close()
