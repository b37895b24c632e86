"""Which connections end when clients do not read what they asked for."""

from dataclasses import dataclass

from chainzrule.service.unread import stalled_too_long


@dataclass
class Connection:
    stalled_since: float | None
    waiting: int

    @property
    def transport(self) -> "Connection":
        return self

    def get_write_buffer_size(self) -> int:
        return self.waiting


def test_those_that_stalled_first_end_and_no_more_than_must() -> None:
    reading, young, old, middle = Connection(None, 900), Connection(9.0, 40), Connection(1.0, 50), Connection(5.0, 30)
    connections = [reading, young, old, middle]
    assert stalled_too_long(connections, 120) == []
    assert stalled_too_long(connections, 119) == [old]
    assert stalled_too_long(connections, 70) == [old]
    assert stalled_too_long(connections, 69) == [old, middle]
    assert stalled_too_long(connections, 0) == [old, middle, young]
    assert stalled_too_long([], 0) == []
