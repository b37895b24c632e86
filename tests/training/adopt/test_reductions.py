"""The derivatives of sums, means and what is normalised by them, beside central differences in float64."""

import numpy as np
import pytest

from chainzrule.training.adopt.derivative import derivative_graphs
from chainzrule.training.adopt.graph import opened
from chainzrule.training.adopt.reductions import REDUCTIONS
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import Case, check_derivative, drawn

IMAGE = {"a": (-1, 2, 3)}


def of_matrix(body: str, S: int, **constants: np.ndarray) -> Case:
    """A case whose `i` is (batch, 2, 3) and whose `h` becomes the scores."""
    shapes = {name: tuple(part.tolist()) for name, part in constants.items() if part.dtype.kind == "i"}
    floats = {name: part for name, part in constants.items() if part.dtype.kind == "f"}
    return Case(
        f"f = Tanh (features) i = Reshape (f, a) {body} scores = Flatten (h)", 6, S, floats, {**IMAGE, **shapes}
    )


CASES: dict[str, list[Case]] = {
    **{
        kind: [
            Case(f"t = Tanh (features) scores = {kind} <keepdims = 1> (t, axes)", 3, 1, shapes={"axes": (1,)}),
            of_matrix(f"h = {kind} <keepdims = 1> (i, axes)", 3, axes=np.array([1])),
            of_matrix(f"h = {kind} <keepdims = 0> (i, axes)", 2, axes=np.array([-1])),
            of_matrix(f"h = {kind} <keepdims = 0> (i, axes)", 1, axes=np.array([1, 2])),
        ]
        for kind in ("ReduceSum", "ReduceMean", "ReduceLogSumExp")
    },
    "GlobalAveragePool": [
        Case("f = Tanh (features) i = Reshape (f, a) g = GlobalAveragePool (i) scores = Flatten (g)", 12, 2,
             shapes={"a": (-1, 2, 3, 2)}),
    ],
    **{
        kind: [
            Case(f"scores = {kind} (features)"),
            of_matrix(f"h = {kind} <axis = 1> (i)", 6),
            of_matrix(f"h = {kind} <axis = -1> (i)", 6),
            Case(f"scores = {kind} <axis = 1> (features)", opset=11),
        ]
        for kind in ("Softmax", "LogSoftmax")
    },
    "BatchNormalization": [
        Case(
            "scores = BatchNormalization (features, w, b, m, v)",
            constants={"w": drawn(3), "b": drawn(3), "m": drawn(3), "v": np.abs(drawn(3)) + 0.5},
        ),
        of_matrix(
            "h = BatchNormalization <epsilon = 0.25> (i, w, b, m, v)", 6, w=drawn(2), b=drawn(2), m=drawn(2),
            v=np.abs(drawn(2)) + 0.5,
        ),
    ],
    "LayerNormalization": [
        Case("scores = LayerNormalization (features, w, b)", constants={"w": drawn(3), "b": drawn(3)}),
        of_matrix("h = LayerNormalization <axis = 1, epsilon = 0.125> (i, w)", 6, w=drawn(2, 3)),
        of_matrix("h = LayerNormalization <axis = -1> (i, w, b)", 6, w=drawn(3), b=drawn(3)),
    ],
}  # fmt: skip


def test_every_operator_has_its_cases() -> None:
    assert set(CASES) == set(REDUCTIONS)


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{name}-{number}") for name, cases in CASES.items() for number, case in enumerate(cases)],
)
def test_a_derivative_is_that_of_central_differences(case: Case) -> None:
    check_derivative(case)


def test_an_old_sum_has_its_axes_as_attributes() -> None:
    graph = Case("s = ReduceSum <axes = [1], keepdims = 1> (features) scores = Div (features, s)", opset=11)
    _, jacobian = derivative_graphs(graph.graph("float"), np.ones(3), list(graph.graph("float").graph.output))
    found = opened(jacobian).run(np.array([[1.0, 1.0, 2.0]], np.float32))["jacobian"][0]
    np.testing.assert_allclose(found, (np.eye(3) - np.array([[0.25], [0.25], [0.5]])) / 4, rtol=1e-5)


@pytest.mark.parametrize(("case", "said"), [
    (
        Case("t = ReduceMean <keepdims = 1> (features, axes) scores = Sub (features, t)", shapes={"axes": (0,)}),
        "a tensor inside the graph does not have one row for each row of the input",
    ),
    (
        of_matrix("h = Softmax <axis = 0> (i)", 6),
        "an operator across rows of the batch has no derivative here",
    ),
])  # fmt: skip
def test_what_a_rule_does_not_hold_for_is_refused_by_name(case: Case, said: str) -> None:
    graph = case.graph("float")
    with pytest.raises(AdoptionError) as caught:
        derivative_graphs(graph, np.ones(case.width), list(graph.graph.output))
    assert str(caught.value) == said
