"""What bounds guarantee: against every score within them, by drawing."""

import numpy as np
import pytest
from numpy.typing import NDArray

from chainzrule.service.stability.certificate import (
    ROUNDING,
    conclude,
    expected_level_bounds,
    flip_factor,
    label_is_certain,
    leaving_probability,
    level_probability_bounds,
    probability_bounds,
    reachable_levels,
)
from chainzrule.service.stability.link import Classification, Link, Ordinal, Regression

Floats = NDArray[np.float64]
RANDOM = np.random.default_rng(8)
CLASSIFICATION, ORDINAL, REGRESSION = Classification(), Ordinal(), Regression()


def softmax(scores: Floats) -> Floats:
    odds = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True))


def logistic(scores: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-scores)))


def test_a_label_is_certain_where_all_other_margins_are_above_nothing() -> None:
    label = np.array([0, 0, 0, 2, 2])
    margins = np.array([[0.0, 1e-9, 2.0], [0.0, 0.0, 2.0], [0.0, -1.0, 2.0], [0.1, 0.1, -9.0], [np.nan, 0.1, 0.0]])
    nothing = np.zeros((5, 3))
    found = label_is_certain(CLASSIFICATION, label, nothing, nothing, margins)
    assert found.tolist() == [True, False, False, True, False]


def test_a_level_is_certain_between_the_thresholds_around_it() -> None:
    lower = np.array([[0.1, -3.0], [0.0, -3.0], [0.1, -3.0], [-1.0, -3.0], [2.0, 0.1]])
    upper = np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.1], [0.0, -0.1], [3.0, 1.0]])
    label = np.array([1, 1, 1, 0, 2])
    found = label_is_certain(ORDINAL, label, lower, upper, np.empty((5, 0)))
    assert found.tolist() == [True, False, False, True, True]
    lowest, highest = reachable_levels(lower, upper)
    assert lowest.tolist() == [1, 0, 1, 0, 2]
    assert highest.tolist() == [1, 1, 2, 0, 2]
    unknown = np.array([[np.nan, np.nan]])
    assert [part.tolist() for part in reachable_levels(unknown, unknown)] == [[0], [2]]


@pytest.mark.parametrize("link", [CLASSIFICATION, ORDINAL])
def test_a_box_may_grow_until_a_margin_is_used_up(link: Link) -> None:
    scores = np.array([[2.0, 0.5, -1.0], [3.0, 1.0, -2.0]], dtype=np.float32)
    jacobian = RANDOM.normal(size=(2, 3, 4)).astype(np.float32)
    jacobian[1] = 0.0
    radius = RANDOM.uniform(0.1, 1.0, size=(2, 4))
    label = link.label(scores.astype(np.float64))
    found = flip_factor(link, scores, jacobian, label, radius)
    assert found[1] == np.inf
    # At that factor, and at none below, a corner of the box is on a boundary to first order.
    slopes = jacobian[0, 0] - jacobian[0, 1:] if link is CLASSIFICATION else jacobian[0]
    margins = scores[0, 0] - scores[0, 1:] if link is CLASSIFICATION else scores[0]
    left = np.abs(margins) - found[0] * (np.abs(slopes) * radius[0]).sum(axis=1)
    assert left.min() == pytest.approx(0.0, abs=1e-6)
    assert np.isinf(flip_factor(REGRESSION, scores[:, :1], jacobian[:, :1], label, radius)).all()


def test_probabilities_stay_within_the_bounds_of_their_margins_and_reach_them() -> None:
    label = np.array([1])
    low, high = np.array([[0.5, 0.0, -1.0, 2.0]]), np.array([[1.5, 0.0, 0.5, 2.5]])
    least, most = probability_bounds(label, low, high)
    margins = RANDOM.uniform(low, high, size=(20_000, 4))
    corners = np.where(RANDOM.random((2000, 4)) < 0.5, low, high)
    p = softmax(-np.concatenate([margins, corners]))
    assert (p >= least).all()
    assert (p <= most).all()
    np.testing.assert_allclose(p.min(axis=0), least[0] + ROUNDING, atol=1e-12)
    np.testing.assert_allclose(p.max(axis=0), most[0] - ROUNDING, atol=1e-12)


