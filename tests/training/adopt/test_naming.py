"""The labels that a file names: the outermost model's, not those of what is inside it."""

import numpy as np
import pytest
from onnx import helper

from chainzrule.training.adopt.naming import named_labels
from tests.training.adopt.graphs import model, zipped

INNER = (
    "inner, shares = ai.onnx.ml.LinearClassifier <classlabels_ints = [0, 1], coefficients = "
    '[-0.5, 1.0, -2.0, 0.5, -1.0, 2.0], intercepts = [-0.5, 0.5], post_transform = "SOFTMAX"> (features)'
)


def test_a_classifier_names_its_own() -> None:
    graph = model(INNER, outputs="int64[batch] inner, float[batch,2] shares").graph
    assert named_labels(graph, "shares", "inner") == ("0", "1")
    assert named_labels(graph, "shares", None) == ("0", "1")


def test_a_zipmap_goes_before_all() -> None:
    graph = zipped().graph
    assert named_labels(graph, "shares", "label") == ("no", "yes")


@pytest.mark.parametrize("constant", ["initialiser", "node"])
def test_the_outer_models_are_looked_up_by_a_place(constant: str) -> None:
    body = (
        f"{INNER} place = ArgMax <axis = 1> (shares) found = ai.onnx.ml.ArrayFeatureExtractor (names, place) "
        "label = Reshape (found, flat)"
    )
    names = np.array(["bad", "good"], dtype=object)
    constants = {"flat": np.array([-1]), "names": names}
    found = model(body, outputs="string[batch] label, float[batch,2] shares", constants=constants)
    if constant == "node":
        weight = found.graph.initializer.pop()
        found.graph.node.insert(0, helper.make_node("Constant", [], ["names"], value=weight))
    assert named_labels(found.graph, "shares", "label") == ("bad", "good")


def test_an_encoder_of_places_names_them_in_their_order() -> None:
    body = (
        f"{INNER} place = ArgMax <axis = 1, keepdims = 0> (shares) label = ai.onnx.ml.LabelEncoder <keys_int64s = "
        '[1, 0], values_strings = ["good", "bad"]> (place)'
    )
    found = model(body, outputs="string[batch] label, float[batch,2] shares")
    assert named_labels(found.graph, "shares", "label") == ("bad", "good")


def test_labels_of_unknown_make_and_bare_numbers_have_no_names() -> None:
    body = f"{INNER} label = ArgMax <axis = 1, keepdims = 0> (shares) t = Tanh (shares)"
    graph = model(body, outputs="int64[batch] label, float[batch,2] t").graph
    assert named_labels(graph, "t", "label") == ()
    assert named_labels(graph, "t", None) == ()
