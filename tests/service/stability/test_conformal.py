"""Regions hold the truth as often as they say, where new rows come from the same source as the held-out ones."""

import math
from itertools import pairwise

import numpy as np
import pytest

from chainzrule.service.artifact.evidence import MAX_ERRORS, Conformity
from chainzrule.service.stability.conformal import (
    LARGEST_ERROR,
    Regions,
    intervals,
    label_sets,
    largest_error,
    least_probability,
    listed_ends,
    make_conformity,
    members,
)
from chainzrule.service.stability.link import Link, link_of

CONFIDENCES = (0.05, 0.5, 0.8, 0.9, 0.95, 0.99)
REGRESSION = link_of("regression", 1)
NOTHING = np.zeros(0)


def known(*errors: float, scale: float | None = None) -> Conformity:
    return Conformity(rows=len(errors), out_of_fold=False, scale=scale, errors=errors)


def scored(link: Link, rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a model that is too sure of itself, and the truth."""
    if link.task == "ordinal":
        latent = 2.0 * random.normal(size=rows)
        y = np.searchsorted([-1.0, 0.0, 1.5], latent + random.logistic(size=rows))
        return 3.0 * (latent[:, None] - np.array([-1.0, 0.0, 1.5])), y
    true = random.normal(size=(rows, 4))
    y = (true + random.gumbel(size=true.shape)).argmax(axis=1)
    return 3.0 * true, y


# The errors that a card holds.


def test_the_error_of_a_label_is_how_unlikely_it_was() -> None:
    scores = np.log(np.array([[0.7, 0.2, 0.1], [0.5, 0.25, 0.25]]))
    found = make_conformity(link_of("classification", 3), scores, np.array([1, 0]), NOTHING, out_of_fold=True)
    assert found.errors == pytest.approx((-math.log(0.5), -math.log(0.2)), rel=1.01e-5)
    assert (found.rows, found.out_of_fold, found.scale) == (2, True, None)


def test_the_error_of_a_level_is_how_unlikely_it_was() -> None:
    link = link_of("ordinal", 2)
    scores = np.array([[1.0, -1.0], [2.0, 1.0]])
    probabilities = link.probabilities(scores)
    assert probabilities is not None
    found = make_conformity(link, scores, np.array([1, 0]), NOTHING, out_of_fold=False)
    expected = sorted([-math.log(probabilities[0, 1]), -math.log(probabilities[1, 0])])
    assert found.errors == pytest.approx(expected, rel=1.01e-5)


def test_the_error_of_a_number_is_its_distance_over_the_mean_one() -> None:
    scores, y, volatility = np.array([[1.0], [2.0], [3.0]]), np.array([1.0, 5.0, -1.0]), np.array([0.0, 4.0, 1.0])
    found = make_conformity(REGRESSION, scores, y, volatility, out_of_fold=False)
    assert (found.scale, found.per_volatility) == (pytest.approx(7 / 3), 0.0)  # three rows are too few for more
    assert found.errors == pytest.approx((0.0, 9 / 7, 12 / 7), rel=1.01e-5)
    many = np.random.default_rng(0).exponential(size=500)
    found = make_conformity(REGRESSION, np.zeros((500, 1)), many, None, out_of_fold=False)
    assert (found.scale, found.per_volatility) == (pytest.approx(many.mean()), 0.0)
    assert max(found.errors) == pytest.approx(many.max() / many.mean(), rel=1.01e-5)


@pytest.mark.parametrize(
    ("slope", "expected"),
    [(3.0, (2.0, 3.0)), (0.0, (2.0, 0.0)), (-0.5, (None, 0.0))],
    ids=["more", "alike", "less"],
)
def test_volatile_rows_are_expected_to_err_more_where_they_do(
    slope: float, expected: tuple[float | None, float]
) -> None:
    random = np.random.default_rng(5)
    spread = random.uniform(0.0, 3.0, size=4000)
    distance = (2.0 + slope * spread) * random.uniform(0.9, 1.1, size=4000)
    found = make_conformity(REGRESSION, np.zeros((4000, 1)), distance, spread, out_of_fold=True)
    assert found.per_volatility == pytest.approx(expected[1], abs=0.05)
    assert found.scale == pytest.approx(distance.mean() if expected[0] is None else expected[0], rel=0.02)
    if slope >= 0:
        assert 0.88 < min(found.errors) < max(found.errors) < 1.12
    few = make_conformity(REGRESSION, np.zeros((99, 1)), distance[:99], spread[:99], out_of_fold=True)
    assert few.per_volatility == 0.0
    assert make_conformity(
        REGRESSION, np.zeros((100, 1)), distance[:100], spread[:100], out_of_fold=True
    ).per_volatility == pytest.approx(expected[1], abs=0.2)


@pytest.mark.parametrize(("correlation", "stands_out"), [(0.2, False), (0.215, True), (-0.9, False)])
def test_a_slope_has_to_stand_out_from_chance(correlation: float, stands_out: bool) -> None:
    """Of 200 rows, a correlation of 0.2085 is three standard errors above 0."""
    steps, rest = np.tile([-1.0, 1.0], 100), np.tile([-1.0, -1.0, 1.0, 1.0], 50)  # which have nothing in common
    distance = 10.0 + correlation * steps + math.sqrt(1.0 - correlation**2) * rest
    found = make_conformity(REGRESSION, np.zeros((200, 1)), distance, 2.0 + steps, out_of_fold=False)
    assert (found.per_volatility > 0) == stands_out


def test_a_row_is_told_its_expected_distance_by_the_others() -> None:
    random = np.random.default_rng(6)
    spread = random.uniform(0.0, 1.0, size=100)
    distance = 1.0 + spread
    spread[7], distance[7] = 9.0, 100.0  # which draws the line to itself
    found = make_conformity(REGRESSION, np.zeros((100, 1)), distance, spread, out_of_fold=True)
    assert found.scale is not None
    assert distance[7] / (found.scale + found.per_volatility * 9.0) < 4.0
    assert found.errors[-1] == pytest.approx(100.0 / (1.0 + 9.0), rel=1e-3)  # by the line of all others


def test_no_row_is_expected_to_be_exact() -> None:
    spread = np.linspace(0.0, 1.0, 200)
    found = make_conformity(REGRESSION, np.zeros((200, 1)), 5.0 * spread**3, spread, out_of_fold=True)
    assert found.scale == pytest.approx(0.1 * np.mean(5.0 * spread**3), rel=1e-6)
    assert found.scale + found.per_volatility * spread.mean() == pytest.approx(np.mean(5.0 * spread**3), rel=1e-6)


def test_a_model_that_is_never_wrong_has_a_scale_all_the_same() -> None:
    scores = np.array([[1.0], [2.0]])
    found = make_conformity(REGRESSION, scores, scores[:, 0], np.array([0.0, 1.0]), out_of_fold=False)
    assert found.errors == (0.0, 0.0)
    assert make_conformity(REGRESSION, np.ones((200, 1)), np.ones(200), np.arange(200.0), False).errors == (0.0,) * 200
    assert found.scale is not None
    assert found.scale > 0


def test_a_card_says_how_often_the_truth_is_held_by_label() -> None:
    link, random = link_of("classification", 4), np.random.default_rng(8)
    scores, y = scored(link, 3000, random)
    y[y == 2] = 0  # which nobody ever is
    found = make_conformity(link, scores, y, NOTHING, out_of_fold=False)
    assert [one.rows for one in found.slices] == np.bincount(y, minlength=4).tolist()
    probabilities = link.probabilities(scores)
    assert probabilities is not None
    for at, confidence in enumerate((0.8, 0.9, 0.95)):
        sets = label_sets(probabilities, y, Regions(found, ordered=False).limits(np.array([confidence])), ordered=False)
        held = sets[np.arange(3000), y]
        for label in (0, 1, 3):
            coverage = found.slices[label].coverage
            assert coverage is not None
            assert coverage[at] == pytest.approx(held[y == label].mean(), abs=1e-3)
    assert found.slices[2].coverage is None


def test_a_card_says_how_often_the_truth_is_held_by_quarter_of_the_prediction() -> None:
    value = np.arange(1000.0)[::-1]
    y = value + np.where(value >= 750, 3.0, 1.0) * np.random.default_rng(9).normal(size=1000)
    slices = make_conformity(REGRESSION, value[:, None], y, None, out_of_fold=True).slices
    assert [one.rows for one in slices] == [250] * 4
    shares = np.array([one.coverage for one in slices])
    np.testing.assert_allclose(shares.mean(axis=0), [0.8, 0.9, 0.95], atol=0.002)
    assert (shares[3] < shares[:3].min(axis=0) - 0.1).all()


def test_errors_beyond_what_float32_tells_apart_are_cut() -> None:
    scores = np.array([[0.0, 500.0], [0.0, 1.0]])
    found = make_conformity(link_of("classification", 2), scores, np.array([0, 1]), NOTHING, out_of_fold=False)
    assert found.errors[-1] == LARGEST_ERROR


@pytest.mark.parametrize("rows", [1, 999, MAX_ERRORS, MAX_ERRORS + 1, 1999, 2000, 10_007])
def test_kept_errors_are_never_below_those_they_stand_for(rows: int) -> None:
    residuals = np.random.default_rng(rows).exponential(size=rows)
    scores = np.c_[residuals, 0 * residuals]
    found = make_conformity(link_of("classification", 2), scores, np.ones(rows), NOTHING, out_of_fold=False)
    assert len(found.errors) == min(rows, MAX_ERRORS)
    all_errors = np.sort(-link_of("classification", 2).log_likelihood(scores, np.ones(rows)))
    for confidence in (1e-6, 0.001, 0.1, 0.5, 0.8, 0.9, 0.95, 0.999):  # of which the service keeps every thousandth
        rank = max(math.ceil(round((rows + 1) * confidence, 9)), 1)
        if rank > rows:
            assert largest_error(found, confidence) == math.inf
        elif confidence == 1e-6:
            assert all_errors[0] <= largest_error(found, confidence) <= all_errors[rows // MAX_ERRORS] * (1 + 1.01e-5)
        else:
            assert largest_error(found, confidence) == pytest.approx(all_errors[rank - 1], rel=1.01e-5)
            assert largest_error(found, confidence) >= all_errors[rank - 1]
    for confidence in np.random.default_rng(1).uniform(size=100).tolist():
        rank = math.ceil((rows + 1) * confidence)
        if rank <= rows:
            further = all_errors[min(rank + rows // MAX_ERRORS, rows - 1)]
            assert all_errors[rank - 1] <= largest_error(found, confidence) <= further * (1 + 1.01e-5)


# What follows from them.


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [(1e-9, 0.1), (0.1, 0.1), (0.11, 0.2), (0.5, 0.5), (0.8, 0.8), (0.9, 0.9), (0.9001, math.inf), (0.999, math.inf)],
)
def test_of_nine_errors_the_last_is_exceeded_by_one_in_ten(confidence: float, expected: float) -> None:
    assert largest_error(known(*(n / 10 for n in range(1, 10))), confidence) == expected


def test_a_label_belongs_from_the_probability_that_the_error_says() -> None:
    assert least_probability(1.0, ordered=False) == pytest.approx(math.exp(-1), rel=1e-5)
    assert least_probability(1.0, ordered=False) < math.exp(-1)
    assert least_probability(12.0, ordered=True) == pytest.approx(math.exp(-12) - 2**-22, rel=1e-5)
    assert least_probability(30.0, ordered=True) == 0.0  # what is left of the levels' probabilities is rounding
    assert least_probability(LARGEST_ERROR, ordered=False) == least_probability(math.inf, ordered=False) == 0.0


def test_a_set_holds_what_is_likely_enough_and_has_no_gap_between_levels() -> None:
    p = np.array([[0.4, 0.05, 0.3, 0.25], [0.1, 0.2, 0.4, 0.3], [0.3, 0.3, 0.3, 0.1]])
    label, least = np.array([0, 2, 1]), np.array([0.26, 0.9, 0.0])
    found = label_sets(p, label, least, ordered=False)
    assert members(found) == [[0, 2], [], [0, 1, 2, 3]]
    assert members(label_sets(p, label, least, ordered=True)) == [[0, 1, 2], [], [0, 1, 2, 3]]
    # A median need not be the likeliest level.
    assert members(label_sets(p[:1], np.array([1]), np.array([0.26]), ordered=True)) == [[0, 1, 2]]
    assert members(label_sets(p[:1], np.array([3]), np.array([0.35]), ordered=True)) == [[0, 1, 2, 3]]
    assert members(label_sets(p[:1], np.array([3]), np.array([0.35]), ordered=False)) == [[0]]
    assert members(found[:0]) == []


def test_one_limit_serves_all_rows() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(3), size=7)
    label = p.argmax(axis=1)
    alike = label_sets(p, label, np.array([0.2]), ordered=False)
    np.testing.assert_array_equal(alike, label_sets(p, label, np.full(7, 0.2), ordered=False))
    value, expected = p[:, 0], p[:, 1]
    for one, each in zip(
        intervals(value, value, expected, np.array([2.0])),
        intervals(value, value, expected, np.full(7, 2.0)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, each)


def test_an_interval_is_as_wide_as_the_row_and_the_error_say() -> None:
    low, high = intervals(*[np.array([10.0, 10.0])] * 2, np.array([3.0, 5.0]), np.array([2.0, math.inf]))
    assert (low.tolist(), high.tolist()) == ([4.0, -math.inf], [16.0, math.inf])
    low, high = intervals(np.array([10.0, 0.0]), np.array([11.0, 0.0]), 5.0, np.array([2.0]))
    assert (low.tolist(), high.tolist()) == ([0.0, -10.0], [21.0, 10.0])


def test_limits_are_of_each_rows_confidence() -> None:
    errors = [n / 10 for n in range(1, 10)]
    numbers, labels = Regions(known(*errors, scale=2.0), ordered=False), Regions(known(*errors), ordered=False)
    assert numbers.limits(np.array([0.5, 0.9, 0.95])).tolist() == [0.5, 0.9, math.inf]
    assert numbers.limits(np.full(5, 0.5)).tolist() == [0.5]
    assert labels.limits(np.array([0.5, 0.95])).tolist() == [least_probability(0.5, ordered=False), 0.0]
    assert (numbers.scale, labels.scale) == (2.0, None)
    assert numbers.per_volatility == 0.0


def test_limits_of_many_confidences_are_not_all_kept() -> None:
    regions = Regions(known(0.5, 1.0), ordered=False)
    for confidence in np.linspace(0.01, 0.99, 2000).tolist():
        regions.limit(confidence)
    assert regions.limit.cache_info().currsize <= 256  # type: ignore[attr-defined]


# What is promised.

SPLITS, CALIBRATED, ASKED = 400, 199, 50


@pytest.mark.parametrize("task", ["classification", "ordinal"])
def test_sets_hold_the_true_label_as_often_as_they_say(task: str) -> None:
    link, random = link_of(task, 4 if task == "classification" else 3), np.random.default_rng(1)  # type: ignore[arg-type]
    covered: dict[float, list[float]] = {confidence: [] for confidence in CONFIDENCES}
    sizes: dict[float, list[float]] = {confidence: [] for confidence in CONFIDENCES}
    for _ in range(SPLITS):
        scores, y = scored(link, CALIBRATED + ASKED, random)
        regions = Regions(
            make_conformity(link, scores[ASKED:], y[ASKED:], NOTHING, out_of_fold=False), ordered=task == "ordinal"
        )
        asked, true = scores[:ASKED], y[:ASKED]
        probabilities = link.probabilities(asked)
        assert probabilities is not None
        for confidence in CONFIDENCES:
            limits = regions.limits(np.full(ASKED, confidence))
            sets = label_sets(probabilities.astype(np.float32), link.label(asked), limits, regions.ordered)
            covered[confidence].append(float(sets[np.arange(ASKED), true].mean()))
            sizes[confidence].append(float(sets.sum(axis=1).mean()))
    for confidence, shares in covered.items():
        error = np.std(shares) / math.sqrt(SPLITS)
        assert np.mean(shares) > confidence - 4 * error
        if task == "classification":  # sets of levels hold more than they need, to have no gap
            assert np.mean(shares) < confidence + 1 / CALIBRATED + 4 * error
    means = [np.mean(sizes[confidence]) for confidence in CONFIDENCES]
    assert means[0] < 0.5
    assert all(low <= high for low, high in pairwise(means))
    assert means[-1] > means[2] + 0.5


@pytest.mark.parametrize("known_spread", [False, True])
def test_intervals_hold_the_true_value_as_often_as_they_say(known_spread: bool) -> None:
    random = np.random.default_rng(2)
    covered: dict[float, list[float]] = {confidence: [] for confidence in CONFIDENCES}
    for _ in range(SPLITS):
        spread = random.exponential(size=CALIBRATED + ASKED) if known_spread else np.zeros(CALIBRATED + ASKED)
        value = random.normal(size=CALIBRATED + ASKED)
        y = value + 0.5 + np.hypot(spread, 1.0) * random.standard_t(3, size=len(value))  # biased, with long tails
        known = make_conformity(REGRESSION, value[ASKED:, None], y[ASKED:], spread[ASKED:], out_of_fold=False)
        regions = Regions(known, ordered=False)
        assert regions.scale is not None
        for confidence in CONFIDENCES:
            expected = regions.scale + regions.per_volatility * spread[:ASKED]
            low, high = intervals(value[:ASKED], value[:ASKED], expected, regions.limits(np.full(ASKED, confidence)))
            covered[confidence].append(float(((low <= y[:ASKED]) & (y[:ASKED] <= high)).mean()))
    for confidence, shares in covered.items():
        error = np.std(shares) / math.sqrt(SPLITS)
        assert confidence - 4 * error < np.mean(shares) < confidence + 1 / CALIBRATED + 4 * error


def test_ends_that_are_infinite_are_listed_as_none() -> None:
    ends = np.array([1.0, -np.inf]), np.array([2.0, np.inf])
    assert list(listed_ends(ends, 2)) == [[1.0, 2.0], [None, None]]
    assert list(listed_ends(None, 2)) == [None, None]
