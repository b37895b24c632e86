"""Thresholds in float32 that send every float32 value where the float64 threshold sends it."""

import numpy as np
import onnx

from chainzrule.training.adopt.convert.thresholds import lowered, round_down
from chainzrule.training.adopt.graph import attribute, opened
from tests.training.adopt.graphs import model


def stump(threshold: float, mode: str = "BRANCH_LEQ") -> onnx.ModelProto:
    tree = (
        "scores = ai.onnx.ml.TreeEnsembleRegressor <nodes_treeids = [0, 0, 0], nodes_nodeids = [0, 1, 2], "
        f'nodes_featureids = [1, 0, 0], nodes_modes = ["{mode}", "LEAF", "LEAF"], nodes_values = [{threshold:.9e}, '
        "0.0, 0.0], nodes_truenodeids = [1, 0, 0], nodes_falsenodeids = [2, 0, 0], target_treeids = [0, 0], "
        "target_nodeids = [1, 2], target_ids = [0, 0], target_weights = [-1.0, 1.0], n_targets = 1> (features)"
    )
    return model(tree, outputs="float[batch,1] scores")


def test_a_value_between_a_threshold_and_its_rounding_keeps_its_branch() -> None:
    exact = 0.1  # float32's nearest is above it
    assert float(np.float32(exact)) > exact
    found = stump(float(np.float32(exact)))
    row = np.array([[0, np.float32(exact), 0], [0, np.nextafter(np.float32(exact), np.float32(0)), 0]], np.float32)
    assert opened(found).run(row)["scores"][:, 0].tolist() == [-1, -1]  # the first is wrong: it is more than 0.1
    round_down(found, [(1, exact)])
    assert opened(found).run(row)["scores"][:, 0].tolist() == [1, -1]


def test_every_value_takes_the_branch_of_float64() -> None:
    random = np.random.default_rng(0)
    for exact in random.normal(size=50) * 10.0 ** random.integers(-3, 4, 50):
        found = stump(float(np.float32(exact)))
        round_down(found, [(1, float(exact))])
        near = np.float32(exact)
        values = np.array([np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))])
        x = np.zeros((3, 3), np.float32)
        x[:, 1] = values
        expected = np.where(values.astype(np.float64) <= exact, -1, 1)
        np.testing.assert_array_equal(opened(found).run(x)["scores"][:, 0], expected)


def test_other_columns_thresholds_and_questions_stay() -> None:
    for found in (stump(0.1), stump(0.1, "BRANCH_LT")):
        before = attribute(found.graph.node[0], "nodes_values")
        round_down(
            found,
            [(0, 0.1), (1, 0.2)] if attribute(found.graph.node[0], "nodes_modes")[0] == b"BRANCH_LEQ" else [(1, 0.1)],
        )
        assert attribute(found.graph.node[0], "nodes_values") == before


def test_what_lies_a_rounding_below_a_threshold_counts_as_it() -> None:
    below = np.array([[0, np.nextafter(np.float32(1.5), np.float32(0)), 0], [0, 1.4999, 0], [0, 1.5, 0]], np.float32)
    found = stump(1.5, "BRANCH_LT")
    assert opened(found).run(below)["scores"][:, 0].tolist() == [-1, -1, 1]
    assert opened(lowered(found)).run(below)["scores"][:, 0].tolist() == [1, -1, 1]
    assert opened(found).run(below)["scores"][:, 0].tolist() == [-1, -1, 1]  # it is a copy
    unlike = stump(1.5)
    assert lowered(unlike).SerializeToString() == unlike.SerializeToString()  # at most, so that it is rounded down
