"""The bytes that all requests together hold."""

import pytest

from chainzrule.service.budget import SMALL, WORTH, Budget, Holding
from chainzrule.service.errors import Overloaded

LIMIT = 2**23


@pytest.fixture
def budget() -> Budget:
    return Budget(LIMIT)


def holding(budget: Budget, count: int) -> Holding:
    """A holding of so many bytes."""
    made = Holding(budget)
    made.resize(count)
    return made


def upload(budget: Budget, count: int, ended: list[str], name: str) -> Holding:
    """An unfinished upload that holds so many bytes; `ended` gets its name when it is ended."""
    made = Holding(budget)
    made.begin(lambda: ended.append(name))
    made.resize(count)
    return made


def test_what_all_hold_is_counted(budget: Budget) -> None:
    one, other = holding(budget, 1000), holding(budget, 500)
    assert budget.held == 1500
    one.resize(200)
    assert (budget.held, one.count, budget.peak) == (700, 200, 1500)
    one.release()
    other.release()
    assert (budget.held, budget.peak) == (0, 1500)
    other.release()  # again, which changes nothing
    assert budget.held == 0


def test_beyond_the_limit_nothing_more_is_held(budget: Budget) -> None:
    full = holding(budget, budget.most)
    late = holding(budget, 0)
    with pytest.raises(Overloaded):
        late.resize(SMALL + 1)
    assert (late.count, budget.held) == (0, budget.most)
    full.release()
    late.resize(SMALL + 1)
    assert budget.held == SMALL + 1


def test_small_requests_have_a_reserve(budget: Budget) -> None:
    holding(budget, budget.most)
    for _ in range((LIMIT - budget.most) // SMALL):
        holding(budget, SMALL)
    assert budget.held == LIMIT
    with pytest.raises(Overloaded):
        holding(budget, 1)


def test_the_oldest_uploads_make_room(budget: Budget) -> None:
    ended: list[str] = []
    size = budget.most // 4
    uploads = [upload(budget, size, ended, str(i)) for i in range(4)]
    late = holding(budget, size + 1)
    assert ended == ["0", "1"]
    assert [made.count for made in uploads] == [0, 0, size, size]
    assert budget.held == 3 * size + 1
    assert late.count == size + 1
    for made in uploads:
        made.finish()
        made.release()


def test_an_upload_is_not_ended_for_itself(budget: Budget) -> None:
    ended: list[str] = []
    own = upload(budget, budget.most, ended, "own")
    with pytest.raises(Overloaded):
        own.resize(budget.most + 1)
    assert ended == []
    other = upload(budget, 0, ended, "other")
    other.resize(budget.most)
    assert ended == ["own"]


def test_finished_and_tiny_uploads_are_not_ended(budget: Budget) -> None:
    ended: list[str] = []
    upload(budget, budget.most - WORTH, ended, "whole").finish()
    upload(budget, WORTH - 1, ended, "tiny")
    with pytest.raises(Overloaded):
        holding(budget, SMALL + 1)
    assert ended == []


def test_uploads_are_not_ended_in_vain(budget: Budget) -> None:
    ended: list[str] = []
    holding(budget, budget.most - 2 * SMALL)
    upload(budget, SMALL, ended, "upload")
    with pytest.raises(Overloaded):
        holding(budget, 3 * SMALL)
    assert ended == []
