"""Each operator's derivative beside central differences in float64; and what each rule refuses."""

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from chainzrule.training.adopt.derivative import derivative_graphs
from chainzrule.training.adopt.graph import opened
from chainzrule.training.adopt.rules import RULES
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import ROWS, Case, Floats, convolved, drawn, elementwise, pooled

W, B = drawn(3, 2), drawn(2)
CASES: dict[str, list[Case]] = {
    "Identity": elementwise("Identity"),
    "Cast": elementwise("Cast <to = FLOAT>"),
    "Dropout": elementwise("Dropout"),
    "Neg": elementwise("Neg"),
    "Relu": elementwise("Relu"),
    "LeakyRelu": [*elementwise("LeakyRelu"), *elementwise("LeakyRelu <alpha = 0.25>")],
    "Sigmoid": elementwise("Sigmoid"),
    "Tanh": elementwise("Tanh"),
    "Exp": elementwise("Exp"),
    "Log": elementwise("Log", positive=True),
    "Softplus": elementwise("Softplus"),
    "Reshape": [
        Case("h = Reshape (features, a) scores = Reshape (h, b)", 6, 6, shapes={"a": (-1, 2, 3), "b": (-1, 6)}),
        Case("h = Reshape (features, a) scores = Reshape (h, b)", 6, 6, shapes={"a": (-1, 1, 6, 1), "b": (0, 6)}),
    ],
    "Flatten": [
        Case("h = Reshape (features, one) scores = Flatten (h)", 6, 6, shapes={"one": (-1, 2, 3)}),
        Case("h = Reshape (features, one) scores = Flatten <axis = 1> (h)", 8, 8, shapes={"one": (-1, 2, 2, 2)}),
    ],
    "Squeeze": [
        Case("h = Reshape (features, one) scores = Squeeze (h, axes)", 3, 3, shapes={"one": (-1, 1, 3), "axes": (1,)}),
        Case(
            "h = Reshape (features, one) scores = Squeeze (h, axes)", 3, 3,
            shapes={"one": (-1, 1, 3, 1), "axes": (1, 3)},
        ),
    ],
    "Unsqueeze": [
        Case("h = Unsqueeze (features, axes) scores = Flatten (h)", shapes={"axes": (2,)}),
        Case("h = Unsqueeze (features, axes) scores = Flatten (h)", shapes={"axes": (1, 3)}),
    ],
    "Add": [
        Case("scores = Add (features, b)", constants={"b": drawn(3)}),
        Case("scores = Add (b, features)", constants={"b": drawn(1, 1)}),
        Case("t = Tanh (features) scores = Add (features, t)"),
        Case("scores = Add (features, features)"),
    ],
    "Sub": [
        Case("scores = Sub (features, b)", constants={"b": drawn(3)}),
        Case("scores = Sub (b, features)", constants={"b": drawn(1)}),
        Case("t = Tanh (features) scores = Sub (features, t)"),
        Case("t = Tanh (features) scores = Sub (t, features)"),
    ],
    "Mul": [
        Case("scores = Mul (features, b)", constants={"b": drawn(3)}),
        Case("scores = Mul (b, features)", constants={"b": drawn(1, 1)}),
        Case("t = Tanh (features) scores = Mul (features, t)"),
        Case("scores = Mul (features, features)"),
        Case(
            "i = Reshape (features, one) t = Tanh (i) h = Mul (t, i) scores = Flatten (h)", 6, 6,
            shapes={"one": (-1, 2, 3)},
        ),
    ],
    "Div": [
        Case("scores = Div (features, b)", constants={"b": drawn(3)}),
        Case("scores = Div (features, b)", constants={"b": drawn(1, 1)}),
    ],
    "MatMul": [
        Case("scores = MatMul (features, W)", S=2, constants={"W": W}),
        Case("scores = MatMul (features, W)", 1, 1, constants={"W": drawn(1, 1)}),
        Case(
            "i = Reshape (features, one) h = MatMul (i, W) scores = Flatten (h)", 6, 4, {"W": W}, {"one": (-1, 2, 3)}
        ),
    ],
    "Gemm": [
        Case("scores = Gemm (features, W, b)", S=2, constants={"W": W, "b": B}),
        Case("scores = Gemm <transB = 1> (features, W, b)", S=2, constants={"W": W.T, "b": B}),
        Case("scores = Gemm <alpha = 0.5, beta = 2.0> (features, W, b)", S=2, constants={"W": W, "b": B}),
        Case("scores = Gemm <alpha = -2.0, transB = 1> (features, W)", S=2, constants={"W": W.T}),
    ],
    "Conv": [
        convolved("kernel_shape = [3, 3]", (1, 4, 5), (2, 1, 3, 3), 12),
        convolved("pads = [1, 1, 1, 1]", (2, 3, 3), (2, 2, 3, 3), 18, bias=False),
        convolved("strides = [2, 2]", (1, 6, 5), (1, 1, 3, 2), 4),  # overhangs are cut off on both axes
        convolved("pads = [2, 0, 1, 1], strides = [2, 1]", (1, 4, 3), (2, 1, 3, 2), 18),
        convolved("dilations = [2, 1]", (1, 5, 3), (1, 1, 2, 2), 6),
        convolved("group = 2", (4, 3, 3), (4, 2, 2, 2), 16),
        convolved("strides = [2]", (2, 7), (3, 2, 2), 9),
        convolved('auto_pad = "VALID"', (1, 3, 3), (1, 1, 2, 2), 4),
    ],
    "MaxPool": [
        pooled("MaxPool", 1, 2, 2, (2, 2)),
        pooled("MaxPool", 2, 4, 6, (2, 3)),
        pooled("MaxPool", 3, 2, 3, (1, 3)),
    ],
    "AveragePool": [
        pooled("AveragePool", 1, 2, 2, (2, 2)),
        pooled("AveragePool", 2, 4, 6, (2, 3)),
        pooled("AveragePool", 3, 2, 3, (1, 3)),
    ],
    "Max": [
        Case("scores = Max (features, b)", constants={"b": drawn(3)}),
        Case("scores = Max (b, features)", constants={"b": np.array([-0.25])}),
        Case(
            "i = Reshape (features, one) h = Max (i, b) scores = Flatten (h)", 6, 6, {"b": drawn(2, 1)},
            {"one": (-1, 2, 3)},
        ),
    ],
}  # fmt: skip


