"""Counted stability against laws known in closed form, and its intervals against how often they hold the truth."""

import math

import numpy as np
import pytest
from scipy import stats

from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.montecarlo import Tally


def tally(task: Task, own: np.ndarray, moved: np.ndarray, parts: int = 3) -> Tally:
    found = Tally(link_of(task, len(own)), own)
    for part in np.array_split(moved.astype(np.float32), parts):
        found.add(part)
    return found


def test_a_regressions_spread_is_the_draws() -> None:
    moved = 1e4 + np.random.default_rng(0).normal(size=(5000, 1)) * 0.5
    found = tally("regression", np.array([1e4]), moved)
    assert found.draws == 5000
    assert found.volatility().value == pytest.approx(moved.astype(np.float32).astype(float).std(ddof=1), rel=1e-9)
    assert found.flips == 0


def test_labels_that_change_are_counted() -> None:
    random = np.random.default_rng(1)
    own = np.array([1.0, 0.2, -1.0])
    moved = own + random.normal(size=(4000, 3))
    found = tally("classification", own, moved)
    assert found.flip_probability().value == (moved.argmax(axis=1) != 0).mean()
    odds = np.exp(moved.astype(np.float32).astype(float))
    probability = odds[:, 0] / odds.sum(axis=1)
    assert found.volatility().value == pytest.approx(probability.std(ddof=1), rel=1e-9)
    grades = -np.sort(-own)[None] + random.normal(size=(4000, 1))
    ordinal = tally("ordinal", -np.sort(-own), grades)
    assert ordinal.flip_probability().value == ((grades > 0).sum(axis=1) != 2).mean()


def test_a_saturated_probability_keeps_its_precision() -> None:
    moved = np.random.default_rng(2).normal(size=(20_000, 1)) * 0.1 * np.array([0.5, -0.5]) + np.array([30.0, -30.0])
    found = tally("classification", np.array([30.0, -30.0]), moved).volatility()
    truth = math.exp(-60 + 0.1**2 / 2) * math.sqrt(math.expm1(0.1**2))
    assert found.value == pytest.approx(truth, rel=0.05)


def test_intervals_hold_the_truth_nineteen_times_in_twenty() -> None:
    random = np.random.default_rng(3)
    margin, sd, hits = 1.2, 1.0, np.zeros(2)
    for _ in range(400):
        z = margin + sd * random.normal(size=300)
        found = tally("classification", np.array([margin, 0.0]), np.stack([z, np.zeros(300)], axis=1), parts=1)
        flips = found.flip_probability()
        hits[0] += flips.low <= stats.norm.sf(margin / sd) <= flips.high
        value = tally("regression", np.array([margin]), z[:, None], parts=1).volatility()
        hits[1] += value.low <= sd <= value.high
    assert (hits / 400 > 0.91).all()
    assert (hits / 400 < 0.99).all()


@pytest.mark.parametrize(("margin", "sd"), [(3.0, 1.0), (6.0, 2.0)])
def test_intervals_hold_the_truth_where_few_draws_make_the_spread(margin: float, sd: float) -> None:
    random, hits = np.random.default_rng(4), 0
    truth = (1 / (1 + np.exp(margin + sd * random.normal(size=4_000_000)))).std()
    for _ in range(400):
        z = margin + sd * random.normal(size=1000)
        found = tally("classification", np.array([margin, 0.0]), np.stack([z, np.zeros(1000)], axis=1), parts=1)
        volatility = found.volatility()
        hits += volatility.low <= truth <= volatility.high
    assert 0.92 < hits / 400 < 0.99


def test_what_never_happened_still_has_an_upper_bound() -> None:
    found = tally("classification", np.array([5.0, 0.0]), np.tile([5.0, 0.0], (100, 1)))
    assert found.volatility() == (0.0, 0.0, 0.0)
    flips = found.flip_probability()
    assert (flips.value, flips.low) == (0.0, 0.0)
    assert flips.high == pytest.approx(0.037, abs=0.001)