def test_levels_stay_within_the_bounds_of_the_scores_and_reach_them() -> None:
    thresholds = np.array([-2.0, 0.3, 1.0, 4.0])
    for start, stop in ((-3.0, -2.5), (-0.2, 0.4), (-1.0, 0.6), (0.0, 8.0), (0.65, 0.65)):
        f = np.linspace(start, stop, 20_001)[:, None]
        exceeded = logistic(f - thresholds)
        edges = np.ones((len(f), 1)), np.zeros((len(f), 1))
        p = -np.diff(np.concatenate([edges[0], exceeded, edges[1]], axis=1), axis=1)
        lower, upper = (np.array([end]) - thresholds[None] for end in (start, stop))
        least, most = level_probability_bounds(lower, upper)
        assert (p >= least).all()
        assert (p <= most).all()
        np.testing.assert_allclose(p.min(axis=0), np.maximum(least[0] + ROUNDING, 0.0), atol=2e-5)
        np.testing.assert_allclose(p.max(axis=0), most[0] - ROUNDING, atol=1e-7)
        below, above = expected_level_bounds(lower, upper)
        np.testing.assert_allclose(below, exceeded.sum(axis=1).min() - ROUNDING, rtol=1e-12)
        np.testing.assert_allclose(above, exceeded.sum(axis=1).max() + ROUNDING, rtol=1e-12)


def test_bounds_of_probabilities_are_probabilities() -> None:
    least, most = probability_bounds(np.array([0]), np.array([[0.0, 800.0]]), np.array([[0.0, 900.0]]))
    assert (least[0, 1], most[0, 0]) == (0.0, 1.0)
    unknown = np.array([[0.0, -np.inf]]), np.array([[0.0, np.inf]])
    least, most = probability_bounds(np.array([0]), *unknown)
    assert (least.tolist(), most.tolist()) == ([[0.0, 0.0]], [[1.0, 1.0]])
    least, most = level_probability_bounds(np.array([[-900.0, -1000.0]]), np.array([[-800.0, -900.0]]))
    assert (least[0, 2], most[0, 0]) == (0.0, 1.0)


def test_each_task_has_its_conclusions() -> None:
    lower, upper = np.array([[-0.5, -1.5]]), np.array([[0.5, -0.5]])
    margins = np.array([[0.0, 0.1]]), np.array([[0.0, 2.0]])
    label, nothing = np.array([0]), np.empty((1, 0))
    found = conclude(CLASSIFICATION, label, lower, upper, *margins)
    assert found.certain is not None
    assert found.certain.tolist() == [True]
    np.testing.assert_array_equal(found.probabilities, probability_bounds(label, *margins))
    assert (found.value, found.levels) == (None, None)
    found = conclude(ORDINAL, label, lower, upper, nothing, nothing)
    assert found.certain is not None
    assert found.certain.tolist() == [False]
    np.testing.assert_array_equal(found.probabilities, level_probability_bounds(lower, upper))
    np.testing.assert_array_equal(found.value, expected_level_bounds(lower, upper))
    np.testing.assert_array_equal(found.levels, [[0], [1]])
    found = conclude(REGRESSION, label, lower[:, :1], upper[:, :1], nothing, nothing)
    np.testing.assert_array_equal(found.value, [[-0.5], [0.5]])
    assert (found.certain, found.probabilities, found.levels) == (None, None, None)


def test_the_widest_score_says_how_far_a_level_can_come_to_its_peak() -> None:
    """The graph rounds each score's bounds by itself, so that one range may be wider than the other."""
    _, most = level_probability_bounds(np.array([[0.0, -2.0]]), np.array([[0.5, -0.5]]))
    assert most[0, 1] == pytest.approx(logistic(np.array(1.0)) - logistic(np.array(-1.0)) + ROUNDING, abs=1e-12)


def test_noise_leaves_a_box_no_more_often_than_is_said_however_correlated() -> None:
    noise = np.array([0.5, 2.0, 0.0, 1.0])
    below, above = np.array([[1.0, 5.0, 0.0, 2.5]]), np.array([[1.5, 4.0, 0.0, 3.0]])
    (stated,) = leaving_probability(below, above, noise)
    seen = []
    for correlation in (0.0, 0.9, -0.3):
        law = np.full((3, 3), correlation) + (1 - correlation) * np.eye(3)
        moved = RANDOM.multivariate_normal(np.zeros(3), law, 100_000) * noise[noise > 0]
        seen.append(((moved < -below[:, noise > 0]) | (moved > above[:, noise > 0])).any(axis=1).mean())
    assert max(seen) <= stated + 0.002
    assert seen[0] == pytest.approx(stated, abs=0.005)  # small chances hardly overlap


def test_noise_always_leaves_a_box_that_is_a_point() -> None:
    assert leaving_probability(np.zeros((1, 2)), np.zeros((1, 2)), np.array([1.0, 0.0])).tolist() == [1.0]
    assert leaving_probability(np.zeros((1, 2)), np.zeros((1, 2)), np.zeros(2)).tolist() == [0.0]
    wide = leaving_probability(np.full((1, 1), 9.0), np.full((1, 1), 9.0), np.ones(1))
    assert wide[0] == pytest.approx(2.2571768e-19, rel=1e-6)