def test_every_rule_has_its_cases() -> None:
    assert set(CASES) == set(RULES)


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{name}-{number}") for name, cases in CASES.items() for number, case in enumerate(cases)],
)
def test_a_derivative_is_that_of_central_differences(case: Case) -> None:
    rows, graph = case.rows(), case.graph("float")
    noise = np.linspace(0.5, 2.0, case.width)
    served, jacobian = derivative_graphs(graph, noise, list(graph.graph.output))
    found = opened(jacobian).run(rows.astype(np.float32))
    evaluator = ReferenceEvaluator(case.graph("double"))

    def scores(x: Floats) -> Floats:
        return np.asarray(evaluator.run(None, {"features": x})[0])

    step = 1e-6
    moved = rows[:, None] + step * np.concatenate([np.eye(case.width), -np.eye(case.width)])
    values = scores(moved.reshape(-1, case.width)).reshape(ROWS, 2, case.width, case.S)
    expected = ((values[:, 0] - values[:, 1]) / (2 * step)).transpose(0, 2, 1)
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(found["jacobian"], expected, atol=1e-5 * scale)
    noisy = expected * noise
    covariance = noisy @ noisy.transpose(0, 2, 1)
    outputs = opened(served).run(rows.astype(np.float32))
    np.testing.assert_allclose(outputs["covariance"], covariance, atol=1e-5 * np.abs(covariance).max())
    np.testing.assert_allclose(outputs["scores"], scores(rows), atol=1e-5 * np.abs(scores(rows)).max())
    norms = np.sqrt(np.trace(covariance, axis1=1, axis2=2))
    np.testing.assert_allclose(found["layer_norms"][:, 0], norms, rtol=1e-5)


def jacobian(graph: onnx.ModelProto, x: Floats) -> Floats:
    _, found = derivative_graphs(graph, np.ones(x.shape[1]), list(graph.graph.output))
    return opened(found).run(x.astype(np.float32))["jacobian"].astype(np.float64)


def test_places_that_tie_for_the_largest_take_equal_parts() -> None:
    x = np.array([[2.0, 2.0, 1.0, 2.0], [0.0, 0.0, 0.0, 0.0], [-1.0, -3.0, -1.0, -2.0]])
    found = jacobian(pooled("MaxPool", 1, 2, 2, (2, 2)).graph("float"), x)
    np.testing.assert_allclose(found[:, 0], [[1 / 3, 1 / 3, 0, 1 / 3], [0.25] * 4, [0.5, 0, 0.5, 0]], rtol=1e-6)


@pytest.mark.parametrize(("body", "slope"), [
    ("scores = Relu (features)", 0.0),
    ("scores = LeakyRelu <alpha = 0.25> (features)", 0.25),
    ("nought = Constant <value = float[1] {0.0}> () scores = Max (features, nought)", 0.0),
])  # fmt: skip
def test_at_a_kink_it_is_the_slope_from_below(body: str, slope: float) -> None:
    assert jacobian(Case(body, 1, 1).graph("float"), np.zeros((1, 1))).item() == slope


IMAGE = {"image": (-1, 1, 4, 4)}


def of_image(operator: str, S: int) -> Case:
    """One operator on an image of 4 by 4."""
    return Case(f"i = Reshape (features, image) p = {operator} (i) scores = Flatten (p)", 16, S, shapes=IMAGE)


