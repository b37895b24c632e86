"""Takes a classifier's decision values for logits, where it gives no probabilities."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from chainzrule.training.adopt.convert.converted import Floats
from chainzrule.training.adopt.convert.naming import label_names
from chainzrule.training.errors import AdoptionError


def decision_values(model: Any, given: Any) -> tuple[Floats, tuple[str, ...]]:
    """Returns a classifier's decision values, one for two labels or one for each of more, and its labels.

    Raises:
        AdoptionError: it has none, or its labels do not follow from them.
    """
    name = type(model).__name__
    if not hasattr(model, "decision_function"):
        raise AdoptionError(f"the model ({name}) has neither predict_proba nor decision_function")
    found = np.asarray(model.decision_function(given), np.float64).reshape(len(given), -1)
    places = (found[:, 0] > 0).astype(int) if found.shape[1] == 1 else found.argmax(axis=1)
    predicted = np.asarray(model.predict(given))
    if found.shape[1] > len(model.classes_) or (np.asarray(model.classes_)[places] != predicted).any():
        raise AdoptionError(
            f"the model ({name}) does not choose the label of the largest decision value, so that these are no logits; "
            "fit it with decision_function_shape='ovr', or wrap it in CalibratedClassifierCV"
        )
    return found, label_names(model.classes_)


def leave_second(model: onnx.ModelProto) -> None:
    """Leaves a graph the second of two opposite decision values, which is the one that the library gives."""
    graph = model.graph
    zipped = [node.input[0] for node in graph.node if node.op_type == "ZipMap"]
    pair = zipped[0] if zipped else graph.output[1].name
    graph.initializer.append(numpy_helper.from_array(np.array([1]), "second_label"))
    graph.node.append(helper.make_node("Gather", [pair, "second_label"], ["decision_value"], axis=1))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("decision_value", TensorProto.FLOAT, ["batch", 1]))
