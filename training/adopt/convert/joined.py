"""Converts a pipeline that ends in CatBoost: its steps by skl2onnx, its trees here, and joins both."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx.compose
import pandas as pd

from chainzrule.training.adopt.convert.cattrees import converted_trees

TREES = "trees_"


def ends_in_catboost(model: Any) -> bool:
    """Returns whether a model is a pipeline whose last step is CatBoost's."""
    return hasattr(model, "steps") and type(model.steps[-1][1]).__module__.startswith("catboost")


def joined(pipeline: Any, convert: Callable[[Any], onnx.ModelProto]) -> onnx.ModelProto:
    """Returns the graph of a fitted pipeline; `convert` makes that of its other steps."""
    steps = copy.copy(pipeline)
    steps.steps = pipeline.steps[:-1]
    last = pipeline.steps[-1][1]
    front = convert(steps)
    trees, _ = converted_trees(last, pd.DataFrame(np.zeros((1, len(last.feature_names_)))))
    behind = onnx.compose.add_prefix(trees, TREES)
    behind.ir_version = front.ir_version
    versions = {item.domain: item.version for item in front.opset_import}
    for item in behind.opset_import:  # what the trees need is the same in all versions that skl2onnx writes
        item.version = versions.get(item.domain, item.version)
    return onnx.compose.merge_models(front, behind, io_map=[(front.graph.output[0].name, f"{TREES}input")])
