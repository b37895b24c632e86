"""Each operator's derivative beside central differences in float64; and what each rule refuses."""

import numpy as np
import onnx
import pytest

from chainzrule.training.adopt.derivative import derivative_graphs
from chainzrule.training.adopt.graph import opened
from chainzrule.training.adopt.reductions import REDUCTIONS
from chainzrule.training.adopt.rules import RULES
from chainzrule.training.adopt.selections import SELECTIONS
from chainzrule.training.adopt.slopes import SLOPES
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import Case, Floats, check_derivative, convolved, drawn, elementwise, pooled

W, B = drawn(3, 2), drawn(2)
CASES: dict[str, list[Case]] = {
    "Identity": elementwise("Identity"),
    "Cast": elementwise("Cast <to = FLOAT>"),
    "Dropout": elementwise("Dropout"),
    "Neg": elementwise("Neg"),
    "Reshape": [
        Case("h = Reshape (features, a) scores = Reshape (h, b)", 6, 6, shapes={"a": (-1, 2, 3), "b": (-1, 6)}),
        Case("h = Reshape (features, a) scores = Reshape (h, b)", 6, 6, shapes={"a": (-1, 1, 6, 1), "b": (0, 6)}),
        Case(
            "h = Reshape (features, a) t = Tanh (h) m = MatMul (t, W) scores = Reshape (m, b)", 4, 4,
            {"W": drawn(2, 2)}, {"a": (-1, 2), "b": (-1, 4)},
        ),
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
        Case(
            "i = Reshape (features, a) r = Tanh (features) c = Reshape (r, b) h = Add (i, c) scores = Reshape (h, d)",
            4, 16, shapes={"a": (-1, 1, 4), "b": (-1, 4, 1), "d": (-1, 16)},
        ),
    ],
    "Sub": [
        Case("scores = Sub (features, b)", constants={"b": drawn(3)}),
        Case("scores = Sub (b, features)", constants={"b": drawn(1)}),
        Case("t = Tanh (features) scores = Sub (features, t)"),
        Case("t = Tanh (features) scores = Sub (t, features)"),
        Case("scores = Sub (b, features)", 1, 3, constants={"b": drawn(3)}),
    ],
    "Mul": [
        Case("scores = Mul (features, b)", constants={"b": drawn(3)}),
        Case("scores = Mul (b, features)", constants={"b": drawn(1, 1)}),
        Case("t = Tanh (features) scores = Mul (features, t)"),
        Case("scores = Mul (features, features)"),
        Case("scores = Mul (features, b)", 1, 3, {"b": drawn(3)}),
        Case("g = Greater (features, nought) m = Cast <to = FLOAT> (g) scores = Mul (m, features)",
             constants={"nought": np.zeros(1)}),
        Case(
            "i = Reshape (features, one) t = Tanh (i) h = Mul (t, i) scores = Flatten (h)", 6, 6,
            shapes={"one": (-1, 2, 3)},
        ),
    ],
    "Sum": [
        Case("t = Tanh (features) scores = Sum (features, b, t)", constants={"b": drawn(3)}),
        Case("scores = Sum (features)"),
    ],
    "Div": [
        Case("scores = Div (features, b)", constants={"b": drawn(3)}),
        Case("scores = Div (features, b)", constants={"b": drawn(1, 1)}),
        Case("scores = Div (b, features)", constants={"b": drawn(3)}, positive=True),
        Case("t = Exp (features) scores = Div (features, t)"),
        Case("s = ReduceSum <keepdims = 1> (features, axes) scores = Div (features, s)", shapes={"axes": (1,)},
             positive=True),
    ],
    "MatMul": [
        Case("scores = MatMul (features, W)", S=2, constants={"W": W}),
        Case("scores = MatMul (features, W)", 1, 1, constants={"W": drawn(1, 1)}),
        Case(
            "i = Reshape (features, one) h = MatMul (i, W) scores = Flatten (h)", 6, 4, {"W": W}, {"one": (-1, 2, 3)}
        ),
        Case("t = Tanh (W) scores = MatMul (features, t)", 3, 2, {"W": W}),
        Case(
            "i = Reshape (features, a) h = MatMul (i, v) scores = Flatten (h)", 6, 2, {"v": drawn(3)},
            {"a": (-1, 2, 3)},
        ),
        Case(
            "i = Reshape (features, one) h = MatMul (V, i) scores = Flatten (h)", 6, 12, {"V": drawn(4, 2)},
            {"one": (-1, 2, 3)},
        ),
        Case(
            "i = Reshape (features, one) h = MatMul (i, V) scores = Flatten (h)", 12, 8, {"V": drawn(2, 3, 2)},
            {"one": (-1, 2, 2, 3)},
        ),
        Case(
            "i = Reshape (features, a) t = Tanh (features) j = Reshape (t, b) h = MatMul (i, j) scores = Flatten (h)",
            6, 4, shapes={"a": (-1, 2, 3), "b": (-1, 3, 2)},
        ),
        Case(
            "i = Reshape (features, a) g = Greater (i, nought) m = Cast <to = FLOAT> (g) j = Reshape (m, b) "
            "h = MatMul (i, j) scores = Flatten (h)",
            6, 4, {"nought": np.zeros(1)}, {"a": (-1, 2, 3), "b": (-1, 3, 2)},
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
        Case("scores = Max (features, b)", 1, 3, {"b": drawn(3)}),
    ],
    "Min": [
        Case("scores = Min (features, b)", constants={"b": drawn(3)}),
        Case("scores = Min (b, features)", constants={"b": np.array([-0.25])}),
    ],
}  # fmt: skip


def test_every_rule_has_its_cases() -> None:
    assert set(CASES) == set(RULES) - set(SLOPES) - set(SELECTIONS) - set(REDUCTIONS)


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{name}-{number}") for name, cases in CASES.items() for number, case in enumerate(cases)],
)
def test_a_derivative_is_that_of_central_differences(case: Case) -> None:
    check_derivative(case)


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
        "operator Cast has no derivative here",
    ),
    (
        "MatMul of unlike shapes",
        Case(
            "i = Reshape (features, a) t = Tanh (features) j = Reshape (t, b) h = MatMul (i, j) scores = Flatten (h)",
            4, 8, shapes={"a": (-1, 2, 1, 2), "b": (-1, 1, 2, 2)},
        ),
        "MatMul of two computed tensors of unlike shapes has no derivative here",
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
        "Gemm that adds a computed tensor",
        Case("t = Gemm (features, W) scores = Gemm (features, W, t)", 3, 2, {"W": W}),
        "Gemm of two computed tensors has no derivative here",
    ),
    (
        "Gemm of transposed rows",
        Case("h = Gemm <transA = 1> (features, W) scores = Flatten <axis = 0> (h)", 3, 2, {"W": W}),
        "the sizes inside the graph cannot be found (InvalidArgument)",
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
