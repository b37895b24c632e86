"""Requests that are wrong, by the ten thousand: each is answered, none is the service's fault, and nothing grows."""

import gzip
import json
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.abuse import post
from tests.chaos.fuzzing import Case, Cases
from tests.chaos.memory import Resident
from tests.chaos.wire import Answer, Wire, exchanged
from tests.processes import service
from tests.service.api.oip.fuzzer import TOYS

pytestmark = pytest.mark.chaos

CLIENTS = 4
GROWTH = 1.05  # of memory, from a third of the requests on
# By status: the only failures of the service itself that its documentation names, and how each says why.
FAILURES = {
    501: "transfer encoding",
    503: "not-ready",
    504: "deadline-exceeded",
}
GOOD = post(b'{"model":"toy","instances":[[1.0,2.0]]}')


class Round:
    """One client's share of the cases."""

    def __init__(self, port: int, seed: int, count: int) -> None:
        self.statuses: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._port = port
        self._cases = Cases(seed)
        self._seed = seed
        self._count = count

    def run(self) -> None:
        """Put them; what is wrong is written down, with the request."""
        with Wire(self._port) as wire:
            for number in range(self._count):
                case = self._cases.draw()
                if found := self._put(case, wire):
                    self.wrong.append(f"seed {self._seed}, case {number}: {found}: {case.request[:1500]!r}")
                    if len(self.wrong) > 20:
                        return

    def _put(self, case: Case, wire: Wire) -> str:
        """Put one; returns what is wrong with its answer."""
        silent = b"HEAD " in case.request
        try:
            if not case.well_formed:
                statuses, received = exchanged(self._port, case.request)
                self.statuses.update(f"{case.kind} {status}" for status in statuses)
                return "".join(_fault(status, received.decode("latin-1"), silent) for status in statuses)
            answer = wire.ask(case.request)
        except OSError as error:
            return f"{type(error).__name__} {error}"
        self.statuses[f"{case.kind} {answer.status}"] += 1
        return _fault(answer.status, answer.content.decode("latin-1"), silent) or _shape(answer, silent)


def _fault(status: int, text: str, silent: bool) -> str:
    """What is wrong with a status; `silent` where the answer has no content that could say why."""
    said = silent or FAILURES.get(status, "?") in text or '{"error":' in text
    if status >= 500 and not (status in FAILURES and said):
        return f"status {status}: {text[:500]}"
    return "a traceback" if "Traceback" in text else ""


def _shape(answer: Answer, silent: bool) -> str:
    """What is wrong with how an answer is written."""
    if answer.status >= 400 and answer.status != 405 and not silent and answer.headers.get("content-length") == "0":
        return f"status {answer.status} without a word"
    if "json" in answer.headers.get("content-type", "") and not silent:
        try:
            packed = answer.headers.get("content-encoding") == "gzip"
            json.loads(gzip.decompress(answer.content) if packed else answer.content)
        except ValueError:
            return f"status {answer.status}, and the content is not the JSON that it says it is"
    return ""


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_wrong_requests_do_no_harm(count: int, tmp_path: Path) -> None:
    for toy in TOYS:
        toy.publish(tmp_path / "models")
    log = tmp_path / "log"
    with service(tmp_path / "models", log=log) as (address, process):
        port = int(address.rpartition(":")[2])
        resident = Resident(process.pid)
        memory, statuses = [resident.now()], Counter[str]()
        rounds = 12
        for number in range(rounds):
            parts = [Round(port, 1000 * number + client, count // rounds // CLIENTS) for client in range(CLIENTS)]
            threads = [threading.Thread(target=part.run, daemon=True) for part in parts]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            wrong = [one for part in parts for one in part.wrong]
            assert not wrong, "\n".join(wrong)
            for part in parts:
                statuses += part.statuses
            memory.append(resident.now())
            assert process.poll() is None
        with Wire(port) as wire:
            assert wire.ask(GOOD).status == 200
    print(f"\n{dict(sorted(statuses.items()))}\nmemory in MB: {[round(one) for one in memory]}")
    lines = log.read_text().splitlines()
    assert [line for line in lines if "Traceback" in line or not line.startswith("{")] == []
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert max(memory[-3:]) <= GROWTH * max(memory[3:6])
