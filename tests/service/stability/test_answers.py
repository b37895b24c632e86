"""What models answer is counted, and compared with the held-out answers by a test whose false alarms are as stated."""

import math

import numpy as np
import pytest
from scipy import stats

from chainzrule.service.artifact.evidence import Answers, Counts
from chainzrule.service.stability.answers import (
    BLOCK_ROWS,
    AnswerWatch,
    Bins,
    drift_score,
    log10_chi_square_tail,
    make_answers,
)
from chainzrule.service.stability.link import link_of

CLASSES = link_of("classification", 3)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 10, 63])
@pytest.mark.parametrize("x", [0.01, 1.0, 9.0, 40.0, 200.0, 1000.0])
def test_the_tail_is_that_of_chi_square(degrees: int, x: float) -> None:
    assert log10_chi_square_tail(x, degrees) == pytest.approx(
        stats.chi2.logsf(x, degrees) / math.log(10.0), rel=1e-6, abs=1e-9
    )


def test_the_tail_ends_somewhere() -> None:
    assert log10_chi_square_tail(0.0, 3) == 0.0
    assert log10_chi_square_tail(1e5, 3) == -300.0


def test_the_score_is_that_of_the_test_for_two_samples() -> None:
    live, known = np.array([310.0, 420.0, 270.0]), np.array([90.0, 160.0, 150.0])
    found = stats.chi2_contingency(np.array([live, known]), correction=False)
    assert drift_score(live, known) == pytest.approx(-math.log10(found.pvalue), rel=1e-9)


def test_bins_with_few_rows_are_counted_together() -> None:
    live, known = np.array([500.0, 480.0, 12.0, 8.0]), np.array([50.0, 49.0, 0.0, 1.0])
    merged = drift_score(np.array([500.0, 480.0, 20.0]), np.array([50.0, 49.0, 1.0]))
    assert drift_score(live, known) == merged


@pytest.mark.parametrize(
    ("live", "known"),
    [([1000.0, 0.0], [40.0, 5.0]), ([20.0, 20.0], [500.0, 500.0]), ([1000.0, 0.0], [300.0, 0.0])],
)
def test_too_little_says_nothing(live: list[float], known: list[float]) -> None:
    assert drift_score(np.array(live), np.array(known)) is None


def test_labels_and_their_probabilities_are_counted() -> None:
    scores = np.random.default_rng(0).normal(size=(500, 3)) * 3.0
    found = make_answers(CLASSES, scores)
    assert found.rows == 500
    assert found.value is None
    assert found.labels == tuple(np.bincount(scores.argmax(axis=1), minlength=3).tolist())
    assert found.probability is not None
    assert sum(found.probability.rows) == 500
    assert max(found.probability.rows) < 500 / 3
    assert all(0.3 < edge < 1.0 for edge in found.probability.edges)


def test_numbers_are_counted_by_tenths() -> None:
    found = make_answers(link_of("regression", 1), np.arange(1000.0)[:, None])
    assert (found.labels, found.probability) == (None, None)
    assert found.value is not None
    assert found.value.rows == (100,) * 10
    assert found.value.edges[0] == 99.5


@pytest.mark.parametrize(("values", "bins"), [([3.0] * 60, 1), ([1.0] * 59 + [2.0], 2), ([1.0, 2.0] * 50, 2)])
def test_equal_numbers_share_a_bin(values: list[float], bins: int) -> None:
    found = make_answers(link_of("regression", 1), np.array(values)[:, None]).value
    assert found is not None
    assert len(found.rows) == bins
    assert sum(found.rows) == len(values)
    assert not set(found.edges) & set(values)


def test_rows_are_counted_alike_alone_and_together() -> None:
    rng = np.random.default_rng(1)
    known = make_answers(CLASSES, rng.normal(size=(500, 3)) * 3.0)
    label, probability = rng.integers(3, size=200), rng.uniform(0.34, 1.0, size=200).astype(np.float32)
    together, alone = AnswerWatch(known, "abc"), AnswerWatch(known, "abc")
    together.add(label, probability, label, 200)
    for one, p in zip(label.tolist(), probability.tolist(), strict=True):
        alone.add(one, p, one, 1)
    for bins, others in zip(together.bins, alone.bins, strict=True):
        assert bins.rows == others.rows
        assert sum(bins.rows) == 200
    assert [bins.kind for bins in together.bins] == ["label", "probability"]
    assert together.bins[0].names == ("a", "b", "c")
    assert together.bins[1].names[-1] == "+Inf"


def test_a_block_ends_with_a_comparison_and_the_next_begins() -> None:
    watch = AnswerWatch(Answers(rows=500, value=Counts(edges=(0.0,), rows=(250, 250))), ())
    (bins,) = watch.bins
    usual, odd = np.tile([-1.0, 1.0], BLOCK_ROWS // 2), np.ones(BLOCK_ROWS)
    watch.add(usual[1:], None, usual[1:], BLOCK_ROWS - 1)
    assert bins.drift is None
    watch.add(0, None, -1.0, 1)
    assert bins.drift is not None
    assert bins.drift < 0.1
    frozen = watch.frozen()
    watch.add(odd, None, odd, BLOCK_ROWS)
    assert bins.drift > 100
    assert bins.rows == [500, 1500]
    assert frozen.bins[0].rows == [500, 500]
    watch.add(usual, None, usual, BLOCK_ROWS)
    assert bins.drift < 0.1


def test_several_kinds_share_the_false_alarms() -> None:
    bins = Bins("label", "ab", None, [300, 300])
    bins.add(np.repeat([0, 1], [600, 400]))
    bins.compare(1)
    alone = bins.drift
    bins.add(np.repeat([0, 1], [600, 400]))
    bins.compare(2)
    assert alone is not None
    assert bins.drift == pytest.approx(alone - math.log10(2))


@pytest.mark.parametrize("rows", [120, 2000])
def test_usual_answers_rarely_score_high(rows: int) -> None:
    """Of 20,000 blocks of 1,000 rows, 2 in 100 score above 1.7, and 20 above 3; every ten have other held-out rows."""
    rng, law = np.random.default_rng(5), np.array([0.55, 0.25, 0.15, 0.05])
    scores = []
    for _ in range(2000):
        known = rng.multinomial(rows, law).astype(np.float64)
        scores += [drift_score(live.astype(np.float64), known) for live in rng.multinomial(BLOCK_ROWS, law, size=10)]
    found = np.array(scores, dtype=np.float64)
    assert np.mean(found > -math.log10(0.02)) == pytest.approx(0.02, abs=0.006)
    assert np.sum(found > 3.0) <= 45


def test_a_change_is_noticed() -> None:
    known, rng = np.array([700.0, 200.0, 100.0]), np.random.default_rng(6)
    score = drift_score(rng.multinomial(BLOCK_ROWS, [0.6, 0.3, 0.1]).astype(np.float64), known)
    assert score is not None
    assert score > 3.0
