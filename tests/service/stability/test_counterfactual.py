"""What a changed row is to reach, and where it may move."""

from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.stability.counterfactual import CLEARLY, Domain, Goal
from chainzrule.service.stability.link import link_of

GOALS = {
    "classification": Goal(link_of("classification", 4)),
    "binary": Goal(link_of("classification", 2)),
    "ordinal": Goal(link_of("ordinal", 3)),
    "at least": Goal(link_of("regression", 1), 2.0, rises=True),
    "at most": Goal(link_of("regression", 1), -1.0, rises=False),
}
MIDDLE = np.array([[1.0, 2.0, 3.5, 0.0]])
DOMAIN = Domain(
    MIDDLE,
    np.array([0.5, 1.0, 1.0, 0.0]),
    np.array([[0.0, 2.0, -4.0, 0.0]]),
    np.array([[2.0, 9.0, 9.0, 0.0]]),
    np.array([[False, False, True, False]]),
)


def scored(goal: Goal, rows: int = 300) -> np.ndarray:
    """Scores as a model has them: those of levels fall by fixed steps."""
    random = np.random.default_rng(1)
    if goal is GOALS["ordinal"]:
        return random.normal(scale=2.0, size=(rows, 1)) - np.array([-1.0, 0.0, 1.5])
    width = {"classification": 4, "binary": 2}.get(next(name for name in GOALS if GOALS[name] is goal), 1)
    return random.normal(scale=3.0, size=(rows, width))


@pytest.mark.parametrize("name", ["classification", "binary", "ordinal"])
def test_a_label_is_reached_where_the_model_gives_it(name: str) -> None:
    goal = GOALS[name]
    scores = scored(goal)
    label = goal.link.label(scores)
    for target in range(label.max() + 1):
        wanted = np.full(len(scores), target)
        np.testing.assert_array_equal(goal.lead(scores, wanted) > 0, label == target)
        clearly = goal.reached(scores, wanted)
        assert not clearly[label != target].any()
        assert clearly[label == target].mean() > 0.99


def test_a_number_is_reached_from_its_side() -> None:
    scores, none = np.array([[1.9], [2.1], [-1.1]]), np.zeros(3, np.int64)
    np.testing.assert_array_equal(GOALS["at least"].reached(scores, none), [False, True, False])
    np.testing.assert_array_equal(GOALS["at most"].reached(scores, none), [False, False, True])
    barely = np.array([[2.0 * (1 + CLEARLY / 4)]])
    assert GOALS["at least"].lead(barely, none[:1]) > 0
    assert not GOALS["at least"].reached(barely, none[:1])


@pytest.mark.parametrize("name", GOALS)
def test_the_slope_is_the_leads_derivative(name: str) -> None:
    goal, step = GOALS[name], 1e-6
    scores = scored(goal, 50)
    for target in range(scores.shape[1]):
        wanted = np.full(len(scores), target)
        slope = goal.slope(scores, wanted)
        for k in range(scores.shape[1]):
            moved = scores + step * np.eye(scores.shape[1])[k]
            found = (goal.lead(moved, wanted) - goal.lead(scores, wanted)) / step
            np.testing.assert_allclose(slope[:, k], found, atol=1e-6)


def test_the_nearest_labels_come_first() -> None:
    assert GOALS["classification"].targets(np.array([0.0, 3.0, -1.0, 2.0]), 1) == [3, 0, 2]
    assert GOALS["ordinal"].targets(np.array([3.0, 2.0, -1.0]), 2) == [1, 3]
    assert GOALS["ordinal"].targets(np.array([-3.0, -4.0, -5.0]), 0) == [1]
    assert GOALS["ordinal"].targets(np.array([3.0, 2.0, 1.0]), 3) == [2]
    assert GOALS["at least"].targets(np.array([1.0]), 0) == [0]


