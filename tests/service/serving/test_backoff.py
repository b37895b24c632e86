"""What failed is tried again after longer and longer, and what is slow to fail seldom."""

import pytest

from chainzrule.service.serving.backoff import LONGEST, Backoff


def test_the_first_try_is_due_at_once() -> None:
    assert Backoff().due == 0.0


def test_waits_double_up_to_a_bound() -> None:
    backoff = Backoff()
    waits = []
    for _ in range(20):
        backoff.failed(100.0, took=0.01)
        waits.append(backoff.due - 100.0)
    assert waits[:6] == [1.0, 2.0, 4.0, 8.0, 16.0, LONGEST]
    assert waits[-1] == LONGEST
    assert backoff.failures == 20


@pytest.mark.parametrize(("took", "wait"), [(0.05, 1.0), (2.0, 20.0), (60.0, 600.0)])
def test_a_slow_failure_waits_ten_times_as_long_as_it_took(took: float, wait: float) -> None:
    backoff = Backoff()
    backoff.failed(5.0, took)
    assert backoff.due == 5.0 + wait


def test_a_success_or_change_begins_anew() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.failed(0.0, 0.0)
    backoff.reset()
    assert (backoff.failures, backoff.due) == (0, 0.0)
    backoff.failed(0.0, 0.0)
    assert backoff.due == 1.0