REFUSED: list[tuple[str, Case, str]] = [
    (
        "Cast to whole numbers",
        Case("w = Cast <to = 7> (features) scores = Cast <to = FLOAT> (w)"),
        "a Cast to another type than float has no derivative",
    ),
    (
        "Reshape across rows",
        Case("h = Reshape (features, a) scores = Reshape (h, b)", 4, 4, shapes={"a": (-1, 2), "b": (-1, 4)}),
        "a Reshape across rows of the batch has no derivative here",
    ),
    (
        "Add that repeats",
        Case(
            "i = Reshape (features, a) r = Tanh (features) c = Reshape (r, b) h = Add (i, c) scores = Reshape (h, d)",
            4, 16, shapes={"a": (-1, 1, 4), "b": (-1, 4, 1), "d": (-1, 16)},
        ),
        "Add that repeats a computed tensor has no derivative here",
    ),
    (
        "Sub that repeats",
        Case("h = Sub (features, b) scores = Flatten (h)", 1, 3, {"b": drawn(3)}),
        "Sub that repeats a computed tensor has no derivative here",
    ),
    (
        "Mul that repeats",
        Case("scores = Mul (features, b)", 1, 3, {"b": drawn(3)}),
        "Mul that repeats a computed tensor has no derivative here",
    ),
    (
        "Div that repeats",
        Case("scores = Div (features, b)", 1, 3, {"b": drawn(3)}),
        "Div that repeats a computed tensor has no derivative here",
    ),
    (
        "Div by a computed tensor",
        Case("t = Exp (features) scores = Div (features, t)"),
        "Div by a computed tensor has no derivative here",
    ),
    (
        "Max that repeats",
        Case("scores = Max (features, b)", 1, 3, {"b": drawn(3)}),
        "Max that repeats a computed tensor has no derivative here",
    ),
    (
        "Max of two computed tensors",
        Case("t = Tanh (features) scores = Max (features, t)"),
        "Max of two computed tensors has no derivative here",
    ),
    (
        "Max of three",
        Case("scores = Max (features, b, c)", constants={"b": drawn(3), "c": drawn(3)}),
        "Max of two computed tensors has no derivative here",
    ),
    (
        "MatMul of two computed tensors",
        Case(
            "i = Reshape (features, a) j = Reshape (features, b) h = MatMul (i, j) scores = Flatten (h)", 3, 1,
            shapes={"a": (-1, 1, 3), "b": (-1, 3, 1)},
        ),
        "MatMul of two computed tensors has no derivative here",
    ),
    (
        "MatMul of a vector",
        Case(
            "i = Reshape (features, a) h = MatMul (i, v) scores = Flatten (h)", 6, 2, {"v": drawn(3)},
            {"a": (-1, 2, 3)},
        ),
        "MatMul with other weights than a matrix has no derivative here",
    ),
    (
        "MatMul of weights that are computed from constants",
        Case("t = Tanh (W) scores = MatMul (features, t)", 3, 2, {"W": W}),
        "a tensor that is computed stands where a constant is expected",
    ),
    (
        "Gemm that adds a computed tensor",
        Case("t = Gemm (features, W) scores = Gemm (features, W, t)", 3, 2, {"W": W}),
        "Gemm of two computed tensors has no derivative here",
    ),
    (
        "Gemm of transposed rows",
        Case("h = Gemm <transA = 1> (features, W) scores = Flatten <axis = 0> (h)", 3, 2, {"W": W}),
        "Gemm of two computed tensors has no derivative here",
    ),
    (
        "Conv of a computed kernel",
        Case(
            "i = Reshape (features, image) k = ReduceSum <keepdims = 1> (i, axes) y = Conv (i, k) scores = Flatten (y)",
            16, 16, shapes={**IMAGE, "axes": (0, 2, 3)},
        ),
        "Conv with computed weights has no derivative here",
    ),
    (
        "Conv with auto_pad",
        convolved('auto_pad = "SAME_UPPER"', (1, 4, 4), (1, 1, 3, 3), 16),
        "Conv with auto_pad has no derivative here",
    ),
    (
        "a pool of vectors",
        Case(
            "i = Reshape (features, a) p = MaxPool <kernel_shape = [2], strides = [2]> (i) scores = Flatten (p)", 4, 2,
            shapes={"a": (-1, 1, 4)},
        ),
        "MaxPool of anything but images has no derivative here",
    ),
    *(
        (
            f"{operator} {attributes}",
            of_image(f"{operator} <{attributes}>", S),
            f"{operator} whose windows overlap or overhang has no derivative here",
        )
        for operator in ("MaxPool", "AveragePool")
        for attributes, S in (
            ("kernel_shape = [2, 2]", 9),
            ("kernel_shape = [2, 2], strides = [2, 1]", 6),
            ("kernel_shape = [2, 2], strides = [2, 2], pads = [1, 1, 1, 1]", 9),
            ("kernel_shape = [3, 2], strides = [3, 2]", 2),
            ("kernel_shape = [2, 3], strides = [2, 3]", 2),
        )
    ),
    (
        "MaxPool of places apart",
        of_image("MaxPool <kernel_shape = [2, 2], strides = [2, 2], dilations = [2, 2]>", 1),
        "MaxPool whose windows overlap or overhang has no derivative here",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("case", "said"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_a_rule_does_not_hold_for_is_refused_by_name(case: Case, said: str) -> None:
    graph = case.graph("float")
    with pytest.raises(AdoptionError) as caught:
        derivative_graphs(graph, np.ones(case.width), list(graph.graph.output))
    assert str(caught.value) == said
