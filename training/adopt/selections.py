"""Defines the derivatives of operators that choose, join or reorder the places of tensors."""

from collections.abc import Sequence

import numpy as np
import onnx

from chainzrule.training.adopt.graph import attribute
from chainzrule.training.adopt.reverse import Reverse, Rule
from chainzrule.training.errors import AdoptionError
from chainzrule.training.onnxwriter import Value


def _put_back(reverse: Reverse, name: str, axis: int, places: Sequence[int], adjoint: Value) -> None:
    """Gives the adjoint of chosen places along an axis back to these places, by a product with 0s and 1s."""
    shape, place = reverse.shape(name), reverse.layout(name).place(axis)
    length = shape[place]
    chosen = np.zeros((length, len(places)), np.float32)
    np.add.at(chosen, (np.asarray(places) % length, np.arange(len(places))), 1.0)
    before, behind = int(np.prod(shape[:place])), int(np.prod(shape[place + 1 :]))
    flat = adjoint.reshape(-1, reverse.scores * before, len(places), behind)
    back = reverse.writer.constant(chosen) @ flat
    reverse.accumulate(name, back.reshape(-1, reverse.scores, *shape))


def _gather(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    name = node.input[0]
    if not reverse.depends(name):
        return
    _put_back(reverse, name, int(attribute(node, "axis", 0)), reverse.constant(node.input[1]).ravel().tolist(), adjoint)


def _array_feature_extractor(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    name = node.input[0]
    _put_back(reverse, name, -1, reverse.constant(node.input[1]).ravel().tolist(), adjoint)


def _slice(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    name = node.input[0]
    if len(node.input) > 1:
        starts, ends, *rest = (reverse.constant(part).ravel().tolist() for part in node.input[1:] if part)
    else:
        starts, ends = attribute(node, "starts"), attribute(node, "ends")
        rest = [attribute(node, "axes")] if attribute(node, "axes") else []
    axes = rest[0] if rest else list(range(len(starts)))
    steps = rest[1] if len(rest) > 1 else [1] * len(starts)
    if len(axes) != 1:
        raise AdoptionError("a Slice along several axes has no derivative here")
    length = reverse.shape(name)[reverse.layout(name).place(axes[0])]
    end = None if steps[0] < 0 and ends[0] < -length else ends[0]
    _put_back(reverse, name, axes[0], range(length)[starts[0] : end : steps[0]], adjoint)


def _concat(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    axis = reverse.layout(node.output[0]).place(int(attribute(node, "axis")))
    start = 0
    for name in node.input:
        size = reverse.shape(name)[axis]
        if reverse.depends(name):
            places = reverse.writer.integers(range(start, start + size))
            reverse.accumulate(name, reverse.writer.node("Gather", adjoint, places, axis=axis + 2))
        start += size


def _transpose(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    given, made = reverse.layout(node.input[0]), reverse.layout(node.output[0])
    order = attribute(node, "perm", list(reversed(range(len(given.sizes)))))
    places: list[int] = []  # of the output's axes without the rows, in the input
    for axis in order:
        if axis == given.axis:
            places += range(given.axis, given.axis + len(given.merged))
        else:
            places.append(given.place(axis))
    if sorted(places) != list(range(len(made.rest))):
        raise AdoptionError("a Transpose that tears the batch apart has no derivative here")
    back = [0, 1, *(int(place) + 2 for place in np.argsort(places))]
    reverse.accumulate(node.input[0], reverse.writer.node("Transpose", adjoint, perm=back))


def _where(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    condition, first, second = node.input
    mask = reverse.factor(condition, node.output[0])
    for name, chosen in ((first, (1.0, 0.0)), (second, (0.0, 1.0))):
        if reverse.depends(name):
            own = adjoint * reverse.writer.node("Where", mask, *chosen)
            reverse.accumulate(name, reverse.gathered(own, name, node.output[0]))


def _expand(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    reverse.accumulate(node.input[0], reverse.gathered(adjoint, node.input[0], node.output[0]))


SELECTIONS: dict[str, Rule] = {
    "Gather": _gather,
    "ArrayFeatureExtractor": _array_feature_extractor,
    "Slice": _slice,
    "Concat": _concat,
    "Transpose": _transpose,
    "Where": _where,
    "Expand": _expand,
}
