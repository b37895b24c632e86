"""Models whose rows depend on each other, each by another operator, and models whose rows do not."""

import numpy as np
import onnx
import pytest

from chainzrule.training.adopt.graph import opened
from chainzrule.training.adopt.rowwise import require_rows_apart
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import model, source_of

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)
NOISE = np.full(3, 0.1)
ONES, NOUGHTS = np.ones(3, np.float32), np.zeros(3, np.float32)


def value(body: str, **constants: np.ndarray) -> onnx.ModelProto:
    return model(body, "float[batch,3] x", "float[batch,2] y", {"W": W} | constants)


def check(graph: onnx.ModelProto) -> None:
    plain = source_of(graph).graph
    require_rows_apart(plain, X, opened(plain).run(X)["answer"].reshape(len(X), -1), NOISE, seed=0)


def test_rows_that_stand_alone_are_fine() -> None:
    check(value("t = Tanh (x) y = MatMul (t, W)"))
    check(value("s = Softmax <axis = 1> (x) y = MatMul (s, W)"))


MIXED = {
    "BatchNormalization": (
        value(
            "n, m, v = BatchNormalization <training_mode = 1> (x, scale, shift, mean, var) y = MatMul (n, W)",
            scale=ONES, shift=NOUGHTS, mean=NOUGHTS, var=ONES,
        ),
        "export the model in evaluation mode (model.eval())",
    ),
    "DynamicQuantizeLinear": (
        value(
            "q, s, z = DynamicQuantizeLinear (x) d = DequantizeLinear (q, s, z) y = MatMul (d, W)",
        ),
        "quantise it statically (onnxruntime.quantization.quantize_static), or export it in float32",
    ),
    "ReduceMean": (
        value("m = ReduceMean <keepdims = 1> (x, a) d = Sub (x, m) y = MatMul (d, W)", a=np.array([0])),
        "export a model that answers row by row",
    ),
    "Softmax": (
        value("s = Softmax <axis = 0> (x) y = MatMul (s, W)"),
        "export a model that answers row by row",
    ),
}  # fmt: skip


@pytest.mark.parametrize("operator", MIXED)
def test_the_operator_that_mixes_rows_is_named(operator: str) -> None:
    graph, remedy = MIXED[operator]
    with pytest.raises(AdoptionError) as caught:
        check(graph)
    said = str(caught.value)
    assert said.startswith("a row's answer depends on the rows beside it: ")
    assert said.endswith(f", by the operator {operator}; {remedy}")


def test_chance_is_named_too() -> None:
    graph = value("r = RandomNormalLike <scale = 1.0> (x) s = Add (x, r) y = MatMul (s, W)")
    with pytest.raises(AdoptionError, match="by the operator RandomNormalLike, which draws at random"):
        check(graph)


def test_a_branch_that_all_rows_decide_together_is_found() -> None:
    body = (
        "s = ReduceSum <keepdims = 0> (x) c = Greater (s, zero) y = If (c) <then_branch = a () => (float[batch,2] p) "
        "{ p = MatMul (x, W) }, else_branch = b () => (float[batch,2] q) { m = MatMul (x, W) q = Neg (m) }>"
    )
    graph = value(body, zero=np.zeros((), np.float32))
    with pytest.raises(AdoptionError, match="by the operator ReduceSum"):
        check(graph)
    plain, positive = source_of(graph).graph, np.abs(X)  # all of the sample takes one branch
    with pytest.raises(AdoptionError, match="by the operator ReduceSum"):
        require_rows_apart(plain, positive, opened(plain).run(positive)["answer"], NOISE, seed=0)


@pytest.mark.parametrize("rows", [40, 2])
def test_a_graph_that_cannot_run_for_fewer_rows_is_refused(rows: int) -> None:
    # Reshaped to pairs of rows, which an odd number of rows is not.
    graph = value("p = Reshape (x, pairs) f = Reshape (p, single) y = MatMul (f, W)",
                  pairs=np.array([-1, 2, 3]), single=np.array([-1, 3]))  # fmt: skip
    plain = source_of(graph).graph
    answer = opened(plain).run(X[:rows])["answer"]
    with pytest.raises(AdoptionError) as caught:
        require_rows_apart(plain, X[:rows], answer, NOISE, seed=0)
    said = str(caught.value)
    assert said.startswith(f"the model answers {rows} rows at once, but not ")
    assert "(Reshape: " in said
    assert said.endswith("; export it for any number of rows")
