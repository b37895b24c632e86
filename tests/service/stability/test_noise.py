"""Drawn noise: its moments, its correlations, its bounds, its laws and the levels it confuses."""

import math
from typing import Any

import numpy as np
import pytest

from chainzrule.service.artifact.noise import NoiseGroup, NoiseModel
from chainzrule.service.stability.noise import Noise, noise_of, root_of, streams
from tests.artifacts import categorical, numeric

DRAWS = 40_000
ROW = np.array([5.0, -2.0, 1.0], np.float32)


def drawn(noise: Noise, row: np.ndarray = ROW, scale: float = 1.0) -> np.ndarray:
    return noise.draw(streams(0), row, scale, DRAWS).astype(np.float64)


def of(model: NoiseModel | None = None, **facts: Any) -> Noise:
    features = [numeric("a", noise=0.5, **facts), numeric("b", noise=2.0), numeric("c", noise=0.0)]
    return noise_of(features, model)


def together(value: float) -> NoiseModel:
    return NoiseModel(groups=(NoiseGroup(features=("b", "a"), correlation=((1.0, value), (value, 1.0))),))


def test_plain_noise_is_independent_and_as_large_as_the_card_says() -> None:
    noise = of()
    assert noise.is_plain
    moved = drawn(noise, scale=2.0) - ROW
    np.testing.assert_allclose(moved.std(axis=0), [1.0, 4.0, 0.0], rtol=0.02)
    assert abs(np.corrcoef(moved[:, 0], moved[:, 1])[0, 1]) < 0.02
    np.testing.assert_array_equal(noise.root(), [[0.5, 0.0], [0.0, 2.0], [0.0, 0.0]])


@pytest.mark.parametrize("value", [0.9, -0.7, 1.0])
def test_correlated_noise_is_drawn_with_the_covariance_of_its_root(value: float) -> None:
    noise = of(together(value))
    assert noise.is_normal
    assert not noise.is_plain
    expected = np.array([[0.25, value], [value, 4.0]])
    root = noise.root()
    np.testing.assert_allclose((root @ root.T)[:2, :2], expected, atol=1e-12)
    np.testing.assert_allclose(np.cov(drawn(noise)[:, :2], rowvar=False), expected, rtol=0.03, atol=0.01)


def test_bounds_are_kept_and_known_where_noise_reaches_them() -> None:
    noise = of(least=4.9, most=6.0)
    moved = drawn(noise)
    assert moved[:, 0].min() == np.float32(4.9)
    assert moved[:, 0].max() == 6.0
    rows = np.array([[5.0, 0, 0], [5.45, 0, 0], [5.9, 9e9, 0]], np.float32)
    scale = np.array([0.1, 0.1, 0.1])
    assert noise.reaches_bound(rows, scale).tolist() == [True, False, True]
    assert noise.reaches_bound(rows, scale * 10).tolist() == [True, True, True]
    assert not of().reaches_bound(rows, scale).any()
    beyond = np.array([[5.0, 0, 0], [-1e9, 0, 0]], np.float32)
    assert noise.bounded_off(beyond).tolist() == [False, True]
    assert not of().bounded_off(beyond).any()


@pytest.mark.parametrize(("law", "kurtosis"), [("uniform", 1.8), ("t", 9.0)])
def test_other_laws_have_the_same_size_and_their_own_tails(law: Any, kurtosis: float) -> None:
    noise = of(NoiseModel(law=law, degrees_of_freedom=5.0 if law == "t" else None))
    assert not noise.is_normal
    moved = (drawn(noise) - ROW)[:, 0] / 0.5
    assert moved.std() == pytest.approx(1.0, abs=0.03)
    assert np.mean(moved**4) == pytest.approx(kurtosis, rel=0.6)
    assert np.mean(moved**4) < 2.0 or law == "t"


def test_errors_that_move_together_have_their_large_ones_together() -> None:
    model = NoiseModel(law="t", degrees_of_freedom=3.0, groups=together(0.9).groups)
    moved = drawn(of(model)) - ROW
    large = np.abs(moved[:, 0]) > 5 * 0.5
    assert large.sum() > 50
    assert np.median(np.abs(moved[large, 1])) > 3 * 2.0


