"""Converts fitted scikit-learn estimators and pipelines, with boosters of other libraries inside."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import pandas as pd

from chainzrule.training.adopt.convert import histtrees
from chainzrule.training.adopt.convert.boosters import lightgbm_thresholds
from chainzrule.training.adopt.convert.converted import Converted, Floats
from chainzrule.training.adopt.convert.decisions import decision_values, leave_second
from chainzrule.training.adopt.convert.habits import as_skl2onnx_knows, zeros_as_gaps
from chainzrule.training.adopt.convert.joined import ends_in_catboost, joined
from chainzrule.training.adopt.convert.naming import label_names
from chainzrule.training.adopt.convert.thresholds import lowered, round_down
from chainzrule.training.adopt.convert.transformed import inner_model, with_way_back
from chainzrule.training.errors import AdoptionError

Types = Sequence[tuple[str, Any]]


def from_scikit(
    model: Any, frame: pd.DataFrame, which: int | None = None, decisions: bool = False
) -> Iterator[Converted]:
    """Yields the conversions of a fitted estimator or pipeline, each with other types of numbers; the first is best.

    Args:
        model: the estimator or pipeline.
        frame: the sample's columns.
        which: the target, counted from 1, whose answers are wanted, where it answers several at once.
        decisions: whether decision values may stand for logits, where a classifier gives no probabilities.

    Raises:
        AdoptionError: none can be made; says what the converter says.
    """
    given = frame if hasattr(model, "feature_names_in_") else frame.to_numpy()
    raw = decisions and hasattr(model, "classes_") and not hasattr(model, "predict_proba")
    answers, labels = decision_values(model, given) if raw else _answers(model, given, which)
    boosted = getattr(model, "best_estimator_", model)
    if histtrees.reads_categories(boosted):
        written, levels = histtrees.with_categories(boosted, frame)
        yield Converted(written, answers, labels, levels=levels)
        return
    model, transformer = inner_model(model)
    _register(model)
    thresholds = [split for part in _parts(model) for split in _thresholds(part)]
    reasons: list[str] = []
    made = False
    for types in _types(model, frame):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = _convert(model, types, raw)
        except ModuleNotFoundError:
            raise
        except Exception as error:  # the converters' errors share no narrower base
            reasons.append(" ".join(f"{type(error).__name__}: {error}".split())[:160])
            continue
        made = True
        round_down(found, thresholds)
        if transformer is not None:
            with_way_back(found, transformer)
        if raw and answers.shape[1] == 1:
            leave_second(found)
        if _reads_zeros_as_gaps(model):
            yield Converted(zeros_as_gaps(found), answers, labels, raw)
        yield Converted(found, answers, labels, raw)
        if any(type(part).__module__.startswith("xgboost") for part in _parts(model)):
            yield Converted(lowered(found), answers, labels, raw)
    if not made:
        said = "; or ".join(dict.fromkeys(reasons))
        raise AdoptionError(f"skl2onnx cannot convert the model ({said}); see its list of supported models")


def _convert(model: Any, types: Types, raw: bool) -> onnx.ModelProto:
    from skl2onnx import convert_sklearn

    if ends_in_catboost(model):
        return joined(model, lambda steps: _convert(steps, types, raw=False))
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    options = {id(last): {"raw_scores": True}} if raw else None
    with as_skl2onnx_knows(list(_parts(model))):
        found: onnx.ModelProto = convert_sklearn(
            model, initial_types=list(types), target_opset={"": 17, "ai.onnx.ml": 3}, options=options
        )
    return found


def _thresholds(part: Any) -> Iterator[tuple[int, float]]:
    """Yields feature and float64 threshold of every split of an estimator's trees."""
    if hasattr(part, "_predictors"):  # histogram boosting
        for predictor in (one for stage in part._predictors for one in stage):
            nodes = predictor.nodes[~predictor.nodes["is_leaf"].astype(bool)]
            yield from zip(nodes["feature_idx"].tolist(), nodes["num_threshold"].tolist(), strict=True)
    elif hasattr(part, "tree_"):
        inner = part.tree_.feature >= 0
        yield from zip(part.tree_.feature[inner].tolist(), part.tree_.threshold[inner].tolist(), strict=True)
    elif hasattr(part, "booster_"):
        yield from lightgbm_thresholds(part.booster_)


