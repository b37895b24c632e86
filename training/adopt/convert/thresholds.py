"""Rounds the thresholds of trees so that each float32 value takes the branch that it takes in float64.

Converters round a float64 threshold to the nearest float32. Where that is above the threshold, a value between the two
changes sides. A float32 value is at most t exactly if it is at most the largest float32 that is no more than t.
"""

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import helper

ROUNDING = 2e-6  # of a scaled number in float32, whose mean is a few standard deviations away from 0


def round_down(model: onnx.ModelProto, thresholds: Iterable[tuple[int, float]]) -> None:
    """Replaces the thresholds of a model's trees, which ask whether a value is at most a threshold.

    Args:
        model: changed in place.
        thresholds: feature and float64 threshold of every split of the library's trees.
    """
    lower: dict[tuple[int, np.float32], np.float32] = {}
    for feature, exact in thresholds:
        with np.errstate(over="ignore"):
            nearest = np.float32(exact)
        key = (feature, nearest)
        below = np.nextafter(nearest, np.float32(-np.inf)) if float(nearest) > exact else nearest
        lower[key] = max(below, lower.get(key, below))
    for node in model.graph.node:
        if not node.op_type.startswith("TreeEnsemble"):
            continue
        held = {item.name: item for item in node.attribute}
        if not {"nodes_values", "nodes_featureids", "nodes_modes"} <= set(held):
            continue
        found = [
            float(lower.get((feature, np.float32(value)), value)) if mode == b"BRANCH_LEQ" else value
            for feature, value, mode in zip(
                held["nodes_featureids"].ints, held["nodes_values"].floats, held["nodes_modes"].strings, strict=True
            )
        ]
        held["nodes_values"].CopyFrom(helper.make_attribute("nodes_values", found))


def lowered(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy whose trees count what lies a rounding below a threshold as the threshold, where that is above.

    XGBoost splits at values that training rows have. Behind a scaler, their last digit is another in float32.
    """
    found = onnx.ModelProto()
    found.CopyFrom(model)
    for node in found.graph.node:
        held = {item.name: item for item in node.attribute}
        if not node.op_type.startswith("TreeEnsemble") or not {"nodes_values", "nodes_modes"} <= set(held):
            continue
        values = [
            value - ROUNDING * max(1.0, abs(value)) if mode == b"BRANCH_LT" else value
            for value, mode in zip(held["nodes_values"].floats, held["nodes_modes"].strings, strict=True)
        ]
        held["nodes_values"].CopyFrom(helper.make_attribute("nodes_values", values))
    return found
