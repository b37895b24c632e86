"""Attributions: paths are straight on the scales that are read, and few nodes integrate polynomials exactly."""

import numpy as np
import pytest

from chainzrule.service.artifact.features import Bend
from chainzrule.service.stability.attributions import NODES, Paths, attributed, next_likely
from chainzrule.service.stability.link import link_of

BEND = Bend(start=1.0, scale=0.5, mean=0.0, std=1.0)


def drawn(count: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


@pytest.mark.parametrize(("nodes", "degree"), [(2, 4), (5, 9), (14, 27)])
def test_a_polynomial_of_the_rows_position_adds_up_with_few_nodes(nodes: int, degree: int) -> None:
    assert nodes in NODES
    start, end, weights = drawn(6, 3, 0), drawn(6, 3, 1), np.array([0.3, -0.2, 0.4])

    def gradient(points: np.ndarray) -> np.ndarray:
        return degree * (points @ weights)[..., None] ** (degree - 1) * weights

    points, steps = Paths(start, end, []).stations(nodes, slice(1, 5))
    assert points.dtype == np.float32
    assert points.shape == steps.shape == (4, nodes, 3)
    parts = (gradient(points.astype(np.float64)) * steps).sum(axis=1)
    whole = (end @ weights) ** degree - (start @ weights) ** degree
    np.testing.assert_allclose(parts.sum(axis=1), whole[1:5], rtol=1e-5, atol=1e-6)


def test_a_bent_column_adds_up_as_exactly_as_others() -> None:
    start, end = np.array([[1.0, 2.0, -1.0]], np.float32), np.array([[4000.0, -3.0, 2.0]], np.float32)

    def bent(x: np.ndarray) -> np.ndarray:
        return np.arcsinh((x - BEND.start) / BEND.scale)

    def value(x: np.ndarray) -> np.ndarray:  # of degree 4 in what is read
        return (bent(x[..., 0]) - x[..., 1] + 0.5 * bent(x[..., 2])) ** 4

    def gradient(x: np.ndarray) -> np.ndarray:
        outer = 4 * (bent(x[..., 0]) - x[..., 1] + 0.5 * bent(x[..., 2])) ** 3
        rise = [1 / np.hypot(x[..., k] - BEND.start, BEND.scale) for k in (0, 2)]
        return outer[..., None] * np.stack([rise[0], -np.ones_like(outer), 0.5 * rise[1]], axis=-1)

    points, steps = Paths(start, end, [(0, BEND), (2, BEND)]).stations(2, slice(None))
    parts = (gradient(points.astype(np.float64)) * steps).sum(axis=1)
    change = value(end.astype(np.float64)) - value(start.astype(np.float64))
    assert parts.sum() == pytest.approx(change[0], rel=1e-5)
    plain = Paths(start, end, []).stations(2, slice(None))
    assert (gradient(plain.points.astype(np.float64)) * plain.steps).sum() != pytest.approx(change[0], rel=0.01)


def test_the_next_likely_label_is_the_one_with_the_next_score() -> None:
    scores, label = np.array([[1.0, 4.0, -2.0], [3.0, 3.0, 0.0]]), np.array([1, 0])
    assert next_likely(link_of("classification", 3), label, scores).tolist() == [0, 1]
    assert scores[0, 1] == 4.0
    assert next_likely(link_of("ordinal", 3), label, scores).tolist() == [-1, -1]


def test_what_is_attributed_is_a_lead_a_value_or_a_position() -> None:
    scores = np.array([[1.0, 4.0, -2.0], [0.5, 0.0, 3.0]])
    label, over = np.array([1, 2]), np.array([0, 0])
    np.testing.assert_array_equal(attributed(link_of("classification", 3), label, over, scores), [3.0, 2.5])
    slopes = scores[:, :, None] * np.array([1.0, 10.0])
    found = attributed(link_of("classification", 3), label, over, slopes)
    np.testing.assert_array_equal(found, [[3.0, 30.0], [2.5, 25.0]])
    np.testing.assert_array_equal(attributed(link_of("ordinal", 3), label, over, scores), [1.0, 0.5])
    np.testing.assert_array_equal(attributed(link_of("regression", 1), label, over, scores[:, :1]), [1.0, 0.5])
