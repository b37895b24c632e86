"""The forking process answers for every examination, whatever becomes of it, and ends with those who ask."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainzrule.service.serving.examination import Order
from tests.artifacts import CLASSIFIER
from tests.harmful import hanging
from tests.processes import ROOT

PROGRAM = "from chainzrule.service.serving.forks import main; main(0)"


class Asker:
    """Whoever asks a forking process for examinations."""

    def __init__(self) -> None:
        self.control, there = socket.socketpair()
        with there:
            self.process = subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT, stdin=there)

    def ask(self, path: Path, seconds: float = 60.0) -> socket.socket:
        here, there = socket.socketpair()
        order = Order(path.parent.name, path.name, str(path), seconds, 2**32)
        with there, Path(os.devnull).open("wb") as output:
            socket.send_fds(self.control, [order.encode()], [there.fileno(), output.fileno()])
        here.settimeout(60)
        return here

    def children(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def said(answer: socket.socket) -> dict[str, object]:
    """All that is said of one examination."""
    found = b""
    while piece := answer.recv(65536):
        found += piece
    answer.close()
    return {key: value for line in found.splitlines() for key, value in json.loads(line).items()}


def until_children(asker: Asker, count: int) -> list[int]:
    end = time.monotonic() + 60
    while len(children := asker.children()) != count:
        assert time.monotonic() < end, children
        time.sleep(0.01)
    return children


@pytest.fixture
def asker() -> Iterator[Asker]:
    asking = Asker()
    try:
        yield asking
    finally:
        asking.control.close()
        asking.process.wait(60)


def test_each_answer_goes_to_whom_it_belongs(asker: Asker, tmp_path: Path) -> None:
    sound, damaged = CLASSIFIER.write(tmp_path, "1"), CLASSIFIER.write(tmp_path, "2")
    (damaged / "model.onnx").write_bytes(b"damaged")
    answers = [asker.ask(sound), asker.ask(damaged)]
    first, second = map(said, answers)
    assert (set(first), first["ended"]) == ({"digest", "ended", "late"}, 0)
    assert (second["place"], second["ended"], second["late"]) == ("model.onnx", 0, False)
    until_children(asker, 0)


def test_what_hangs_is_ended_at_its_deadline(asker: Asker, tmp_path: Path) -> None:
    begin = time.monotonic()
    found = said(asker.ask(hanging(tmp_path), seconds=1.0))
    assert found == {"ended": -signal.SIGKILL, "late": True}
    assert time.monotonic() - begin >= 1.0
    until_children(asker, 0)


def test_what_crashes_is_told_by_its_signal(asker: Asker, tmp_path: Path) -> None:
    answer = asker.ask(hanging(tmp_path))
    [child] = until_children(asker, 1)
    os.kill(child, signal.SIGSEGV)
    assert said(answer) == {"ended": -signal.SIGSEGV, "late": False}


def test_what_nobody_waits_for_any_more_is_ended(asker: Asker, tmp_path: Path) -> None:
    answer = asker.ask(hanging(tmp_path))
    until_children(asker, 1)
    answer.close()
    until_children(asker, 0)


def test_it_ends_with_those_who_ask_and_at_no_signal(tmp_path: Path) -> None:
    asker = Asker()
    answer = asker.ask(hanging(tmp_path))
    [child] = until_children(asker, 1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asker.process.send_signal(number)
    sound = said(asker.ask(CLASSIFIER.write(tmp_path)))
    assert "digest" in sound
    asker.control.close()
    assert asker.process.wait(60) == 0
    assert not Path(f"/proc/{child}").exists()
    assert said(answer) == {}


def test_its_examinations_die_with_it(tmp_path: Path) -> None:
    asker = Asker()
    answer = asker.ask(hanging(tmp_path))
    [child] = until_children(asker, 1)
    asker.process.kill()
    asker.process.wait(60)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
                break
        except FileNotFoundError:
            break
        time.sleep(0.01)
    else:
        raise AssertionError("it lives on")
    assert said(answer) == {}
    asker.control.close()
