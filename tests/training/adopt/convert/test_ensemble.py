"""Trees written node by node, run by ONNX Runtime."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from chainzrule.training.adopt.convert.ensemble import Ensemble


def test_each_row_gets_the_leaves_of_all_trees_and_the_base() -> None:
    trees = Ensemble([10, 20])
    trees.begin()
    root = trees.branch(0, "BRANCH_LEQ", 0.5, gap_is_true=True)
    inner = trees.branch(1, "BRANCH_EQ", 3.0, gap_is_true=False)
    trees.join(root, trees.leaf([(0, 1.0)]), inner)
    trees.join(inner, trees.leaf([(0, 2.0), (1, 5.0)]), trees.leaf([(1, 7.0)]))
    trees.begin()
    trees.leaf([(1, 0.25)])
    node = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", **trees.attributes)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
    )  # fmt: skip
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rows = np.array([[0.5, 3], [0.6, 3], [0.6, 4], [np.nan, 3], [0.6, np.nan]], np.float32)
    expected = [[11, 20.25], [12, 25.25], [10, 27.25], [11, 20.25], [10, 27.25]]
    np.testing.assert_allclose(session.run(None, {"x": rows})[0], expected)
