"""Flips against the normal laws that they speak of: each form by itself, at its edges and where two forms meet."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from chainzrule.service.stability import flips
from chainzrule.service.stability.link import Classification, margins

Floats = NDArray[np.float64]


def many(scores: Floats, C: Floats, displaced: Floats | None = None) -> flips.Flips:
    label = scores.argmax(axis=1)
    margin = margins(scores, label)
    return flips.of_many_labels(margin, margin if displaced is None else margins(displaced, label), C, label)


def law_of_margins(scores: Floats, C: Floats) -> tuple[Floats, Floats]:
    """The mean and the covariance of the label's leads over all others, of one row."""
    label = int(scores.argmax())
    others = [one for one in range(len(scores)) if one != label]
    lead = np.eye(len(scores))[label] - np.eye(len(scores))[others]
    return lead @ scores, lead @ C @ lead.T


def test_without_labels_there_are_no_flips() -> None:
    found = flips.none(2)
    assert found.distance.tolist() == [np.inf, np.inf]
    assert np.isnan(found.probability).all()
    assert found.runner_up.tolist() == [-1, -1]


def test_two_labels_are_apart_by_the_lead_and_flip_by_its_mean_under_noise() -> None:
    margin, displaced = np.array([2.0, 2.0, 0.0]), np.array([2.0, -1.0, 0.5])
    found = flips.of_two_labels(margin, displaced, np.full(3, 0.5), np.array([0, 1, 0]))
    assert found.distance.tolist() == [4.0, 4.0, 0.0]
    np.testing.assert_allclose(found.probability, stats.norm.sf(displaced / 0.5), rtol=1e-12)
    assert found.runner_up.tolist() == [1, 0, 1]


def test_two_labels_that_no_noise_moves_do_not_flip_however_near() -> None:
    found = flips.of_two_labels(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1, np.int64))
    assert (found.distance[0], found.probability[0], found.runner_up[0]) == (np.inf, 0.0, 1)


def test_two_rivals_are_the_exact_bivariate_law() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(40, 3))
    factor = rng.normal(size=(40, 3, 3)) * 0.7
    C = factor @ factor.transpose(0, 2, 1)
    found = many(scores, C)
    for row in range(40):
        mean, joint = law_of_margins(scores[row], C[row])
        exact = 1.0 - stats.multivariate_normal.cdf(np.zeros(2), mean=-mean, cov=joint)
        assert found.probability[row] == pytest.approx(exact, abs=1e-6)
        sigmas = mean / np.sqrt(np.diag(joint))
        assert found.distance[row] == pytest.approx(sigmas.min(), rel=1e-9)


def test_the_runner_up_is_the_nearest_in_sigmas_and_not_in_scores() -> None:
    found = many(np.array([[2.0, 1.5, 0.0]]), np.diag([0.01, 0.01, 9.0])[None])
    assert found.runner_up.tolist() == [2]
    assert found.distance[0] == pytest.approx(2.0 / np.sqrt(9.01))


def test_where_nothing_moves_the_runner_up_is_the_next_score_and_the_others_keep_theirs() -> None:
    scores = np.array([[0.0, 3.0, 2.0], [2.0, 1.5, 0.0]])
    found = many(scores, np.stack([np.zeros((3, 3)), np.diag([0.01, 0.01, 9.0])]))
    assert found.runner_up.tolist() == [2, 2]
    assert found.distance[0] == np.inf
    assert found.probability[0] == 0.0
    assert found.probability[1] > 0.2


def test_a_displaced_law_changes_the_chance_and_neither_distance_nor_runner_up() -> None:
    scores, C = np.array([[1.0, 0.0, -2.0]]), 0.25 * np.eye(3)[None]
    still, moved = many(scores, C), many(scores, C, np.array([[0.0, 0.0, 3.0]]))
    assert moved.distance == still.distance
    assert moved.runner_up == still.runner_up
    mean = np.array([0.0, -3.0])
    exact = 1.0 - stats.multivariate_normal.cdf(np.zeros(2), mean=-mean, cov=0.25 * (np.eye(2) + 1.0))
    assert moved.probability[0] == pytest.approx(exact, abs=1e-6)


def test_a_rival_that_the_shift_brings_into_reach_counts() -> None:
    scores, C = np.array([[20.0, 0.0, 0.0]]), 0.5 * np.eye(3)[None]
    found = many(scores, C, np.array([[1.0, 0.0, -30.0]]))
    assert found.distance[0] == 20.0
    assert found.probability[0] == pytest.approx(stats.norm.sf(1.0), rel=1e-9)


@pytest.mark.parametrize(("share", "moves"), [(0.5, False), (2.0, True)])
def test_a_variance_below_its_terms_rounding_is_none(share: float, moves: bool) -> None:
    # A lead's variance of `share` roundings, of scores that otherwise move together.
    variance = share * flips.ROUNDING * 2.0
    C = np.ones((1, 3, 3))
    C[:, 0, 1] = C[:, 1, 0] = 1.0 - variance / 2
    C[:, 1, 2] = C[:, 2, 1] = 1.0 - variance / 2
    found = many(np.array([[0.0, 0.0, -1.0]]), C)
    assert (found.distance[0] == 0.0) == moves
    assert (found.probability[0] > 0.4) == moves


