"""The derivatives of choosing, joining and reordering beside central differences in float64."""

import numpy as np
import pytest

from chainzrule.training.adopt.derivative import derivative_graphs
from chainzrule.training.adopt.selections import SELECTIONS
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import Case, check_derivative, drawn

IMAGE = {"a": (-1, 2, 3)}


def of_matrix(body: str, S: int, **shapes: tuple[int, ...]) -> Case:
    """A case whose `i` is (batch, 2, 3) and whose `h` becomes the scores."""
    return Case(f"f = Tanh (features) i = Reshape (f, a) {body} scores = Flatten (h)", 6, S, shapes={**IMAGE, **shapes})


CASES: dict[str, list[Case]] = {
    "Gather": [
        Case("scores = Gather <axis = 1> (features, places)", S=4, shapes={"places": (2, 0, 2, -1)}),
        of_matrix("h = Gather <axis = 2> (i, places)", 4, places=(0, 2)),
        of_matrix("h = Gather <axis = -2> (i, places)", 9, places=(1, 1, 0)),
        Case(
            "i = Reshape (features, a) p = Constant <value_int = 1> () h = Gather <axis = 1> (i, p) "
            "t = Tanh (h) scores = Flatten (t)", 6, 3, shapes=IMAGE,
        ),
    ],
    "ArrayFeatureExtractor": [
        Case("scores = ai.onnx.ml.ArrayFeatureExtractor (features, places)", S=2, shapes={"places": (2, 0)}),
    ],
    "Slice": [
        Case("scores = Slice (features, from, to, axes)", S=2, shapes={"from": (1,), "to": (99,), "axes": (1,)}),
        of_matrix("h = Slice (i, from, to, axes, by)", 4, **{"from": (2,), "to": (-99,), "axes": (-1,), "by": (-2,)}),
        of_matrix("h = Slice (i, from, to, axes)", 3, **{"from": (-1,), "to": (2,), "axes": (1,)}),
    ],
    "Concat": [
        Case("t = Tanh (features) scores = Concat <axis = 1> (features, t, features)", S=9),
        of_matrix("t = Neg (i) h = Concat <axis = -1> (i, t)", 12),
        Case(  # a constant that is repeated for every row, as a class token is
            "z = Shape (features) n = Gather <axis = 0> (z, first) w = Concat <axis = 0> (n, one) "
            "c = Expand (token, w) t = Tanh (features) h = Concat <axis = 1> (c, t) scores = Mul (h, h)", 3, 4,
            {"token": drawn(1, 1)}, {"first": (0,), "one": (1,)},
        ),
        of_matrix("g = Greater (i, i) m = Cast <to = FLOAT> (g) h = Concat <axis = 1> (m, i)", 12),
    ],
    "Transpose": [
        of_matrix("h = Transpose <perm = [0, 2, 1]> (i)", 6),
        Case(
            "f = Tanh (features) i = Reshape (f, a) p = Transpose <perm = [0, 3, 1, 2]> (i) h = MatMul (p, W) "
            "scores = Flatten (h)", 12, 12, {"W": drawn(3, 3)}, {"a": (-1, 2, 3, 2)},
        ),
        Case("t = Transpose (features) u = Tanh (t) scores = Transpose (u)"),
        Case(
            "f = Tanh (features) i = Reshape (f, a) t = Transpose <perm = [1, 0, 2]> (i) p = Mul (t, C) "
            "m = MatMul (p, W) e = Exp (m) q = Mul (e, p) g = Reshape (q, b) d = Gemm (g, W, c) r = Reshape (d, e3) "
            "back = Transpose <perm = [1, 0, 2]> (r) scores = Flatten (back)", 6, 6,
            {"W": drawn(3, 3), "C": drawn(2, 1, 3), "c": drawn(3)}, {**IMAGE, "b": (-1, 3), "e3": (2, -1, 3)},
        ),
        Case(  # two heads beside the rows, as attention is exported
            "f = Tanh (features) i = Reshape (f, a) t = Transpose <perm = [1, 0, 2]> (i) h = Reshape (t, heads) "
            "q = Transpose <perm = [1, 0, 2]> (h) k = Transpose <perm = [0, 2, 1]> (q) s = MatMul (q, k) "
            "p = Softmax (s) v = MatMul (p, q) w = Transpose <perm = [1, 0, 2]> (v) j = Reshape (w, joined) "
            "back = Transpose <perm = [1, 0, 2]> (j) scores = Flatten (back)", 12, 12,
            shapes={"a": (-1, 3, 4), "heads": (3, -1, 2), "joined": (3, -1, 4)},
        ),
    ],
    "Where": [
        Case("g = Greater (features, nought) n = Neg (features) scores = Where (g, features, n)",
             constants={"nought": np.zeros(1)}),
        Case("g = Greater (features, nought) scores = Where (g, features, b)",
             constants={"nought": np.zeros(1), "b": drawn(3)}),
        Case("g = Greater (b, nought) scores = Where (g, nought, features)",
             constants={"nought": np.zeros(1), "b": drawn(3)}),
    ],
    "Expand": [
        Case("i = Reshape (features, a) t = Tanh (i) h = Expand (t, wide) scores = Flatten (h)", 3, 6,
             shapes={"a": (-1, 1, 3), "wide": (1, 2, 1)}),
    ],
}  # fmt: skip


def test_every_operator_has_its_cases() -> None:
    assert set(CASES) == set(SELECTIONS)


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{name}-{number}") for name, cases in CASES.items() for number, case in enumerate(cases)],
)
def test_a_derivative_is_that_of_central_differences(case: Case) -> None:
    check_derivative(case)


@pytest.mark.parametrize(("case", "said"), [
    (
        of_matrix("h = Slice (i, from, to)", 2, **{"from": (0, 0), "to": (99, 1)}),
        "a Slice along several axes has no derivative here",
    ),
    (
        Case("h = Gather <axis = 0> (features, places) scores = Flatten (h)", shapes={"places": (0, 0, 0, 0, 0)}),
        "a tensor inside the graph does not have one row for each row of the input",
    ),
])  # fmt: skip
def test_what_a_rule_does_not_hold_for_is_refused_by_name(case: Case, said: str) -> None:
    graph = case.graph("float")
    with pytest.raises(AdoptionError) as caught:
        derivative_graphs(graph, np.ones(case.width), list(graph.graph.output))
    assert str(caught.value) == said
