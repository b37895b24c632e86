"""Converts models of LightGBM, XGBoost and CatBoost."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pandas as pd
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from chainzrule.training.adopt.convert.cattrees import converted_trees
from chainzrule.training.adopt.convert.converted import Converted
from chainzrule.training.adopt.convert.naming import label_names
from chainzrule.training.adopt.convert.thresholds import round_down
from chainzrule.training.adopt.convert.xgbtrees import written

OPSET = 15
Matrix = NDArray[np.float32]


def from_lightgbm(model: Any, frame: pd.DataFrame) -> Converted:
    """Converts a fitted LightGBM estimator, or a Booster."""
    from onnxmltools.convert import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    booster = getattr(model, "booster_", model)
    columns = [str(name) for name in frame.columns]
    levels = _lightgbm_levels(booster, frame)
    types = [("input", FloatTensorType([None, len(columns)]))]
    found = convert_lightgbm(model, initial_types=types, target_opset=OPSET)
    round_down(found, lightgbm_thresholds(booster))
    if "boosting: rf" in booster.model_to_string():
        _average(found, booster.num_trees() // booster.num_model_per_iteration())
    classes = getattr(model, "classes_", None)
    if classes is None:
        answers = np.asarray(booster.predict(frame), np.float64)
        return Converted(found, answers.reshape(len(frame), -1), levels=levels)
    answers = np.asarray(model.predict_proba(frame), np.float64)
    return Converted(found, answers, label_names(classes), levels=levels)


def _lightgbm_levels(booster: Any, frame: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Returns the levels of the columns of pandas categories, which LightGBM numbers in the order of training."""
    known = getattr(booster, "pandas_categorical", None) or []
    named = [name for name in frame.columns if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    return {str(name): label_names(levels) for name, levels in zip(named, known, strict=False)}


def lightgbm_thresholds(booster: Any) -> Iterator[tuple[int, float]]:
    """Yields feature and float64 threshold of every split of a Booster's trees."""

    def walk(node: dict[str, Any]) -> Iterator[tuple[int, float]]:
        if "split_feature" in node:
            if node["decision_type"] == "<=":
                yield node["split_feature"], float(node["threshold"])
            yield from walk(node["left_child"])
            yield from walk(node["right_child"])

    for tree in booster.dump_model()["tree_info"]:
        yield from walk(tree["tree_structure"])


def _average(model: onnx.ModelProto, trees: int) -> None:
    """Makes trees' sums means, as a random forest's are, and takes out the converter's division by 100."""
    divisors = {node.input[1] for node in model.graph.node if node.op_type == "Div"}
    for weight in model.graph.initializer:
        if weight.name in divisors and (numpy_helper.to_array(weight) == 100.0).all():
            weight.CopyFrom(numpy_helper.from_array(np.ones(tuple(weight.dims), np.float32), weight.name))
    for node in model.graph.node:
        for item in node.attribute:
            if item.name in ("class_weights", "target_weights"):
                item.CopyFrom(helper.make_attribute(item.name, [value / trees for value in item.floats]))


def from_xgboost(model: Any, frame: pd.DataFrame) -> Converted:
    """Converts a fitted XGBoost estimator, or a Booster."""
    import xgboost

    booster = model if isinstance(model, xgboost.Booster) else model.get_booster()
    best = getattr(model, "best_iteration", None)  # of early stopping, behind which trees do not count
    if best is not None:
        booster = booster[: best + 1]
    levels = {
        str(name): label_names(frame[name].cat.categories)
        for name in frame.columns
        if isinstance(frame[name].dtype, pd.CategoricalDtype)
    }
    found = written(booster, frame.shape[1])
    named = frame if booster.feature_names else frame.to_numpy()
    if isinstance(model, xgboost.Booster):
        answers = booster.predict(xgboost.DMatrix(named, enable_categorical=True))
        return Converted(found, np.asarray(answers, np.float64).reshape(len(frame), -1), levels=levels)
    classes = getattr(model, "classes_", None)
    if classes is None:
        return Converted(found, np.asarray(model.predict(named), np.float64).reshape(len(frame), -1), levels=levels)
    answers = np.asarray(model.predict_proba(named), np.float64)
    return Converted(found, answers if answers.shape[1] > 2 else answers[:, 1:], label_names(classes), levels=levels)


def from_catboost(model: Any, frame: pd.DataFrame) -> Converted:
    """Converts a fitted CatBoost model."""
    labels = getattr(model, "classes_", ())
    predicted = np.asarray((model.predict_proba if len(labels) else model.predict)(frame), np.float64)
    answers, names = predicted.reshape(len(frame), -1), label_names(labels)
    found, levels = converted_trees(model, frame)
    scores = found.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    return Converted(found, answers[:, -scores:], names, levels=levels)
