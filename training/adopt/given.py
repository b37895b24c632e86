"""Reads someone else's ONNX file: what it takes, what it answers, and the labels that it names."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import onnx.compose
import onnx.inliner
import onnx.version_converter
from onnx import TensorProto

from chainzrule.training.adopt.foreign import foreign_format, refuse_foreign_operators
from chainzrule.training.adopt.graph import copied, element_type, opset, runs
from chainzrule.training.adopt.naming import named_labels
from chainzrule.training.adopt.which import choose_target
from chainzrule.training.errors import AdoptionError

OLDEST_OPSET, CONVERTED_OPSET = 9, 15  # an older file is converted to the second
NEWER_IR = 8
PREFIX = "source_"
FLOATS = frozenset((TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16))
SIGNED = frozenset((TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64))
UNSIGNED = frozenset((TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64))
NUMBERS = FLOATS | SIGNED | UNSIGNED | {TensorProto.BOOL}


@dataclass(frozen=True)
class Input:
    """Describes one input of a file.

    Attributes:
        name: its name in the prefixed graph.
        kind: its element type, one of `TensorProto`'s.
        batch: how many rows it takes exactly; None where it takes any number.
        shape: the sizes behind the batch; None where one is not known beforehand.
    """

    name: str
    kind: int
    batch: int | None
    shape: tuple[int | None, ...]

    @property
    def own_name(self) -> str:
        """Returns the name that it has in the file."""
        return own(self.name)

    @property
    def width(self) -> int | None:
        """Returns how many columns it takes; None where that is not known beforehand."""
        columns = 1
        for size in self.shape:
            if size is None:
                return None
            columns *= size
        return columns

    @property
    def is_text(self) -> bool:
        """Returns whether it takes text."""
        return self.kind == TensorProto.STRING

    def taking_floats(self) -> "Input":
        """Returns the same input of float32 numbers, unless it takes text."""
        return self if self.is_text else replace(self, kind=TensorProto.FLOAT)


@dataclass(frozen=True)
class Given:
    """Holds a file as it was given; its tensors' names are prefixed, so that they cannot be those of an artifact.

    Attributes:
        model: the graph, with all weights in it.
        sha256: of the file's content.
        inputs: what it takes.
        answer: the float output that is served, or what a ZipMap makes a list of.
        label: the output that names each row's label; None where it has none.
        labels: the labels in the order of the answer's columns; empty where the file names none.
        producer: what the file says it was made by.
        notes: what was done to it, for the user.
    """

    model: onnx.ModelProto
    sha256: str
    inputs: tuple[Input, ...]
    answer: str
    label: str | None
    labels: tuple[str, ...]
    producer: str
    notes: tuple[str, ...] = ()

    @property
    def batch(self) -> int | None:
        """Returns how many rows the file takes exactly; None where it takes any number."""
        return next((one.batch for one in self.inputs if one.batch is not None), None)


def read_given(path: Path, output: str | None = None, which: int | None = None) -> Given:
    """Reads a file, with the weights that lie beside it.

    Args:
        path: the file.
        output: the output that is to be served, where several could be.
        which: the target that is to be served, counted from 1, where it answers several at once.

    Raises:
        AdoptionError: names the format, operator, shape or type that stands in the way, and what to do.
    """
    if path.is_dir():
        raise AdoptionError(f"{path}: is a folder; name the ONNX file in it")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AdoptionError(f"{path}: cannot be read ({error.strerror})") from None
    if (found := foreign_format(content)) is not None:
        raise AdoptionError(f"{path}: is {found}")
    try:
        model = onnx.load_from_string(content)
        _read_weights(model, path)
        if not model.graph.node or not runs(model):  # the checker is stricter than ONNX Runtime, which will run it
            onnx.checker.check_model(model)
    except AdoptionError:
        raise
    except Exception as error:  # protobuf's and the checker's errors share no narrower base
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise AdoptionError(f"{path}: no sound ONNX file ({first}); export the model again") from None
    return describe_given(model, hashlib.sha256(content).hexdigest(), output, which)


def describe_given(model: onnx.ModelProto, sha256: str, output: str | None = None, which: int | None = None) -> Given:
    """Returns what a checked model takes and answers; `output` and `which` as for `read_given`.

    Raises:
        AdoptionError: names the operator, shape or type that stands in the way, and what to do.
    """
    refuse_foreign_operators(model)
    model, notes = _modern(copied(model))
    known = {weight.name: PREFIX + weight.name for weight in model.graph.initializer}
    # Bodies of loops and branches may read the weights outside of them, whose new names have to be known beforehand.
    onnx.compose.add_prefix_graph(model.graph, PREFIX, inplace=True, name_map=known)
    if output is not None:
        _choose(model.graph, output)
    if which is not None:
        choose_target(model, which)
    answer, label = _outputs(model)
    producer = " ".join(part for part in (model.producer_name, model.producer_version) if part) or "unknown"
    return Given(
        model, sha256, _inputs(model), answer, label, named_labels(model.graph, answer, label), producer, notes
    )


def _read_weights(model: onnx.ModelProto, path: Path) -> None:
    """Takes weights that lie in files beside the model's into the model.

    Raises:
        AdoptionError: names a file that is not there.
    """
    places = {
        entry.value
        for weight in model.graph.initializer
        if weight.data_location == TensorProto.EXTERNAL
        for entry in weight.external_data
        if entry.key == "location"
    }
    for place in sorted(places):
        if not (path.parent / place).is_file():
            raise AdoptionError(
                f"{path}: its weights lie in '{place}', which is not beside it; copy that file there, or export the "
                "model in one file (torch.onnx.export: external_data=False)"
            )
    if places:
        onnx.load_external_data_for_model(model, str(path.parent))


def _modern(model: onnx.ModelProto) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """Returns the model with an opset that can be worked with, and what was done for it."""
    if not any(item.domain in ("", "ai.onnx") for item in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid("", 13))
    model.ir_version = max(model.ir_version, NEWER_IR)  # before it, constants had to be inputs too
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    found = opset(model)
    if found >= OLDEST_OPSET:
        return model, ()
    try:
        converted = onnx.version_converter.convert_version(model, CONVERTED_OPSET)
        onnx.checker.check_model(converted)
    except Exception as error:  # the converter's errors share no narrower base
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise AdoptionError(
            f"opset {found} is older than {OLDEST_OPSET}, and onnx.version_converter cannot convert it ({first}); "
            "export the model with a later opset"
        ) from None
    return converted, (f"the file's opset {found} was converted to {CONVERTED_OPSET}",)


def _inputs(model: onnx.ModelProto) -> tuple[Input, ...]:
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if not inputs:
        raise AdoptionError("the model has no input; export it again")
    return tuple(map(_input, inputs))


def _input(value: onnx.ValueInfoProto) -> Input:
    kind = element_type(value)
    if kind not in NUMBERS and kind != TensorProto.STRING:
        found = TensorProto.DataType.Name(kind) if kind else "no tensor"
        raise AdoptionError(f"input {own(value.name)} is of type {found}; export the model with a float32 input")
    if not value.type.tensor_type.HasField("shape"):
        return Input(value.name, kind, None, (None,))
    dims = value.type.tensor_type.shape.dim
    if not dims:
        raise AdoptionError(f"input {own(value.name)} is a single number; export the model with a batch of rows")
    sizes = [dim.dim_value if dim.dim_value > 0 else None for dim in dims]
    return Input(value.name, kind, sizes[0], tuple(sizes[1:]))


def _choose(graph: onnx.GraphProto, output: str) -> None:
    """Leaves a graph one output beside its labels; raises `AdoptionError` where there is none of that name."""
    names = [own(value.name) for value in graph.output]
    if output not in names:
        raise AdoptionError(f"no output is named '{output}'; there are {', '.join(names)}")
    labels = (TensorProto.INT64, TensorProto.INT32, TensorProto.STRING)
    kept = [value for value in graph.output if own(value.name) == output or element_type(value) in labels]
    del graph.output[:]
    graph.output.extend(kept)


def _outputs(model: onnx.ModelProto) -> tuple[str, str | None]:
    """Returns the names of the one float output, and of the output that is a row's label."""
    graph = model.graph
    outputs = {value.name: value for value in graph.output}
    floats: list[str] = []
    labels: list[str] = []
    for node in graph.node:
        if node.op_type == "ZipMap" and node.output[0] in outputs:
            floats.append(node.input[0])
            for name in node.output:
                outputs.pop(name, None)
    for name, value in outputs.items():
        if element_type(value) in FLOATS:
            floats.append(name)
        elif element_type(value) in (TensorProto.INT64, TensorProto.INT32, TensorProto.STRING):
            labels.append(name)
        else:
            kind = element_type(value)
            found = TensorProto.DataType.Name(kind) if kind else value.type.WhichOneof("value")
            way_out = "" if kind else "; --which N serves the N-th, if it holds those of several targets"
            raise AdoptionError(
                f"output {own(name)} is of type {found}; export scores or probabilities as a float tensor{way_out}"
            )
    if not floats:
        names = ", ".join(own(name) for name in outputs)
        raise AdoptionError(
            f"the outputs ({names}) are labels alone; export the probabilities too (scikit-learn: a classifier with "
            "predict_proba)"
        )
    if len(floats) > 1 and (whole := _one_tensor(graph, floats)) is not None:
        floats = [whole]
    if len(floats) > 1:
        raise AdoptionError(
            f"several outputs are floats ({', '.join(own(name) for name in floats)}); name the one to be served with "
            "--output"
        )
    return floats[0], labels[0] if len(labels) == 1 else None


def _one_tensor(graph: onnx.GraphProto, names: list[str]) -> str | None:
    """Returns the tensor whose columns the outputs are, one by one and in their order; None where they are not."""
    made = {output: node for node in graph.node for output in node.output}
    constants = {weight.name: onnx.numpy_helper.to_array(weight) for weight in graph.initializer}
    sources: set[str] = set()
    places: list[int] = []
    for name in names:
        node = made.get(name)
        while node is not None and node.op_type in ("Identity", "Reshape", "Squeeze", "Cast", "Flatten"):
            node = made.get(node.input[0])
        if node is None or any(part not in constants for part in node.input[1:]):
            return None
        chosen = [constants[part].ravel().tolist() for part in node.input[1:]]
        if node.op_type in ("ArrayFeatureExtractor", "Gather"):
            places += chosen[0]
        elif node.op_type == "Slice" and len(chosen) >= 3 and chosen[2] == [1]:
            places += range(chosen[0][0], chosen[1][0])
        else:
            return None
        sources.add(node.input[0])
    return sources.pop() if len(sources) == 1 and places == list(range(len(names))) else None


def own(name: str) -> str:
    """Returns the name that a tensor has in the file."""
    return name.removeprefix(PREFIX)
