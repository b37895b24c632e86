import io

import pytest

from chainzrule.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_far_it_is_and_then_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, times = Terminal(), iter([0.0, 10.0, 10.05, 30.0])
    monkeypatch.setattr("chainzrule.progress.time.monotonic", lambda: next(times))
    with Progress(stream) as progress:
        progress.show(0.25, 1000)
        progress.show(0.3, 1200)  # too soon after the last
        progress.show(0.5, 2000)
    shown = stream.getvalue().split("\r\033[K")
    assert len(shown) == 4
    assert shown[1].count("█") == 8
    assert shown[1].endswith(" 25%, 1,000 rows, 30 s left")
    assert shown[2].endswith(" 50%, 2,000 rows, 30 s left")
    assert shown[3] == ""


def test_a_file_sees_nothing() -> None:
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress.show(0.5, 10)
    assert stream.getvalue() == ""
