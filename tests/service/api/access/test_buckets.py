"""Buckets: what flows in, what may be drawn, and that no crowd makes them grow."""

import pytest

from chainzrule.service.api.access.buckets import Buckets


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_bucket_gives_its_capacity_at_once_and_then_the_rate(clock: Clock) -> None:
    buckets = Buckets(rate=2.0, capacity=4.0, clock=clock)
    for _ in range(4):
        assert buckets.wait("a") == 0
        buckets.draw("a", 1.0)
    assert buckets.wait("a") == 0.5
    clock.now += 0.25
    assert buckets.wait("a") == 0.25
    clock.now += 0.25
    assert buckets.wait("a") == 0
    buckets.draw("a", 1.0)
    assert buckets.wait("a") == 0.5


def test_nobody_gets_more_than_the_rate_in_the_long_run(clock: Clock) -> None:
    buckets, had = Buckets(rate=100.0, capacity=100.0, clock=clock), 0.0
    for tick in range(6000):  # ten minutes
        clock.now += 0.1
        if not buckets.wait("a"):
            amount = (1.0, 30.0, 4096.0)[tick % 3]
            buckets.draw("a", amount)
            had += amount
    assert 100.0 * 590 <= had <= 100.0 * 600 + 4096 + 100


def test_a_full_bucket_does_not_overflow(clock: Clock) -> None:
    buckets = Buckets(rate=1.0, capacity=2.0, clock=clock)
    buckets.draw("a", 1.0)
    clock.now += 1e6
    buckets.draw("a", 2.0)
    assert buckets.wait("a") == 1.0


def test_a_large_draw_is_waited_for_afterwards(clock: Clock) -> None:
    buckets = Buckets(rate=10.0, capacity=10.0, clock=clock)
    assert buckets.wait("a") == 0
    buckets.draw("a", 1010.0)
    assert buckets.wait("a") == pytest.approx(100.1)


def test_a_rate_below_one_still_lets_one_through(clock: Clock) -> None:
    buckets = Buckets(rate=0.1, capacity=0.1, clock=clock)
    assert buckets.wait("a") == 0
    buckets.draw("a", 1.0)
    assert buckets.wait("a") == pytest.approx(10.0)


def test_clients_do_not_share(clock: Clock) -> None:
    buckets = Buckets(rate=1.0, capacity=1.0, clock=clock)
    buckets.draw("a", 1.0)
    assert buckets.wait("a") == 1.0
    assert buckets.wait("b") == 0


def test_of_many_clients_those_that_drew_last_are_kept(clock: Clock) -> None:
    buckets = Buckets(rate=1.0, capacity=1.0, most=3, clock=clock)
    for client in "abcd":
        buckets.draw(client, 5.0)
    assert [client for client in "abcd" if buckets.wait(client)] == ["b", "c", "d"]
    buckets.draw("b", 1.0)  # now it is the newest
    buckets.draw("e", 5.0)
    assert [client for client in "abcde" if buckets.wait(client)] == ["b", "d", "e"]
    for number in range(10_000):
        buckets.draw(str(number), 1.0)
    assert len(buckets._levels) == 3
    buckets.wait("who only asks")
    assert len(buckets._levels) == 3
