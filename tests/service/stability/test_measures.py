"""The measures against closed forms, and against draws from the normal law that they speak of."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability import measures
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.measures import Diagnosis

Floats = NDArray[np.float64]
TASKS: tuple[Task, ...] = ("classification", "ordinal", "regression")


def diagnose(task: Task, scores: Floats, *others: Any) -> Diagnosis:
    return measures.diagnose(link_of(task, scores.shape[1]), scores, *others)


def centred(factor: Floats) -> Floats:
    """The covariance B B^T of K centred scores."""
    factor = factor - factor.mean(axis=0)
    return factor @ factor.T


def measure(task: Task, scores: Any, covariance: Any, scale: float = 1.0) -> Diagnosis:
    scores, covariance = np.atleast_2d(np.asarray(scores, float)), np.asarray(covariance, float)
    covariance = covariance if covariance.ndim == 3 else covariance[None]
    return diagnose(task, scores, covariance, np.full(len(scores), scale))


def output(task: Task, scores: Floats, label: int) -> Floats:
    if task == "classification":
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(odds[:, label] / odds.sum(axis=1))
    if task == "ordinal":
        return np.asarray((1.0 / (1.0 + np.exp(-scores))).sum(axis=1))
    return scores[:, 0]


def labels(task: Task, scores: Floats) -> NDArray[np.int64]:
    return scores.argmax(axis=1) if task == "classification" else (scores > 0).sum(axis=1)


def draws(scores: Floats, factor: Floats, count: int, seed: int = 0) -> Floats:
    return scores + np.random.default_rng(seed).normal(size=(count, factor.shape[1])) @ factor.T


# Two labels: everything is known in closed form.


@pytest.mark.parametrize("scale", [0.01, 1.0, 3.0, 100.0])
def test_two_labels_flip_by_the_normal_tail_exactly(scale: float) -> None:
    margins = np.linspace(0, 8, 41)
    scores = np.stack([margins / 2, -margins / 2], axis=1)
    covariance = np.tile(0.3**2 / 4 * np.array([[1.0, -1.0], [-1.0, 1.0]]), (41, 1, 1))
    found = diagnose("classification", scores, covariance, np.full(41, scale))
    sd = 0.3 * scale
    np.testing.assert_allclose(found.flip_distance, margins / sd, rtol=1e-12)
    np.testing.assert_allclose(found.flip_probability, stats.norm.sf(margins / sd), rtol=1e-9)
    np.testing.assert_allclose(found.value, 1 / (1 + np.exp(-margins)), rtol=1e-12)
    np.testing.assert_allclose(found.gradient_norm, 0.3 / np.sqrt(2), rtol=1e-12)
    assert (found.runner_up == 1).all()


def test_small_noise_gives_the_delta_rule() -> None:
    scores = np.array([[1.0, 0.2, -1.2]])
    covariance = centred(np.random.default_rng(0).normal(size=(3, 5)))[None]
    found = diagnose("classification", scores, covariance, np.array([1e-4]))
    p = np.exp(scores[0]) / np.exp(scores[0]).sum()
    gradient = p[0] * (np.eye(3)[0] - p)
    np.testing.assert_allclose(found.gradient[0], gradient, rtol=1e-12)
    np.testing.assert_allclose(found.volatility[0], 1e-4 * np.sqrt(gradient @ covariance[0] @ gradient), rtol=1e-6)


@pytest.mark.parametrize(("margin", "sd"), [(0.0, 0.5), (1.0, 1.0), (3.0, 0.7), (2.0, 2.0)])
def test_two_labels_volatility_is_that_of_the_logistic_normal_law(margin: float, sd: float) -> None:
    t = np.linspace(-9, 9, 20_001)
    weights = stats.norm.pdf(t) * (t[1] - t[0])
    p = 1 / (1 + np.exp(-(margin + sd * t)))
    truth = np.sqrt(weights @ p**2 - (weights @ p) ** 2)
    covariance = sd**2 / 4 * np.array([[1.0, -1.0], [-1.0, 1.0]])
    found = measure("classification", [margin / 2, -margin / 2], covariance)
    assert found.volatility[0] == pytest.approx(truth, rel=0.015)


# Draws from the law.


@pytest.mark.parametrize("seed", range(6))
def test_three_labels_flip_as_often_as_draws_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = np.sort(rng.normal(size=3))[::-1]
    factor = rng.normal(size=(3, 4)) * 0.5
    factor -= factor.mean(axis=0)
    found = measure("classification", scores, centred(factor))
    moved = labels("classification", draws(scores, factor, 200_000, seed))
    truth = (moved != 0).mean()
    assert found.flip_probability[0] == pytest.approx(truth, abs=0.02)
    assert truth > 0.005
    # Twice the noise is another truth: the comparison can fail.
    doubled = measure("classification", scores, centred(factor), scale=2.0).flip_probability[0]
    assert abs(doubled - truth) > 0.03


@pytest.mark.parametrize(("rank", "tolerance"), [(6, 0.012), (2, 0.02), (1, 0.03)])
def test_ten_labels_flip_as_often_as_draws_do(rank: int, tolerance: float) -> None:
    rng = np.random.default_rng(9)
    errors = []
    for _ in range(12):
        scores = rng.normal(size=10)
        factor = rng.normal(size=(10, rank)) * 0.3
        factor -= factor.mean(axis=0)
        found = measure("classification", scores, centred(factor))
        moved = labels("classification", draws(scores, factor, 40_000))
        errors.append(found.flip_probability[0] - (moved != scores.argmax()).mean())
    assert np.median(np.abs(errors)) < 0.01
    assert max(errors) < tolerance
    assert min(errors) > -0.025


@pytest.mark.parametrize("noise", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("task", ["classification", "ordinal", "regression"])
def test_volatility_is_the_standard_deviation_of_draws(task: Task, noise: float) -> None:
    rng = np.random.default_rng(3)
    ratios = []
    for _ in range(12):
        if task == "classification":
            scores, factor = rng.normal(size=3), rng.normal(size=(3, 4)) * noise
            factor -= factor.mean(axis=0)
        elif task == "ordinal":
            scores, factor = rng.normal() + np.array([1.5, 0.0, -1.5]), np.tile(rng.normal(size=(1, 4)) * noise, (3, 1))
        else:
            scores, factor = rng.normal(size=1), rng.normal(size=(1, 4)) * noise
        found = measure(task, scores, factor @ factor.T)
        moved = output(task, draws(scores, factor, 40_000), int(found.label[0]))
        ratios.append(found.volatility[0] / moved.std())
    assert np.median(ratios) == pytest.approx(1.0, abs=0.03 if noise < 1 else 0.06)
    # Noise as large as the scores themselves: one direction no longer tells all.
    assert min(ratios) > (0.8 if noise < 1 else 0.5)
    assert max(ratios) < 1.25


@pytest.mark.parametrize("level", [-3.0, -0.4, 0.9, 2.5])
def test_ordinal_flips_are_exact(level: float) -> None:
    thresholds = np.array([-1.5, 0.0, 1.5])
    scores, sd = level - thresholds, 0.8
    found = measure("ordinal", scores, np.full((3, 3), sd**2))
    label = int((scores > 0).sum())
    low = -np.inf if label == 0 else thresholds[label - 1]
    high = np.inf if label == 3 else thresholds[label]
    stay = stats.norm.cdf((high - level) / sd) - stats.norm.cdf((low - level) / sd)
    assert found.label[0] == label
    assert found.flip_probability[0] == pytest.approx(1 - stay, rel=1e-9)
    assert found.flip_distance[0] == pytest.approx(min(level - low, high - level) / sd)
    nearest = label + (1 if high - level < level - low else -1)
    assert found.runner_up[0] == nearest
    assert found.value[0] == pytest.approx((1 / (1 + np.exp(-scores))).sum())
    assert found.gradient_norm[0] == pytest.approx(sd * np.sqrt(3))


def test_regression_is_linear() -> None:
    found = diagnose("regression", np.array([[5.0], [-2.0]]), np.array([[[4.0]], [[0.0]]]), np.array([1.0, 3.0]))
    assert found.value.tolist() == [5.0, -2.0]
    assert found.volatility.tolist() == [2.0, 0.0]
    assert found.gradient_norm.tolist() == [2.0, 0.0]
    assert np.isnan(found.flip_probability).all()
    assert diagnose("regression", np.ones((1, 1)), np.ones((1, 1, 1)), np.array([7.0])).volatility[0] == 7.0


# The gradient norm is a property of the model, whatever the noise scale; the rest follows the scale.


@pytest.mark.parametrize("task", TASKS)
def test_noise_scale_multiplies_the_noise_and_not_the_gradient_norm(task: Task) -> None:
    size = {"classification": 3, "ordinal": 3, "regression": 1}[task]
    scores = np.array([1.0, 0.2, -1.2])[:size]
    factor = np.ones((size, 2)) if task == "ordinal" else np.random.default_rng(1).normal(size=(size, 2))
    covariance = factor @ factor.T
    scaled, larger = measure(task, scores, covariance, 2.5), measure(task, scores, covariance * 2.5**2)
    assert scaled.volatility[0] == pytest.approx(larger.volatility[0], rel=1e-12)
    assert scaled.flip_probability[0] == pytest.approx(larger.flip_probability[0], rel=1e-9, nan_ok=True)
    assert scaled.gradient_norm[0] == pytest.approx(larger.gradient_norm[0] / 2.5)


# Corners: all defined.


def assert_defined(task: Task, found: Diagnosis) -> None:
    assert np.isfinite(found.volatility).all()
    assert (found.volatility >= 0).all()
    assert np.isfinite(found.value).all()
    assert np.isfinite(found.gradient_norm).all()
    assert np.isfinite(found.gradient).all()
    assert (found.flip_distance >= 0).all()
    if task == "regression":
        assert np.isnan(found.flip_probability).all()
    else:
        assert ((found.flip_probability >= 0) & (found.flip_probability <= 1)).all()
        assert (found.runner_up != found.label).all()
        assert (found.runner_up >= 0).all()


@pytest.mark.parametrize("size", [2, 3, 64])
def test_no_noise_moves_nothing(size: int) -> None:
    scores = np.linspace(1, -1, size)
    found = measure("classification", scores, np.zeros((size, size)))
    assert_defined("classification", found)
    assert found.volatility[0] == 0.0
    assert found.flip_probability[0] == 0.0
    assert found.flip_distance[0] == np.inf
    assert found.runner_up[0] == 1
    found = measure("ordinal", scores, np.zeros((size, size)))
    assert_defined("ordinal", found)
    assert (found.volatility[0], found.flip_probability[0], found.flip_distance[0]) == (0.0, 0.0, np.inf)


def test_ties_are_even_chances() -> None:
    covariance = 0.25 * np.array([[1.0, -1.0], [-1.0, 1.0]])
    found = measure("classification", [0.0, 0.0], covariance)
    assert (found.label[0], found.flip_probability[0], found.flip_distance[0]) == (0, 0.5, 0.0)
    assert found.value[0] == 0.5
    found = measure("ordinal", [1.0, 0.0, -1.0], np.full((3, 3), 0.01))
    assert (found.label[0], found.flip_distance[0]) == (1, 0.0)
    assert found.flip_probability[0] == pytest.approx(0.5)
    # A tie that no noise moves stays as it is.
    assert measure("classification", [0.0, 0.0], np.zeros((2, 2))).flip_probability[0] == 0.0
    assert measure("ordinal", [1.0, 0.0, -1.0], np.zeros((3, 3))).flip_probability[0] == 0.0


def test_three_tied_labels_flip_two_times_in_three() -> None:
    found = measure("classification", [0.0, 0.0, 0.0], centred(np.eye(3)))
    assert found.label[0] == 0
    assert found.flip_probability[0] == pytest.approx(2 / 3, abs=0.01)


@pytest.mark.parametrize("margin", [30.0, 700.0, 1e3, 1e30, 3e38])
def test_a_saturated_softmax_is_defined(margin: float) -> None:
    covariance = centred(np.random.default_rng(0).normal(size=(3, 3)))
    found = measure("classification", [margin, 0.0, -margin], covariance)
    assert_defined("classification", found)
    assert found.value[0] == pytest.approx(1.0)
    assert found.volatility[0] < 1e-11
    assert found.flip_probability[0] == pytest.approx(stats.norm.sf(found.flip_distance[0]))
    assert measure("ordinal", [margin, 1.0, -margin], np.full((3, 3), 0.1)).volatility[0] > 0


def test_a_saturated_probability_keeps_its_relative_precision() -> None:
    margin, sd = 60.0, 0.1  # 1 - p is 1e-26: lost in p itself
    found = measure("classification", [margin / 2, -margin / 2], sd**2 / 4 * np.array([[1.0, -1.0], [-1.0, 1.0]]))
    # For so small an odds ratio the law is lognormal.
    truth = np.exp(-margin + sd**2 / 2) * np.sqrt(np.expm1(sd**2))
    assert found.volatility[0] == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize("rank", [1, 2, 10])
def test_sixty_four_labels_and_few_directions(rank: int) -> None:
    rng = np.random.default_rng(rank)
    scores = rng.normal(size=(40, 64))
    factor = rng.normal(size=(40, 64, rank)) * 0.2
    factor -= factor.mean(axis=1, keepdims=True)
    found = diagnose("classification", scores, factor @ factor.transpose(0, 2, 1), np.ones(40))
    assert_defined("classification", found)
    row = 7
    moved = labels("classification", draws(scores[row], factor[row], 100_000))
    assert found.flip_probability[row] == pytest.approx((moved != found.label[row]).mean(), abs=0.03)


def test_rivals_that_move_with_the_label_are_no_rivals() -> None:
    # Labels 0 and 1 move alike, so only label 2, farther off in score, can overtake.
    factor = np.array([[1.0], [1.0], [-2.0]])
    found = measure("classification", [1.0, 0.9, -0.5], factor @ factor.T)
    assert found.runner_up[0] == 2
    assert found.flip_distance[0] == pytest.approx(1.5 / 3.0)
    assert found.flip_probability[0] == pytest.approx(stats.norm.sf(0.5))


def test_rounding_of_a_large_common_direction_is_not_noise() -> None:
    # float32 covariances of scores that share a direction: the margins' variance is a difference of large numbers.
    common = np.full((3, 1), 100.0)
    covariance = (common @ common.T).astype(np.float32)
    covariance[0, 0] = np.nextafter(covariance[0, 0], np.float32(np.inf))
    found = measure("classification", [1.0, 0.0, -1.0], covariance)
    assert found.flip_distance[0] == np.inf
    assert found.flip_probability[0] == 0.0
    # A covariance that is not quite positive semi-definite is taken for what it was meant to be.
    covariance[0, 1] = covariance[1, 0] = np.nextafter(covariance[0, 1], np.float32(np.inf))
    assert_defined("classification", measure("classification", [1.0, 0.0, -1.0], covariance))
    assert measure("ordinal", [1.0, -1.0], np.full((2, 2), -1e-9)).volatility[0] == 0.0


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-20, 100.0])
def test_any_noise_scale_is_defined(scale: float) -> None:
    # Rows of one batch differ: ties, far rivals, no noise.
    scores = np.array([[0.0, 0.0, 0.0, -5.0], [0.0, 0.0, -3.0, -5.0], [5.0, 0.0, 0.0, 0.0], [1e3, 0.0, 0.0, 0.0]])
    covariance = np.stack([centred(np.eye(4)), centred(np.eye(4)), centred(np.eye(4)), np.zeros((4, 4))])
    found = diagnose("classification", scores, covariance, np.full(4, scale))
    assert_defined("classification", found)
    found = diagnose("ordinal", np.sort(scores)[:, ::-1], np.ones((4, 4, 4)), np.full(4, scale))
    assert_defined("ordinal", found)


@given(
    st.integers(2, 6).flatmap(
        lambda size: st.tuples(
            st.lists(st.floats(-(2.0**126), 2.0**126, width=32), min_size=size, max_size=size),
            st.lists(st.floats(-(2.0**50), 2.0**50, width=32), min_size=2 * size, max_size=2 * size),
        )
    ),
    st.floats(1e-9, 100.0),
)
@settings(max_examples=150, deadline=None)
def test_whatever_a_graph_answers_in_float32_is_defined(case: tuple[list[float], list[float]], scale: float) -> None:
    scores = np.array([case[0]], dtype=np.float32)
    factor = np.array(case[1], dtype=np.float32).reshape(len(case[0]), 2)
    covariance = (factor @ factor.T)[None]
    assert_defined("classification", diagnose("classification", scores, covariance, np.array([scale])))
    same = np.full_like(covariance, covariance[0, 0, 0])
    assert_defined("ordinal", diagnose("ordinal", -np.sort(-scores), same, np.array([scale])))
    assert_defined("regression", diagnose("regression", scores[:, :1], covariance[:, :1, :1], np.array([scale])))


def test_rows_are_measured_alone_and_together_alike() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(30, 5))
    factor = rng.normal(size=(30, 5, 3)) * rng.uniform(0.01, 1, size=(30, 1, 1))
    covariance = factor @ factor.transpose(0, 2, 1)
    scale = rng.uniform(0.1, 3, size=30)
    together = diagnose("classification", scores, covariance, scale)
    for row in range(30):
        at = slice(row, row + 1)
        alone = diagnose("classification", scores[at], covariance[at], scale[at])
        for whole, part in zip(together, alone, strict=True):
            np.testing.assert_allclose(whole[row], part[0], rtol=1e-9)


# The scores' mean shift, to second order.


def test_a_shift_that_is_nothing_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(40, 4, 3)) * 0.5
    covariance, scores = factor @ factor.transpose(0, 2, 1), rng.normal(size=(40, 4))
    for task in TASKS:
        s = scores[:, :1] if task == "regression" else -np.sort(-scores)
        C = covariance[:, :1, :1] if task == "regression" else np.broadcast_to(covariance[:, :1, :1], (40, 4, 4))
        C = covariance if task == "classification" else C
        plain = diagnose(task, s, C, np.ones(40))
        for name, value in diagnose(task, s, C, np.ones(40), np.zeros_like(s))._asdict().items():
            np.testing.assert_array_equal(value, getattr(plain, name), err_msg=name)


@pytest.mark.parametrize("count", [2, 4])
def test_flips_and_volatility_follow_the_shifted_law(count: int) -> None:
    rng = np.random.default_rng(count)
    scores, factor = rng.normal(size=count), rng.normal(size=(count, 3)) * 0.4
    factor -= factor.mean(axis=0)
    shift = rng.normal(size=count) * 0.1
    for scale in (0.5, 2.0):
        found = diagnose("classification", scores[None], (factor @ factor.T)[None], np.array([scale]), shift[None])
        moved = draws(scores + scale**2 * shift, scale * factor, 200_000)
        label = found.label[0]
        assert label == scores.argmax()
        assert found.flip_probability[0] == pytest.approx((moved.argmax(axis=1) != label).mean(), abs=0.006)
        assert found.volatility[0] == pytest.approx(output("classification", moved, label).std(), rel=0.1)
        # What is reported, and the distance to a boundary, are the scores' own.
        plain = measure("classification", scores, factor @ factor.T, scale)
        assert found.value[0] == plain.value[0]
        assert found.flip_distance[0] == pytest.approx(plain.flip_distance[0])


def test_an_ordinal_models_thresholds_stay_where_the_shift_moves_f() -> None:
    scores, sd, shift = np.array([1.5, 0.4, -0.3]), 0.5, 0.2
    for scale in (0.5, 2.0):
        found = diagnose("ordinal", scores[None], np.full((1, 3, 3), sd**2), np.array([scale]), np.full((1, 3), shift))
        below, above = 0.4 + shift * scale**2, 0.3 - shift * scale**2
        expected = stats.norm.sf(below / (sd * scale)) + stats.norm.sf(above / (sd * scale))
        assert found.flip_probability[0] == pytest.approx(expected, rel=1e-9)
        moved = draws(scores + scale**2 * shift, np.full((3, 1), sd * scale), 200_000)
        assert found.volatility[0] == pytest.approx(output("ordinal", moved, 0).std(), rel=0.02)


# What is declared of them.


def test_a_task_has_the_measures_that_it_has_outputs_for() -> None:
    everywhere = ["volatility", "gradient_norm"]
    labelled = ["volatility", "flip_distance", "flip_probability", "runner_up", "gradient_norm"]
    for task, count, names in (
        ("classification", 2, labelled),
        ("classification", 5, labelled),
        ("ordinal", 3, labelled),
        ("regression", 1, everywhere),
    ):
        assert [one.name for one in measures.measures_of(link_of(task, count))] == names


def test_the_buckets_rise_and_cover_what_can_be_observed() -> None:
    declared = [one for one in measures.MEASURES for one in (one.histogram, one.relative_histogram) if one]
    buckets = {one.name: list(one.buckets) for one in declared}
    assert all(rising == sorted(set(rising)) for rising in buckets.values())
    chances = buckets["prediction_flip_probability"]
    assert {0.01, 0.05, 0.5} < set(chances)  # the verdicts' thresholds, and a tie
    assert (chances[0], chances[-1]) == (1e-6, 1.0)
    ratios = buckets["prediction_volatility_relative"]
    assert (ratios[0], ratios[-1]) == (0.01, 100.0)
    assert {0.5, 1.0, 2.0} < set(ratios)
    for name in ("prediction_volatility", "input_gradient_norm"):
        assert (len(buckets[name]), buckets[name][0], buckets[name][-1]) == (28, 1e-6, 1e3)
        steps = np.divide(buckets[name][1:], buckets[name][:-1])
        assert steps == pytest.approx(np.resize([2.0, 2.5, 2.0], 27))
