"""What is seen of the tensors inside a graph when it runs."""

import numpy as np
import pytest

from chainzrule.training.adopt.observed import observe
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import model

COMPUTED = (
    "s = Shape (features) r = Gather <axis = 0> (s, nought) t = Concat <axis = 0> (r, rest) "
    "h = Reshape (features, t) w = Neg (W) m = MatMul (features, W) u = Transpose (m) scores = Tanh (m)"
)
CONSTANTS = {"nought": np.array([0]), "rest": np.array([3, 1]), "W": np.ones((3, 2), np.float32)}


def test_sizes_that_are_computed_are_seen() -> None:
    found = observe(model(COMPUTED, constants=CONSTANTS), np.ones(3))
    plain = {"features": (1, 3), "h": (1, 3, 1), "m": (1, 2), "scores": (1, 2)}
    assert found.shapes == {name: (sizes, 0) for name, sizes in plain.items()} | {"u": ((2, 1), 1)}


def test_what_is_the_same_for_all_inputs_is_steady() -> None:
    found = observe(model(COMPUTED, constants=CONSTANTS), np.ones(3))
    assert set(found.steady) == {"w"}  # sizes follow the batch
    np.testing.assert_array_equal(found.steady["w"], -np.ones((3, 2)))


def test_a_graph_that_does_not_run_is_refused() -> None:
    graph = model("scores = Reshape (features, seven)", constants={"seven": np.array([7, 2])})
    with pytest.raises(AdoptionError, match="the sizes inside the graph cannot be found"):
        observe(graph, np.ones(3))


def test_what_no_noise_moves_is_still() -> None:
    graph = model("a = Gather <axis = 1> (features, one) b = Tanh (a) c = Tanh (features) scores = Add (c, b)",
                  outputs="float[batch,3] scores", constants={"one": np.array([1])})  # fmt: skip
    assert observe(graph, np.array([1.0, 0.0, 1.0])).still == {"a", "b"}
    assert observe(graph, np.array([1.0, 1.0, 0.0])).still == frozenset()
    assert observe(graph, np.zeros(3)).still == {"features", "a", "b", "c", "scores"}
