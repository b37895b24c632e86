"""Converts regressors whose target was transformed: the regressor inside, and behind it the way back."""

import copy
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from chainzrule.training.errors import AdoptionError
from chainzrule.training.onnxwriter import NodeWriter, Value

SCALERS = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")
WAYS_BACK = ("exp", "expm1", "exp2", "square", "sqrt", "sinh", "tanh")


def inner_model(model: Any) -> tuple[Any, Any]:
    """Returns a model that predicts a transformed target, and its target's transformer; None where it has none.

    Args:
        model: a fitted estimator, a pipeline that ends in one, or a search over either.
    """
    found = getattr(model, "best_estimator_", model)
    if hasattr(found, "steps"):
        inner, transformer = inner_model(found.steps[-1][1])
        if transformer is None:
            return model, None
        whole = copy.copy(found)
        whole.steps = [*found.steps[:-1], (found.steps[-1][0], inner)]
        return whole, transformer
    if hasattr(found, "regressor_") and hasattr(found, "transformer_"):
        return found.regressor_, found.transformer_
    return model, None


def with_way_back(model: onnx.ModelProto, transformer: Any) -> None:
    """Puts a target's inverse transformation behind a graph's one output, in place.

    Raises:
        AdoptionError: the transformation is not known here.
    """
    graph = model.graph
    (output,) = graph.output
    writer = NodeWriter("target_", "float")
    answer = writer.value(output.name).cast(TensorProto.FLOAT)
    last = _inverse(writer, answer, transformer)
    writer.node("Identity", last, output="target_answer")
    writer.append_to(model)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("target_answer", TensorProto.FLOAT, ["batch", 1]))


def _inverse(writer: NodeWriter, answer: Value, transformer: Any) -> Value:
    kind = type(transformer).__name__
    if kind in SCALERS and not getattr(transformer, "clip", False):
        zero, one = (float(transformer.inverse_transform(np.array([[value]]))[0, 0]) for value in (0.0, 1.0))
        return answer * (one - zero) + zero
    name = getattr(transformer, "inverse_func", None) if kind == "FunctionTransformer" else kind
    if name is None:
        return answer
    name = getattr(name, "__name__", str(name)) if isinstance(name, np.ufunc) else f"{name}"
    if name in ("exp", "expm1", "exp2"):
        found = writer.node("Exp", answer * float(np.log(2)) if name == "exp2" else answer)
        return found - 1.0 if name == "expm1" else found
    if name == "square":
        return answer * answer
    if name in WAYS_BACK:
        return writer.node(name.capitalize(), answer)
    raise AdoptionError(
        f"the model's target is transformed, and the way back ({name[:60]}) is not known here; known are numpy's "
        f"{', '.join(WAYS_BACK)} and the scalers ({', '.join(SCALERS)})"
    )
