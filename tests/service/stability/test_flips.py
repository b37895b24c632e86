"""How likely noise changes a label: against the normal law by scipy and by draws."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from chainzrule.service.stability import flips
from chainzrule.service.stability.flips import FEW, NEGLIGIBLE, OUT_OF_REACH, of_levels, of_many_labels, of_two_labels
from chainzrule.service.stability.link import margins

Floats = NDArray[np.float64]
FIRST = np.zeros(1, np.int64)


def among(scores: list[float], C: Floats, shift: list[float] | None = None) -> flips.Flips:
    """The flips of one row around its own scores, or around displaced ones."""
    s = np.array([scores], dtype=np.float64)
    label = s.argmax(axis=1)
    margin = margins(s, label)
    displaced = margin if shift is None else margins(s + np.array([shift]), label)
    return of_many_labels(margin, displaced, C[None], label)


def test_without_labels_nothing_flips() -> None:
    found = flips.none(2)
    assert found.distance.tolist() == [np.inf] * 2
    assert np.isnan(found.probability).tolist() == [True] * 2
    assert found.runner_up.tolist() == [-1] * 2


def test_two_labels_flip_by_the_tail_of_their_margin() -> None:
    margin, displaced = np.array([1.0, 1.0, 0.0, 2.0]), np.array([1.5, 1.0, 0.0, -1.0])
    sd, label = np.array([0.5, 0.0, 1.0, 2.0]), np.array([0, 1, 0, 1])
    found = of_two_labels(margin, displaced, sd, label)
    assert found.distance.tolist() == [2.0, np.inf, 0.0, 1.0]
    np.testing.assert_allclose(found.probability, [stats.norm.sf(3.0), 0.0, 0.5, stats.norm.sf(-0.5)])
    assert found.runner_up.tolist() == [1, 0, 1, 0]


def test_the_runner_up_is_the_nearest_in_sigmas_and_not_in_scores() -> None:
    C = np.diag([0.0, 0.01, 1.0])
    found = among([3.0, 2.5, 1.0], C)
    assert found.runner_up.tolist() == [2]
    assert found.distance == pytest.approx([2.0])
    expected = 1.0 - stats.norm.cdf(2.0) * stats.norm.cdf(5.0)
    assert found.probability == pytest.approx([expected], rel=1e-6)


def test_where_no_noise_moves_a_margin_the_next_score_is_the_runner_up() -> None:
    for C in (np.zeros((3, 3)), np.ones((3, 3)), np.ones((3, 3)) + 1e-8 * np.eye(3)):  # rounding is no noise
        found = among([1.0, 3.0, 2.0], C)
        assert (found.distance.tolist(), found.probability.tolist(), found.runner_up.tolist()) == ([np.inf], [0.0], [2])


def test_the_chance_is_that_of_the_displaced_margins_and_the_distance_the_scores_own() -> None:
    C = np.diag([0.25, 0.25, 0.25])
    found = among([2.0, 1.0, 0.0], C, shift=[0.0, 0.5, 0.0])
    assert found.distance == pytest.approx([1.0 / np.sqrt(0.5)])
    moved = np.random.default_rng(0).normal([2.0, 1.5, 0.0], 0.5, size=(400_000, 3))
    assert found.probability == pytest.approx([(moved.argmax(axis=1) != 0).mean()], abs=0.003)


@pytest.mark.parametrize("rows", [1, FEW])
def test_several_rivals_are_judged_by_their_joint_law(rows: int) -> None:
    """A few rows in plain floats, and many at once, are the same; both are what draws show."""
    random = np.random.default_rng(1)
    scores = np.sort(random.normal(size=(rows, 5)), axis=1)[:, ::-1] * 0.5
    factor = random.normal(size=(rows, 5, 5)) * 0.4
    C = factor @ factor.transpose(0, 2, 1)
    label = np.zeros(rows, np.int64)
    margin = margins(scores, label)
    together = of_many_labels(margin, margin, C, label)
    for row in range(min(rows, 6)):
        at = slice(row, row + 1)
        alone = of_many_labels(margin[at], margin[at], C[at], label[at])
        np.testing.assert_allclose(together.probability[at], alone.probability, rtol=1e-9)
        moved = scores[row] + random.normal(size=(200_000, 5)) @ factor[row].T
        assert alone.probability[0] == pytest.approx((moved.argmax(axis=1) != 0).mean(), abs=0.02)


def test_rivals_far_behind_the_nearest_do_not_count() -> None:
    def chance(second: float) -> float:
        return float(among([0.0, -1.0, -second], np.diag([0.0, 1.0, 1.0])).probability[0])

    alone, limit = stats.norm.sf(1.0), np.sqrt(1.0 + NEGLIGIBLE)
    assert chance(limit + 1e-6) == pytest.approx(alone, rel=1e-12)
    both = 1.0 - stats.norm.cdf(1.0) * stats.norm.cdf(limit - 1e-6)
    assert chance(limit - 1e-6) == pytest.approx(both, rel=1e-9)
    assert chance(limit - 1e-6) > alone * (1.0 + 1e-8)


def test_out_of_reach_only_the_nearest_counts() -> None:
    near = OUT_OF_REACH - 1e-6
    for distance, rivals in ((near, 2), (OUT_OF_REACH, 1)):
        found = among([0.0, -distance, -distance], np.diag([0.0, 1.0, 1.0])).probability[0]
        assert found == pytest.approx(rivals * stats.norm.sf(distance), rel=1e-6)


def test_levels_flip_past_either_threshold() -> None:
    below, above = np.array([1.0, np.inf, 0.5, 1.0]), np.array([2.0, 1.0, np.inf, 1.0])
    moved_below, moved_above = below - 0.25, above + 0.25
    sd, label = np.array([0.5, 1.0, 0.25, 0.0]), np.array([1, 0, 3, 1])
    found = of_levels(below, above, moved_below, moved_above, sd, label)
    assert found.distance.tolist() == [2.0, 1.0, 2.0, np.inf]
    tail = stats.norm.sf
    np.testing.assert_allclose(found.probability, [tail(1.5) + tail(4.5), tail(1.25), tail(1.0), 0.0], rtol=1e-12)
    assert found.runner_up.tolist() == [0, 1, 2, 0]


def test_what_is_left_out_is_as_rare_as_is_said() -> None:
    assert np.exp(-NEGLIGIBLE / 2.0) == pytest.approx(1e-5, rel=0.05)
    assert stats.norm.sf(OUT_OF_REACH) < 1e-15 < stats.norm.sf(OUT_OF_REACH - 0.1)