def _answers(model: Any, given: Any, which: int | None) -> tuple[Floats, tuple[str, ...]]:
    """Returns what a model answers, all of it or one target's, and the labels in the order of its columns."""
    name = type(model).__name__
    if hasattr(model, "classes_") and not hasattr(model, "predict_proba"):
        raise AdoptionError(
            f"the model ({name}) has no predict_proba; wrap it in CalibratedClassifierCV, which gives it "
            "probabilities, or say --answers logits, which takes its decision values for logits"
        )
    if not hasattr(model, "predict"):
        raise AdoptionError(f"{name} predicts nothing; give a fitted classifier or regressor")
    labels: Sequence[Any] = getattr(model, "classes_", ())
    found = (model.predict_proba if len(labels) else model.predict)(given)
    if isinstance(found, list):
        if which is None or which > len(found):
            raise AdoptionError(f"the model answers {len(found)} targets at once; --which N serves the N-th alone")
        return np.asarray(found[which - 1], np.float64), label_names(labels[which - 1])
    answers = Converted(onnx.ModelProto(), np.asarray(found, np.float64).reshape(len(given), -1), label_names(labels))
    answers = answers if which is None else answers.alone(which)
    return answers.answers, answers.labels


def _types(model: Any, frame: pd.DataFrame) -> Iterator[Types]:
    """Yields types of the inputs: whole numbers as such or as floats, and float64 at last."""
    from skl2onnx.common import data_types as kinds

    alike = all(pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes)
    for number, whole in (
        (kinds.FloatTensorType, kinds.Int64TensorType),
        (kinds.FloatTensorType, kinds.FloatTensorType),
        (kinds.DoubleTensorType, kinds.DoubleTensorType),
    ):
        if alike and number is whole:
            yield [("input", number([None, frame.shape[1]]))]
        if hasattr(model, "feature_names_in_"):
            yield [(str(name), _type(frame[name], number, whole, kinds)([None, 1])) for name in frame.columns]


def _type(column: "pd.Series[Any]", number: Any, whole: Any, kinds: Any) -> Any:
    if pd.api.types.is_bool_dtype(column.dtype):
        return kinds.BooleanTensorType
    if pd.api.types.is_integer_dtype(column.dtype):
        return whole
    return number if pd.api.types.is_numeric_dtype(column.dtype) else kinds.StringTensorType


def _reads_zeros_as_gaps(model: Any) -> bool:
    """Returns whether XGBoost gets sparse columns, in which it takes zeros for gaps."""
    parts = list(_parts(model))
    sparse = any(getattr(part, "sparse_output_", False) is True for part in parts)
    return sparse and any(type(part).__module__.startswith("xgboost") for part in parts)


def _register(model: Any) -> None:
    """Tells skl2onnx how to convert the boosters that are inside a model."""
    names = {type(part).__module__.partition(".")[0] for part in _parts(model)}
    if "lightgbm" in names:
        from onnxmltools.convert.lightgbm.operator_converters import LightGbm

        _add(LightGbm.convert_lightgbm, "lightgbm", ("LGBMClassifier", "LGBMRegressor"))
    if "xgboost" in names:
        from onnxmltools.convert.xgboost.operator_converters import XGBoost

        _add(XGBoost.convert_xgboost, "xgboost", ("XGBClassifier", "XGBRegressor"))


def _add(convert: Any, library: str, names: Sequence[str]) -> None:
    from importlib import import_module

    from skl2onnx import update_registered_converter
    from skl2onnx.common import shape_calculator as shapes

    for name in names:
        is_classifier = name.endswith("Classifier")
        shape = (
            shapes.calculate_linear_classifier_output_shapes
            if is_classifier
            else shapes.calculate_linear_regressor_output_shapes
        )
        options = {"nocl": [True, False], "zipmap": [True, False, "columns"]} if is_classifier else {}
        kind = getattr(import_module(library), name)
        update_registered_converter(kind, f"{library}{name}", shape, convert, options=options | {"split": None})


def _parts(model: Any) -> Iterator[Any]:
    """Yields an estimator and those inside it."""
    yield model
    inner = [part for _, part in getattr(model, "steps", [])]
    inner += [part for _, part, *_ in getattr(model, "transformers_", [])]
    for name in ("estimator", "best_estimator_", "regressor_", "final_estimator_"):
        inner.append(getattr(model, name, None))
    for name in ("estimators_", "calibrated_classifiers_"):
        inner += np.ravel(np.asarray(getattr(model, name, []), dtype=object)).tolist()
    for part in inner:
        if hasattr(part, "__dict__"):
            yield from _parts(part)
