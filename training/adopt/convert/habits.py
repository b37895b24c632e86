"""Bridges what converters do not know of the libraries' newer versions and of their habits."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


@contextlib.contextmanager
def as_skl2onnx_knows(parts: Sequence[Any]) -> Iterator[None]:
    """Gives estimators the attributes that skl2onnx expects, and its nodes plain numbers; both only meanwhile.

    Args:
        parts: the estimators of a model.
    """
    from skl2onnx.common._container import ModelComponentContainer

    changes: list[tuple[Any, str, Callable[[Any], Any]]] = []
    changes += [(part, "_baseline_prediction", np.ravel) for part in parts if hasattr(part, "_baseline_prediction")]
    # How transform() joins columns changes no prediction.
    changes += [(part, "flatten_transform", _no) for part in parts if getattr(part, "flatten_transform", False)]
    # Gaps in text reach the model as empty text.
    changes += [(part, "missing_values", _empty) for part in parts if _fills_text(part)]
    before = [getattr(part, name) for part, name, _ in changes]
    add_node = ModelComponentContainer.add_node

    def add_plain_node(self: Any, *arguments: Any, **attributes: Any) -> Any:
        return add_node(self, *arguments, **{name: _plain(value) for name, value in attributes.items()})

    try:
        ModelComponentContainer.add_node = add_plain_node
        for (part, name, change), value in zip(changes, before, strict=True):
            setattr(part, name, change(value))
        yield
    finally:
        ModelComponentContainer.add_node = add_node
        for (part, name, _), value in zip(changes, before, strict=True):
            setattr(part, name, value)


def _no(value: Any) -> bool:
    return False


def _empty(value: Any) -> str:
    return ""


def _fills_text(part: Any) -> bool:
    filled = getattr(part, "statistics_", None)
    return filled is not None and np.asarray(filled).dtype == object and not isinstance(part.missing_values, str)


def _plain(value: Any) -> Any:
    """Returns a list's numbers as Python's own, because protobuf takes no numpy scalars for whole numbers."""
    if not isinstance(value, list):
        return value
    plain = [one.item() if isinstance(one, np.generic) else one for one in value]
    return [int(one) if isinstance(one, bool) else one for one in plain]


def zeros_as_gaps(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy whose trees get NaN where their input is 0, as XGBoost reads a sparse matrix."""
    found = onnx.ModelProto()
    found.CopyFrom(model)
    nodes = list(found.graph.node)
    del found.graph.node[:]
    for node in nodes:
        if node.op_type.startswith("TreeEnsemble"):
            given = node.input[0]
            zero, gap, holed = (f"{given}_{part}" for part in ("zero", "gap", "holed"))
            if zero not in {weight.name for weight in found.graph.initializer}:
                found.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), zero))
                found.graph.initializer.append(numpy_helper.from_array(np.full(1, np.nan, np.float32), f"{zero}_nan"))
                found.graph.node.append(helper.make_node("Equal", [given, zero], [gap]))
                found.graph.node.append(helper.make_node("Where", [gap, f"{zero}_nan", given], [holed]))
            node.input[0] = holed
        found.graph.node.append(node)
    return found
