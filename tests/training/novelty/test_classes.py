"""Distances from classes, in units of the spread within them, in numpy and in a graph."""

import numpy as np
import pytest

from chainzrule.training.novelty.classes import Classes
from chainzrule.training.onnxwriter import NodeWriter, Value
from tests.training.novelty.written import computed

MEANS = np.array([[0.0, 0.0, 50.0], [10.0, 0.0, 50.0], [0.0, 40.0, 50.0]])
SPREAD = np.array([[1.0, 0.5, 0.0], [0.5, 4.0, 0.0], [0.0, 0.0, 0.01]])


def activations(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    label = random.integers(0, 3, rows)
    return MEANS[label] + random.multivariate_normal(np.zeros(3), SPREAD, rows), label


CLASSES = Classes.of(*activations(50_000), 3)


def distance(h: list[float], probabilities: list[float]) -> float:
    return float(np.exp(CLASSES.statistics(np.array([h]), np.array([probabilities]))[0, 0]))


def mahalanobis(h: list[float], label: int) -> float:
    away = np.array(h) - MEANS[label]
    return float(away @ np.linalg.inv(SPREAD) @ away)


@pytest.mark.parametrize("label", [0, 1, 2])
def test_the_distance_from_a_class_is_in_units_of_the_spread(label: int) -> None:
    h = [2.0, 5.0, 50.3]
    assert distance(h, np.eye(3)[label].tolist()) == pytest.approx(mahalanobis(h, label), rel=0.05)


def test_a_row_that_is_in_doubt_has_the_mean_of_its_distances() -> None:
    h = [5.0, 1.0, 50.1]
    expected = 0.75 * mahalanobis(h, 0) + 0.25 * mahalanobis(h, 1)
    assert distance(h, [0.75, 0.25, 0.0]) == pytest.approx(expected, rel=0.05)


def test_the_graph_computes_the_definition() -> None:
    h, _ = activations(40, seed=1)
    h[:5] *= 100.0
    shares = np.random.default_rng(2).dirichlet(np.ones(3), 40)

    def write(writer: NodeWriter, features: Value) -> list[Value]:
        first, rest = (
            writer.node("Slice", features, *(writer.integers((n,)) for n in ends)) for ends in ((0, 3, 1), (3, 6, 1))
        )
        return [CLASSES.write(writer, first, rest)]

    (found,) = computed(write, np.concatenate([h, shares], axis=1), (1,))
    np.testing.assert_allclose(found, CLASSES.statistics(h, shares), rtol=1e-3, atol=1e-3)


def test_one_class_needs_no_probabilities() -> None:
    h, _ = activations(300)
    one = Classes.of(h, np.zeros(300, np.int64), 1)
    (found,) = computed(lambda writer, features: [one.write(writer, features, None)], h, (1,))
    np.testing.assert_allclose(found, one.statistics(h, np.ones((300, 1))), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("value", [1e25, -1e38])
def test_activations_without_bounds_stay_numbers(value: float) -> None:
    def write(writer: NodeWriter, features: Value) -> list[Value]:
        return [CLASSES.write(writer, features, writer.constant(np.full((1, 3), 1 / 3, np.float32)))]

    (found,) = computed(write, np.full((1, 3), value), (1,))
    assert np.isfinite(found).all()
    assert found[0, 0] > 30


def test_a_class_that_does_not_occur_lies_at_the_overall_mean() -> None:
    h, label = activations(300)
    more = Classes.of(h, label, 5)
    assert more.means.shape == (5, 3)
    np.testing.assert_allclose(more.means[3:], 0.0)