@pytest.mark.parametrize("name", GOALS)
@pytest.mark.parametrize("any_label", [True, False])
def test_nothing_is_excluded_that_scores_within_the_bounds_reach(name: str, any_label: bool) -> None:
    goal = GOALS[name]
    own, random = scored(goal, 40), np.random.default_rng(2)
    excluded = 0
    for scores in own:
        label = int(goal.link.label(scores[None])[0])
        for reach in (0.1, 0.5, 2.0):
            step = random.uniform(-reach, reach, (200, 1 if name == "ordinal" else len(scores)))
            inside = scores + step
            lower, upper = inside.min(axis=0)[None], inside.max(axis=0)[None]
            margin = (inside[:, [label if goal.link.has_labels and name != "ordinal" else 0]] - inside).min(axis=0)[
                None
            ]
            for target in goal.targets(scores, label):
                wanted = None if any_label and goal.link.has_labels else target
                out = goal.excluded(label, wanted, lower, upper, margin)
                excluded += int(out[0])
                if out[0]:
                    assert (goal.lead(inside, np.full(len(inside), target)) <= 0).all()
    assert excluded > 20


def test_a_far_level_is_excluded_by_its_own_thresholds() -> None:
    goal, margin = GOALS["ordinal"], np.zeros((1, 3))
    lower, upper = np.array([[-1.0, -2.0, -3.5]]), np.array([[1.0, 0.0, -1.5]])
    assert not goal.excluded(0, 1, lower, upper, margin)[0]
    assert goal.excluded(0, 2, lower, upper, margin)[0]  # a score of 0 is not exceeded
    assert goal.excluded(0, 3, lower, upper, margin)[0]
    assert not goal.excluded(0, None, lower, upper, margin)[0]


def test_corners_stay_in_the_ranges_and_at_whole_numbers() -> None:
    slope, distance = np.array([[1.0, -2.0, 0.5, 3.0]]), np.array([[0.5, 3.0]])
    (near, far) = DOMAIN.corners(slope, distance)[0]
    np.testing.assert_array_equal(near, np.array([1.25, 2.0, 4.0, 0.0], np.float32))
    np.testing.assert_array_equal(far, np.array([2.0, 2.0, 6.0, 0.0], np.float32))
    (down,) = DOMAIN.corners(-slope, np.array([[0.4]]))[0]
    np.testing.assert_array_equal(down, np.array([0.8, 2.4, 3.5, 0.0], np.float32))  # 3 is 0.5 away


def test_distances_are_those_of_the_furthest_feature() -> None:
    assert DOMAIN.distance(MIDDLE.astype(np.float32)).tolist() == [0.0]
    assert DOMAIN.distance(np.array([[1.5, 2.5, 3.5, 0.0]], np.float32)).tolist() == [1.0]
    assert DOMAIN.furthest().tolist() == [7.5]
    assert DOMAIN.only(np.array([[True, False, False, False]])).furthest().tolist() == [2.0]
    low, high = DOMAIN.boxes(np.array([1.0, 4.0]))
    np.testing.assert_array_equal(low, [[0.5, 2.0, 2.5, 0.0], [0.0, 2.0, -0.5, 0.0]])
    np.testing.assert_array_equal(high, [[1.5, 3.0, 4.5, 0.0], [2.0, 6.0, 7.5, 0.0]])


def test_a_gap_stays_a_gap() -> None:
    gap = np.where(np.arange(4) == 1, np.nan, MIDDLE)
    domain = replace(DOMAIN, middle=gap, low=np.where(np.isnan(gap), gap, DOMAIN.low), high=DOMAIN.high)
    moved = domain.corners(np.array([[1.0, 1.0, 1.0, 1.0]]), np.array([[1.0]]))[:, 0]
    assert np.isnan(moved[0, 1])
    assert domain.distance(moved).tolist() == [1.0]
    assert domain.furthest().tolist() == [7.5]


def test_parts_of_a_domain_are_rows() -> None:
    two = DOMAIN.part(np.array([0, 0])).only(np.eye(4, dtype=np.bool_)[:2])
    np.testing.assert_array_equal(two.furthest(), [2.0, 7.0])
