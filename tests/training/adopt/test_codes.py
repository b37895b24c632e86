"""Which columns are codes of categories, by what a graph does with them first."""

import numpy as np
import onnx
import pytest

from chainzrule.training.adopt.codes import find_codes
from tests.training.adopt.graphs import model

TWO = np.array([2])
ENCODED = "ai.onnx.ml.OneHotEncoder <cats_int64s = [0, 1, 2], zeros = 1>"


def graph(body: str, inputs: str = "float[batch,4] x", **constants: np.ndarray) -> onnx.GraphProto:
    return model(body, inputs, "float[batch,k] y", constants).graph


CASES = {
    "an encoder behind a choice of columns": (
        graph(f"c = ai.onnx.ml.ArrayFeatureExtractor (x, two) y = {ENCODED} (c)", two=TWO), {2},
    ),
    "an encoder behind a gather": (graph(f"c = Gather <axis = 1> (x, two) y = {ENCODED} (c)", two=TWO), {2}),
    "an encoder behind a slice": (
        graph(
            f"c = Slice (x, from, to, axis) y = {ENCODED} (c)", **{"from": np.array([1]), "to": np.array([3])},
            axis=np.array([1]),
        ),
        {1, 2},
    ),
    "an encoder behind a split": (
        graph(f"a, b = Split <axis = 1, num_outputs = 2> (x) y = {ENCODED} (b)"), {2, 3},
    ),
    "an encoder behind columns that were joined": (
        graph(
            f"j = Concat <axis = 1> (x, z) c = ai.onnx.ml.ArrayFeatureExtractor (j, two) y = {ENCODED} (c)",
            "float[batch,1] x, float[batch,3] z", two=TWO,
        ),
        {2},
    ),
    "a cast to whole numbers": (graph("w = Cast <to = 7> (x) y = Cast <to = 1> (w)"), {0, 1, 2, 3}),
    "places of an embedding": (
        graph(
            "c = Gather <axis = 1> (x, two) w = Cast <to = 7> (c) y = Gather <axis = 0> (table, w)", two=np.array(2),
            table=np.ones((3, 4), np.float32),
        ),
        {2},
    ),
    "a measurement": (graph("y = MatMul (x, w)", w=np.ones((4, 2), np.float32)), set()),
    "what was computed before": (graph("t = Tanh (x) w = Cast <to = 7> (t) y = Cast <to = 1> (w)"), set()),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_codes_are_found_by_their_first_use(name: str) -> None:
    found, expected = CASES[name]
    inputs = {"x": range(4)} if len(found.input) == 1 else {"z": (1, 2, 3), "x": (0,)}
    assert find_codes(found, inputs).columns == expected


def test_an_encoders_categories_are_known() -> None:
    body = (
        "a = Reshape (job, flat) b = Reshape (town, flat) j = Concat <axis = 1> (a, b) "
        "c = ai.onnx.ml.ArrayFeatureExtractor (j, two) "
        'y = ai.onnx.ml.OneHotEncoder <cats_strings = ["cook", "driver"]> (c)'
    )
    found = find_codes(
        model(
            body, "string[batch,1] job, string[batch,1] town", "float[batch,1,2] y",
            {"flat": np.array([-1, 1]), "two": np.array([1])},
        ).graph,
        {"job": (5,), "town": (3,)},
    )  # fmt: skip
    assert found.columns == {3}
    assert found.categories == {3: ("cook", "driver")}


def test_a_tree_that_asks_for_single_codes_reads_a_code() -> None:
    tree = (
        "y = ai.onnx.ml.TreeEnsembleRegressor <nodes_treeids = [0, 0, 0, 0, 0], nodes_nodeids = [0, 1, 2, 3, 4], "
        'nodes_featureids = [0, 2, 0, 0, 0], nodes_modes = ["BRANCH_LEQ", "BRANCH_EQ", "LEAF", "LEAF", "LEAF"], '
        "nodes_values = [0.0, 3.0, 0.0, 0.0, 0.0], nodes_truenodeids = [1, 2, 0, 0, 0], nodes_falsenodeids = "
        "[4, 3, 0, 0, 0], target_treeids = [0, 0, 0], target_nodeids = [2, 3, 4], target_ids = [0, 0, 0], "
        "target_weights = [-1.0, 1.0, 2.0], n_targets = 1> (x)"
    )
    assert find_codes(graph(tree), {"x": range(4)}).columns == {2}
