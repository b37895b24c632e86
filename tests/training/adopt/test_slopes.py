"""The derivative of each elementwise function beside central differences in float64."""

import numpy as np
import pytest

from chainzrule.training.adopt.derivative import derivative_graphs
from chainzrule.training.adopt.graph import opened
from chainzrule.training.adopt.slopes import SLOPES
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import Case, check_derivative, drawn, elementwise

CASES: dict[str, list[Case]] = {
    "Relu": elementwise("Relu"),
    "LeakyRelu": [*elementwise("LeakyRelu"), *elementwise("LeakyRelu <alpha = 0.25>")],
    "PRelu": [
        Case("scores = PRelu (features, b)", constants={"b": drawn(3)}),
        Case("scores = PRelu (features, b)", constants={"b": drawn(1)}),
    ],
    "Elu": [*elementwise("Elu"), *elementwise("Elu <alpha = 0.5>")],
    "Selu": elementwise("Selu"),
    "Clip": [
        Case("scores = Clip (features, low, high)", constants={"low": np.array(-0.5), "high": np.array(0.5)}),
        Case("scores = Clip (features, low)", constants={"low": np.array(-0.25)}),
        Case("scores = Clip (features, , high)", constants={"high": np.array(0.25)}),
        Case("scores = Clip (features)"),
    ],
    "HardSigmoid": [*elementwise("HardSigmoid"), *elementwise("HardSigmoid <alpha = 0.5, beta = 0.4>")],
    "HardSwish": elementwise("HardSwish"),
    "Sigmoid": elementwise("Sigmoid"),
    "Swish": [],
    "Mish": elementwise("Mish"),
    "Gelu": [
        Case(f"scores = Gelu {how} (features)", opset=20) for how in ("", '<approximate = "tanh">')
    ],
    "Erf": elementwise("Erf"),
    "Tanh": elementwise("Tanh"),
    "Exp": elementwise("Exp"),
    "Log": elementwise("Log", positive=True),
    "Softplus": elementwise("Softplus"),
    "Sqrt": elementwise("Sqrt", positive=True),
    "Reciprocal": elementwise("Reciprocal", positive=True),
    "Abs": elementwise("Abs"),
    "Pow": [
        Case("scores = Pow (features, two)", constants={"two": np.array(2.0)}),
        Case("scores = Pow (features, three)", constants={"three": np.array(3.0)}),
        Case("scores = Pow (features, some)", constants={"some": np.array([0.5, 1.5, -1.0])}, positive=True),
    ],
    "Softsign": elementwise("Softsign"),
}  # fmt: skip


def test_every_function_has_its_cases() -> None:
    assert set(CASES) == set(SLOPES)


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{name}-{number}") for name, cases in CASES.items() for number, case in enumerate(cases)],
)
def test_a_derivative_is_that_of_central_differences(case: Case) -> None:
    check_derivative(case)


@pytest.mark.parametrize(("body", "said"), [
    ("t = Tanh (features) scores = PRelu (features, t)", "PRelu with a computed slope has no derivative here"),
    ("t = Tanh (features) scores = Pow (features, t)", "Pow with a computed exponent has no derivative here"),
])  # fmt: skip
def test_what_a_rule_does_not_hold_for_is_refused_by_name(body: str, said: str) -> None:
    graph = Case(body).graph("float")
    with pytest.raises(AdoptionError) as caught:
        derivative_graphs(graph, np.ones(3), list(graph.graph.output))
    assert str(caught.value) == said


def test_an_old_clip_has_its_bounds_as_attributes() -> None:
    graph = Case("scores = Clip <min = -0.5, max = 0.5> (features)", opset=9).graph("float")
    _, jacobian = derivative_graphs(graph, np.ones(3), list(graph.graph.output))
    found = opened(jacobian).run(np.array([[-1.0, 0.0, 1.0]], np.float32))["jacobian"]
    np.testing.assert_array_equal(found[0], np.diag([0.0, 1.0, 0.0]))
