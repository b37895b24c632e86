"""Which connections end when clients leave much lying in them."""

from dataclasses import dataclass

from chainzrule.service.paced import Waiting
from chainzrule.service.unread import waited_too_long


@dataclass
class Connection:
    since: float | None
    size: int

    def waiting(self) -> Waiting | None:
        return None if self.since is None else Waiting(self.since, self.size)


def test_those_that_wait_longest_end_and_no_more_than_must() -> None:
    reading, young, old, middle = Connection(None, 900), Connection(9.0, 40), Connection(1.0, 50), Connection(5.0, 30)
    connections = [reading, young, old, middle]
    assert waited_too_long(connections, 120) == []
    assert waited_too_long(connections, 119) == [old]
    assert waited_too_long(connections, 70) == [old]
    assert waited_too_long(connections, 69) == [old, middle]
    assert waited_too_long(connections, 0) == [old, middle, young]
    assert waited_too_long([], 0) == []