def test_noise_may_be_a_share_of_the_value() -> None:
    noise = of(noise_share=0.1)
    assert drawn(noise)[:, 0].std() == pytest.approx(0.5 + 0.1 * 5.0, rel=0.02)
    assert not noise.is_normal


def test_levels_are_taken_for_others_as_often_as_the_card_says() -> None:
    colour = categorical("colour", "red", "green", "blue")
    chances = ((0.9, 0.1, 0.0), (0.0, 1.0, 0.0), (0.5, 0.5, 0.0))
    noise = noise_of([numeric("a"), colour.model_copy(update={"confusion": chances})], None)
    for level, expected in enumerate(chances):
        moved = drawn(noise, np.array([0.0, *np.eye(3)[level]], np.float32))
        np.testing.assert_allclose(moved[:, 1:].mean(axis=0), expected, atol=0.01)
    doubled = drawn(noise, np.array([0.0, 1.0, 0.0, 0.0], np.float32), scale=2.0)
    np.testing.assert_allclose(doubled[:, 1:].mean(axis=0), [0.8, 0.2, 0.0], atol=0.01)


def test_a_requests_noise_replaces_that_of_the_features_it_names() -> None:
    noise = of(together(0.9), noise_share=0.1).with_sd(np.array([0]), np.array([3.0]))
    assert noise.sd.tolist() == [3.0, 2.0, 0.0]
    moved = drawn(noise)
    assert moved[:, 0].std() == pytest.approx(3.0, rel=0.02)
    assert np.corrcoef(moved[:, 0], moved[:, 1])[0, 1] == pytest.approx(0.9, abs=0.01)


def test_a_requests_covariance_cuts_its_features_from_the_cards_groups() -> None:
    names, correlation = ("a", "b", "c"), np.full((3, 3), 0.8) + 0.2 * np.eye(3)
    model = NoiseModel(groups=(NoiseGroup(features=names, correlation=tuple(map(tuple, correlation.tolist()))),))
    noise = noise_of([numeric(name, noise=1.0) for name in names], model)
    covariance = np.array([[4.0]])
    alone = np.corrcoef(drawn(noise.with_covariance(np.array([1]), covariance)), rowvar=False)
    np.testing.assert_allclose(alone, [[1, 0, 0.8], [0, 1, 0], [0.8, 0, 1]], atol=0.02)
    pair = np.array([[1.0, -0.5], [-0.5, 1.0]])
    np.testing.assert_allclose(
        np.cov(drawn(noise.with_covariance(np.array([2, 0]), pair)), rowvar=False),
        [[1, 0, -0.5], [0, 1, 0], [-0.5, 0, 1]],
        atol=0.03,
    )


def test_gaps_stay_gaps() -> None:
    row = np.array([np.nan, 1.0, 1.0], np.float32)
    assert np.isnan(drawn(of(noise_share=0.1), row)[:, 0]).all()


def test_roots_drop_what_rounding_made_negative() -> None:
    matrix = np.array([[1.0, 1.0], [1.0, 1.0 - 1e-12]])
    root = root_of(matrix)
    np.testing.assert_allclose(root @ root.T, matrix, atol=1e-9)
    assert math.isfinite(root.sum())


@pytest.mark.parametrize("law", ["normal", "t", "uniform"])
def test_draws_are_the_same_in_pieces_of_any_size(law: Any) -> None:
    colour = categorical("colour", "red", "green").model_copy(update={"confusion": ((0.7, 0.3), (0.4, 0.6))})
    model = NoiseModel(law=law, degrees_of_freedom=3.0 if law == "t" else None)
    noise = noise_of([numeric("a", noise_share=0.1), colour, numeric("b")], model)
    row = np.array([1.0, 0.0, 1.0, -2.0], np.float32)
    whole, random = noise.draw(streams(5), row, 1.5, 1000), streams(5)
    pieces = np.concatenate([noise.draw(random, row, 1.5, count) for count in (1, 255, 256, 488)])
    np.testing.assert_array_equal(pieces, whole)
