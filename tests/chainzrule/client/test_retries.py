"""Questions are put again within a budget, and when the service says so."""

import pytest

from chainzrule.client.retries import Budget, Retries, seconds_of


def test_waits_grow_and_end() -> None:
    budget = Budget(Retries(most=3, first_wait=1.0))
    waits = [budget.wait(attempt, None, 100.0) for attempt in (1, 2, 3)]
    for wait, longest in zip(waits, (1.0, 2.0, 4.0), strict=True):
        assert wait is not None
        assert longest / 2 <= wait <= longest
    assert budget.wait(4, None, 100.0) is None


def test_the_service_says_when() -> None:
    budget = Budget(Retries(first_wait=0.1))
    wait = budget.wait(1, 3.0, 100.0)
    assert wait is not None
    assert 3.0 <= wait <= 3.1
    assert budget.wait(1, 3.0, 2.0) is None  # the question has less time left
    assert budget.wait(1, 11.0, 100.0) is None


def test_all_questions_share_a_budget() -> None:
    budget = Budget(Retries(reserve=2.0, share=0.5))
    assert [budget.wait(1, None, 100.0) is None for _ in range(4)] == [False, False, True, True]
    budget.asked()
    assert budget.wait(1, None, 100.0) is None
    budget.asked()
    assert budget.wait(1, None, 100.0) is not None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("2", 2.0), ("0", 0.0), ("Sat, 28 Nov 2026 17:00:00 GMT", None), ("-1", None), ("inf", None)],
)
def test_headers_are_seconds_or_nothing(header: str | None, seconds: float | None) -> None:
    assert seconds_of(header) == seconds
