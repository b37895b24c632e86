"""Defines the derivatives of operators that choose, join or reorder the places of tensors."""

from collections.abc import Sequence

import numpy as np
import onnx

from chainzrule.training.adopt.graph import attribute
from chainzrule.training.adopt.reverse import Reverse, Rule
from chainzrule.training.errors import AdoptionError
from chainzrule.training.onnxwriter import Value


def _axis(reverse: Reverse, node: onnx.NodeProto, name: str, axis: int) -> int:
    """Returns an axis of a tensor as it is counted from the batch; raises `AdoptionError` where it is the batch."""
    place = axis + len(reverse.shape(name)) + 1 if axis < 0 else axis
    if place == 0:
        raise AdoptionError(f"{node.op_type} across rows of the batch has no derivative here")
    return place


def _put_back(reverse: Reverse, name: str, axis: int, places: Sequence[int], adjoint: Value) -> None:
    """Gives the adjoint of chosen places along an axis back to these places, by a product with 0s and 1s."""
    shape = reverse.shape(name)
    length = shape[axis - 1]
    chosen = np.zeros((length, len(places)), np.float32)
    np.add.at(chosen, (np.asarray(places) % length, np.arange(len(places))), 1.0)
    before, behind = int(np.prod(shape[: axis - 1])), int(np.prod(shape[axis:]))
    flat = adjoint.reshape(-1, reverse.scores * before, len(places), behind)
    back = reverse.writer.constant(chosen) @ flat
    reverse.accumulate(name, back.reshape(-1, reverse.scores, *shape))


def _gather(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    name = node.input[0]
    if not reverse.depends(name):
        return
    axis = _axis(reverse, node, name, int(attribute(node, "axis", 0)))
    _put_back(reverse, name, axis, reverse.constant(node.input[1]).ravel().tolist(), adjoint)


def _array_feature_extractor(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    name = node.input[0]
    _put_back(reverse, name, len(reverse.shape(name)), reverse.constant(node.input[1]).ravel().tolist(), adjoint)


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
    axis = _axis(reverse, node, name, axes[0])
    length = reverse.shape(name)[axis - 1]
    end = None if steps[0] < 0 and ends[0] < -length else ends[0]
    _put_back(reverse, name, axis, range(length)[starts[0] : end : steps[0]], adjoint)


def _concat(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    axis = _axis(reverse, node, node.output[0], int(attribute(node, "axis")))
    start = 0
    for name in node.input:
        size = reverse.shape(name)[axis - 1]
        if reverse.depends(name):
            places = reverse.writer.integers(range(start, start + size))
            reverse.accumulate(name, reverse.writer.node("Gather", adjoint, places, axis=axis + 1))
        start += size


def _transpose(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    rank = len(reverse.shape(node.output[0])) + 1
    order = attribute(node, "perm", list(reversed(range(rank))))
    if order[0] != 0:
        raise AdoptionError("a Transpose that moves the batch has no derivative here")
    back = [0, 1, *(int(place) + 1 for place in np.argsort(order)[1:])]
    reverse.accumulate(node.input[0], reverse.writer.node("Transpose", adjoint, perm=back))


def _where(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    condition, first, second = node.input
    mask = reverse.factor(condition)
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