def test_rivals_that_are_out_of_reach_leave_the_nearest_alone() -> None:
    near, far = 1.0, np.sqrt(1.0 + flips.NEGLIGIBLE) + 1e-6  # noise on the label's score alone: leads move as one
    C = np.zeros((1, 3, 3))
    C[0] = np.diag([0.0, 1.0, 1.0])
    found = many(np.array([[0.0, -near, -far]]), C)
    assert found.probability[0] == stats.norm.sf(near)
    beyond = flips.OUT_OF_REACH + 0.1
    found = many(np.array([[0.0, -beyond, -beyond]]), C)
    assert found.probability[0] == pytest.approx(stats.norm.sf(beyond), rel=1e-12)
    within = many(np.array([[0.0, -near, -near]]), C)
    assert within.probability[0] == pytest.approx(1.0 - stats.norm.cdf(near) ** 2, rel=1e-9)


def test_few_and_many_rows_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(30, 6)) * 2
    factor = rng.normal(size=(30, 6, 4)) * 0.5
    C = factor @ factor.transpose(0, 2, 1)
    whole = many(scores, C)
    for few in (0, 10**6):  # all by numpy, and all in plain floats
        monkeypatch.setattr(flips, "FEW", few)
        np.testing.assert_allclose(many(scores, C).probability, whole.probability, rtol=1e-9)


def test_levels_flip_over_either_threshold() -> None:
    below, above = np.array([1.0, np.inf, 0.5]), np.array([2.0, 0.4, np.inf])
    moved_below, moved_above = below + 0.3, above - 0.3
    label, sd = np.array([1, 0, 3]), np.array([0.5, 0.5, 0.25])
    found = flips.of_levels(below, above, moved_below, moved_above, sd, label)
    assert found.distance.tolist() == [2.0, 0.8, 2.0]
    expected = stats.norm.sf(moved_below / sd) + stats.norm.sf(moved_above / sd)
    np.testing.assert_allclose(found.probability, expected, rtol=1e-12)
    assert found.runner_up.tolist() == [0, 1, 2]


def test_levels_that_no_noise_moves_stay() -> None:
    nothing = np.zeros(1)
    found = flips.of_levels(nothing, np.ones(1), nothing, np.ones(1), nothing, np.array([2]))
    assert (found.distance[0], found.probability[0], found.runner_up[0]) == (np.inf, 0.0, 1)


def test_a_batch_says_of_each_row_what_it_says_of_it_alone() -> None:
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(12, 6)) * np.linspace(0.5, 12.0, 12)[:, None]  # from six near rivals to none
    factor = rng.normal(size=(12, 6, 4)) * 0.7
    C = factor @ factor.transpose(0, 2, 1)
    for count in (3, 12):  # in plain floats and by numpy
        together = many(scores[:count], C[:count])
        for row in range(count):
            alone = many(scores[row : row + 1], C[row : row + 1])
            for found, expected in zip(together, alone, strict=True):
                assert found[row] == pytest.approx(expected[0], rel=1e-9, abs=1e-300)


def test_counted_flips_are_the_draws_with_another_label() -> None:
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(20, 4))
    moved = scores[:, None] + rng.normal(size=(20, 300, 4))
    label = scores.argmax(axis=1)
    found = flips.counted(Classification(), scores, moved, label)
    for row in range(20):
        drawn = moved[row].argmax(axis=1)
        assert found.probability[row] == (drawn != label[row]).mean()
        others = [int((drawn == other).sum()) if other != label[row] else -1 for other in range(4)]
        assert found.runner_up[row] == np.argmax(others)
    assert np.isinf(found.distance).all()


def test_where_no_draw_flips_the_runner_up_is_the_nearest_in_sigmas_or_else_in_scores() -> None:
    scores = np.array([[9.0, 3.0, 1.0], [9.0, 3.0, 1.0], [1.0, 9.0, 3.0], [9.0, 3.0, 1.0]])
    moved = np.repeat(scores[:, None], 4, axis=1)
    moved[0, :, 2] += [-2.0, 2.0, -2.0, 2.0]  # only the lowest score moves
    moved[1, :, 2] += [-0.2, 0.2, -0.2, 0.2]
    moved[1, :, 1] += [-2.0, 2.0, -2.0, 2.0]  # both do, and the next one more
    moved[3, :, 2] += [-0.2, 0.2, -0.2, 0.2]  # little as it is, nothing else moves
    found = flips.counted(Classification(), scores, moved, scores.argmax(axis=1))
    assert found.runner_up.tolist() == [2, 1, 2, 2]
    assert found.probability.tolist() == [0.0, 0.0, 0.0, 0.0]
