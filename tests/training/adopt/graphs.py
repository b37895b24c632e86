"""Small ONNX models, written as text."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

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
    """

    body: str
    width: int = 3
    S: int = 3
    constants: dict[str, Floats] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    positive: bool = False

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
        )

    def rows(self) -> Floats:
        found = np.random.default_rng(1).normal(size=(ROWS, self.width)).astype(np.float32).astype(np.float64)
        return np.abs(found) + 0.25 if self.positive else found


def elementwise(operator: str, **parts: bool) -> list[Case]:
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
