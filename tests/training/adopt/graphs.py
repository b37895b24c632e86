"""Small ONNX models, written as text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from scipy.special import erf

from chainzrule.service.artifact.features import NumericFeature
from chainzrule.training.adopt.derivative import derivative_graphs
from chainzrule.training.adopt.given import Given, describe_given
from chainzrule.training.adopt.graph import opened
from chainzrule.training.adopt.placement import place_columns
from chainzrule.training.adopt.source import Source, plain_sources

Floats = NDArray[np.float64]
Constants = Mapping[str, NDArray[np.generic]]


def model(
    body: str,
    inputs: str = "float[batch,3] features",
    outputs: str = "float[batch,2] scores",
    constants: Constants | None = None,
    opset: int = 18,
) -> onnx.ModelProto:
    """Returns the checked model of a body of ONNX's text format; `ml.` operators are those of `ai.onnx.ml`."""
    imports = f'["" : {opset}, "ai.onnx.ml" : 3]'
    found = onnx.parser.parse_model(
        f"<ir_version: 8, opset_import: {imports}> g ({inputs}) => ({outputs}) {{ {body} }}"
    )
    for name, values in (constants or {}).items():
        found.graph.initializer.append(numpy_helper.from_array(np.array(values, order="C"), name))
    onnx.checker.check_model(found)
    return found


RANDOM = np.random.default_rng(0)
ROWS = 5


def drawn(*shape: int) -> Floats:
    """Numbers that float32 holds exactly, so that both precisions see the same."""
    return RANDOM.normal(size=shape).astype(np.float32).astype(np.float64)


@dataclass(frozen=True)
class Case:
    """The smallest graph with an operator, from `features` (batch, width) to `scores` (batch, S).

    Attributes:
        body: of the graph; FLOAT stands for its type of numbers.
        positive: whether the features must be.
        opset: of the standard operators.
    """

    body: str
    width: int = 3
    S: int = 3
    constants: dict[str, Floats] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    positive: bool = False
    opset: int = 18

    def graph(self, kind: str) -> onnx.ModelProto:
        numbers = np.float32 if kind == "float" else np.float64
        constants: dict[str, NDArray[np.generic]] = {
            name: values.astype(numbers) for name, values in self.constants.items()
        }
        constants |= {name: np.array(shape, np.int64) for name, shape in self.shapes.items()}
        return model(
            self.body.replace("FLOAT", "1" if kind == "float" else "11"),
            f"{kind}[batch,{self.width}] features",
            f"{kind}[batch,{self.S}] scores",
            constants,
            self.opset,
        )

    def rows(self) -> Floats:
        found = np.random.default_rng(1).normal(size=(ROWS, self.width)).astype(np.float32).astype(np.float64)
        return np.abs(found) + 0.25 if self.positive else found


def elementwise(operator: str, **parts: Any) -> list[Case]:
    """A function of single numbers, on vectors, images, and one number; behind it, all scores mix its values."""
    return [
        Case(f"h = {operator} (features) scores = MatMul (h, W)", constants={"W": drawn(3, 2)}, S=2, **parts),
        Case(
            f"i = Reshape (features, image) h = {operator} (i) f = Flatten (h) scores = MatMul (f, W)",
            width=12, S=2, constants={"W": drawn(12, 2)}, shapes={"image": (-1, 3, 2, 2)}, **parts,
        ),
        Case(f"scores = {operator} (features)", width=1, S=1, **parts),
    ]  # fmt: skip


def pooled(operator: str, channels: int, height: int, width: int, kernel: tuple[int, int]) -> Case:
    attributes = f"kernel_shape = {list(kernel)}, strides = {list(kernel)}"
    values = channels * height * width
    return Case(
        f"i = Reshape (features, image) p = {operator} <{attributes}> (i) scores = Flatten (p)",
        width=values, S=values // (kernel[0] * kernel[1]), shapes={"image": (-1, channels, height, width)},
    )  # fmt: skip


def convolved(
    attributes: str, image: tuple[int, ...], kernel: tuple[int, ...], outputs: int, bias: bool = True
) -> Case:
    constants = {"K": drawn(*kernel)} | ({"c": drawn(kernel[0])} if bias else {})
    operands = "i, K, c" if bias else "i, K"
    return Case(
        f"i = Reshape (features, image) y = Conv <{attributes}> ({operands}) scores = Flatten (y)",
        width=int(np.prod(image)), S=outputs, constants=constants, shapes={"image": (-1, *image)},
    )  # fmt: skip


def zipped() -> onnx.ModelProto:
    """A linear classifier of three columns whose probabilities a ZipMap makes a list of, as converters write it."""
    numbers = "coefficients = [-0.5, 1.0, -2.0, 0.5, -1.0, 2.0], intercepts = [-0.5, 0.5]"
    attributes = f'classlabels_strings = ["no", "yes"], {numbers}, post_transform = "SOFTMAX"'
    found = model(
        f"label, shares = ai.onnx.ml.LinearClassifier <{attributes}> (features)",
        outputs="string[batch] label, float[batch,2] shares",
    )
    labels = ["no", "yes"]
    found.graph.node.append(
        helper.make_node("ZipMap", ["shares"], ["pairs"], domain="ai.onnx.ml", classlabels_strings=labels)
    )
    kind = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    found.graph.output[1].CopyFrom(helper.make_value_info("pairs", helper.make_sequence_type_proto(kind)))
    return found


def described(columns: int, noise: float = 0.1) -> tuple[NumericFeature, ...]:
    """Columns named c0, c1 and so on, of mean 0 and standard deviation 1."""
    return tuple(
        NumericFeature(name=f"c{place}", mean=0.0, std=1.0, low=-9.0, high=9.0, noise=noise) for place in range(columns)
    )


def given_of(found: onnx.ModelProto) -> Given:
    return describe_given(found, "0" * 64)


def sources_of(found: onnx.ModelProto, columns: int | None = None) -> list[Source]:
    """A model made plain, in every way that there is."""
    given = given_of(found)
    count = columns or sum(one.width or 0 for one in given.inputs)
    features = described(count)
    return list(plain_sources(given, place_columns(given.inputs, [one.name for one in features]), features))


def source_of(found: onnx.ModelProto, columns: int | None = None) -> Source:
    """A model made plain, in the better way."""
    return sources_of(found, columns)[0]


class Erf(OpRun):  # type: ignore[misc]
    """In float64, which ONNX's own does not keep."""

    op_domain = ""

    def _run(self, x: Floats) -> tuple[Floats]:
        return (np.asarray(erf(x), x.dtype),)


class Gelu(OpRun):  # type: ignore[misc]
    """In float64 too."""

    op_domain = ""

    def _run(self, x: Floats, approximate: str | None = None) -> tuple[Floats]:
        if approximate == "tanh":
            return (x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2,)
        return (x * (1 + np.asarray(erf(x / np.sqrt(2)), x.dtype)) / 2,)


def check_derivative(case: Case) -> None:
    """Holds both graphs of a case's derivative to central differences in float64, by another evaluator."""
    rows, graph = case.rows(), case.graph("float")
    noise = np.linspace(0.5, 2.0, case.width)
    served, jacobian = derivative_graphs(graph, noise, list(graph.graph.output))
    found = opened(jacobian).run(rows.astype(np.float32))
    evaluator = ReferenceEvaluator(case.graph("double"), new_ops=[Erf, Gelu])

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
