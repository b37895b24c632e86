"""One row in plain floats, and the same row in numpy: the same measures."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Distribution, Reference
from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.lone.measures import MAX_SCORES, diagnose_row
from chainzrule.service.stability.lone.reference import percentile
from chainzrule.service.stability.lone.verdict import judge_row
from chainzrule.service.stability.measures import diagnose
from chainzrule.service.stability.reference import percentiles
from chainzrule.service.stability.verdict import Thresholds, judge, rules_of

Case = tuple[NDArray[np.float32], NDArray[np.float32]]


def random_case(rng: np.random.Generator, task: Task) -> Case:
    S = 1 if task == "regression" else int(rng.integers(2, MAX_SCORES + 1))
    scores = rng.normal(size=S) * 10 ** rng.uniform(-1, 1.5)
    if task == "ordinal":
        scores = np.sort(scores)[::-1]
    rank = int(rng.integers(0, S + 2))
    factor = rng.normal(size=(S, rank)) * 10 ** rng.uniform(-3, 1)
    if task == "ordinal":
        factor = np.repeat(factor[:1], S, axis=0)
    factor = factor.astype(np.float32)
    return scores.astype(np.float32), factor @ factor.T


def reference_of(quantiles: NDArray[np.float64]) -> Reference:
    volatilities = Distribution(mean=1.0, quantiles=tuple(quantiles.tolist()))
    return Reference(
        rows=101,
        out_of_fold=False,
        volatility=volatilities,
        gradient_norm=volatilities,
        gradient_tail_ratio=1.0,
        out_of_range_rate=0.0,
    )


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("task", ["classification", "ordinal", "regression"])
def test_a_row_alone_measures_as_it_does_in_a_batch(task: Task, shifted: bool) -> None:
    rng = np.random.default_rng(5)
    for _ in range(400):
        scores, covariance = random_case(rng, task)
        scale = float(10 ** rng.uniform(-1, 1))
        shift = rng.normal(size=len(scores)) * 0.1
        if task == "ordinal":
            shift[:] = shift[0]
        link = link_of(task, len(scores))
        one = diagnose_row(
            link,
            scores.astype(float).tolist(),
            covariance.astype(float).tolist(),
            scale,
            shift.tolist() if shifted else None,
        )
        batch = diagnose(link, scores[None], covariance[None], np.array([scale]), shift[None] if shifted else None)
        for name, expected in batch._asdict().items():
            found = getattr(one, name)
            np.testing.assert_allclose(found, expected[0], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("scores", "covariance"),
    [
        pytest.param([2.0, 2.0, 1.0], np.eye(3), id="tie"),
        pytest.param([1.0, 3.0, 2.0], np.zeros((3, 3)), id="no noise"),
        pytest.param([900.0, -900.0], np.eye(2) * 1e4, id="saturated"),
        pytest.param([1.0, 1.0, 1.0], np.ones((3, 3)), id="common direction only"),
        pytest.param([1.0, 0.0], np.eye(2) * 1e8, id="two scores that noise dwarfs"),
        pytest.param([1.0, 0.5, 0.0], np.eye(3) * 1e8, id="three scores that noise dwarfs"),
    ],
)
def test_edges_are_the_same(scores: list[float], covariance: NDArray[np.float64]) -> None:
    link = link_of("classification", len(scores))
    one = diagnose_row(link, scores, covariance.tolist(), 1.0)
    batch = diagnose(link, np.array([scores]), covariance[None], np.ones(1))
    for name, expected in batch._asdict().items():
        np.testing.assert_allclose(getattr(one, name), expected[0], rtol=1e-12, err_msg=name)


def test_percentiles_are_the_same() -> None:
    rng = np.random.default_rng(6)
    for quantiles in (np.sort(rng.exponential(size=101)), np.repeat([0.0, 1.0, 2.0], [40, 30, 31]), np.zeros(101)):
        reference = reference_of(quantiles)
        for volatility in [*rng.exponential(size=50).tolist(), *quantiles[:3].tolist(), 0.0, 1e9, math.inf]:
            expected = percentiles(np.array([volatility]), reference.volatility)[0]
            assert percentile(volatility, reference.volatility) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("task", ["classification", "ordinal", "regression"])
def test_verdicts_are_the_same(task: Task) -> None:
    rng = np.random.default_rng(7)
    reference = reference_of(np.sort(rng.exponential(size=101)))
    seen = set()
    for _ in range(300):
        scores, covariance = random_case(rng, task)
        link = link_of(task, len(scores))
        one = diagnose_row(link, scores.astype(float).tolist(), covariance.astype(float).tolist(), 1.0)
        batch = diagnose(link, scores[None], covariance[None], np.ones(1))
        outside = bool(rng.integers(2))
        rules = rules_of(link, reference, Thresholds())
        expected = judge(rules, batch, np.array([outside]))
        found = judge_row(rules, one, outside)
        assert [found.level] == expected.level.tolist()
        assert found.reasons() == expected.reasons(0)
        seen.add(found.level)
    assert seen == {0, 1, 2}
