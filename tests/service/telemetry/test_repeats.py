"""What is said too often is left out and counted."""

from chainzrule.service.telemetry.repeats import KINDS, MOST, SECONDS, Repeats


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_so_many_of_a_kind_are_admitted_within_a_span_of_time() -> None:
    clock = Clock()
    repeats = Repeats(clock)
    assert [repeats.admit("a") for _ in range(MOST + 3)] == [True] * MOST + [False] * 3
    assert repeats.admit("b")
    clock.now = SECONDS - 0.1
    assert not repeats.admit("a")
    assert repeats.take_over() == {}
    clock.now = SECONDS
    assert repeats.admit("a")
    assert repeats.take_over() == {"a": 4}
    assert repeats.take_over() == {}
    assert repeats.left_out == 4


def test_spans_that_are_over_are_told_without_another_of_their_kind() -> None:
    clock = Clock()
    repeats = Repeats(clock)
    for _ in range(MOST + 1):
        repeats.admit("a")
    assert repeats.take_over(all_of_them=True) == {"a": 1}
    for _ in range(MOST + 2):
        repeats.admit("a")
    clock.now = SECONDS
    assert repeats.take_over() == {"a": 2}
    assert repeats.admit("a")


def test_there_is_no_end_of_kinds_but_of_their_memory() -> None:
    clock = Clock()
    repeats = Repeats(clock)
    assert sum(repeats.admit(kind) for kind in range(KINDS + 2 * MOST)) == KINDS + MOST
    assert repeats.admit(1)  # one that is known
    clock.now = SECONDS
    assert repeats.take_over() == {None: MOST}
    assert sum(repeats.admit(-kind) for kind in range(KINDS)) == KINDS
