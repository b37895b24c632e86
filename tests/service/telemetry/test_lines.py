"""Lines are written by a thread; a reader that does not read costs lines, and nobody waits."""

import os
import threading
import time
from collections.abc import Iterator

import pytest

from chainzrule.service.telemetry import lines
from chainzrule.service.telemetry.lines import LineWriter, writing_to
from tests.processes import until


class Sink:
    """Takes what is written while its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.taken = b""
        self.broken = False

    def __call__(self, data: bytes) -> None:
        self.gate.wait(60)
        if self.broken:
            raise BrokenPipeError
        self.taken += data


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.gate.set()


def nothing_due(lost: int) -> list[bytes]:
    return []


def test_lines_are_written_in_order_by_another_thread(sink: Sink) -> None:
    writer = LineWriter(sink, nothing_due)
    for number in range(1000):
        writer.put(b"%d\n" % number)
    writer.flush(20)
    assert sink.taken.split() == [b"%d" % number for number in range(1000)]
    writer.put(b"last\n")
    writer.close(20)
    assert sink.taken.endswith(b"999\nlast\n")
    assert writer.lost == 0


def test_nobody_waits_for_a_reader_that_does_not_read(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "WAITING_BYTES", 1000)
    monkeypatch.setattr(lines, "DUE_SECONDS", 0.05)
    writer = LineWriter(sink, lambda lost: [b"lost %d\n" % lost] if lost else [])
    sink.gate.clear()
    for _ in range(150):
        writer.put(b"123456789\n")
    assert writer.lost == 50
    begin = time.monotonic()
    writer.flush(0.2)
    assert time.monotonic() - begin < 10
    assert sink.taken == b""
    sink.gate.set()
    until(lambda: sink.taken == b"123456789\n" * 100 + b"lost 50\n")
    writer.put(b"more\n")
    writer.flush(20)
    assert sink.taken.endswith(b"lost 50\nmore\n")
    assert writer.lost == 50


def test_the_end_is_bounded_and_takes_no_more(sink: Sink) -> None:
    writer = LineWriter(sink, nothing_due)
    sink.gate.clear()
    writer.put(b"1\n")
    begin = time.monotonic()
    writer.close(0.2)
    assert time.monotonic() - begin < 10
    writer.put(b"2\n")
    assert writer.lost == 1


def test_what_is_due_at_the_end_is_written(sink: Sink) -> None:
    writer = LineWriter(sink, lambda lost: [b"due\n"])
    writer.put(b"1\n")
    writer.close(20)
    assert sink.taken == b"1\ndue\n"


def test_a_reader_that_has_gone_costs_lines_and_not_the_thread(sink: Sink) -> None:
    writer = LineWriter(sink, nothing_due)
    sink.broken = True
    writer.put(b"1\n")
    writer.flush(20)
    assert writer.lost == 1
    sink.broken = False
    writer.put(b"2\n")
    writer.flush(20)
    assert sink.taken == b"2\n"


def test_a_forked_process_writes_its_own_lines_only() -> None:
    reader, end = os.pipe()
    writer = LineWriter(writing_to(end), nothing_due)
    writer.put(b"parent\n")
    writer.flush(20)
    child = os.fork()
    if child == 0:
        try:
            writer.begin_anew()
            writer.put(b"child\n")
            writer.close(20)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100) == b"parent\nchild\n"
    os.close(reader)
    os.close(end)


def test_all_is_written_where_the_descriptor_takes_only_parts() -> None:
    reader, end = os.pipe()
    os.set_blocking(end, False)
    data = os.urandom(2**20)
    thread = threading.Thread(target=writing_to(end), args=(data,))
    thread.start()
    received = b""
    while len(received) < len(data):
        received += os.read(reader, 2**16)
    thread.join(20)
    assert received == data
    os.close(reader)
    os.close(end)
