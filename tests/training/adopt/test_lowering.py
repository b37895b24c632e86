"""What replaces an operator of `ai.onnx.ml` answers as ONNX Runtime's own operator does."""

import numpy as np
import onnx
import pytest

from chainzrule.training.adopt.graph import copied, opened
from chainzrule.training.adopt.lowering import lower
from tests.training.adopt.graphs import model

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
THREE = "coefficients = [0.5, -1.0, 2.0, 0.25, 1.5, -0.5, -1.0, 0.0, 1.0], intercepts = [0.5, -0.25, 0.0]"
GAPPED = np.where(X > 1.5, np.float32(np.nan), X)
TWO = "coefficients = [-0.5, 1.0, -2.0, 0.5, -1.0, 2.0], intercepts = [-0.5, 0.5]"


IMPUTER = "answer = ai.onnx.ml.Imputer <imputed_value_floats = [0.5, 1.0, 2.0], replaced_value_float = nan> (features)"


def only(body: str, columns: int) -> onnx.ModelProto:
    return model(body, outputs=f"float[batch,{columns}] answer")


def classifier(attributes: str, columns: int) -> onnx.ModelProto:
    labels = ", ".join(map(str, range(columns)))
    return only(
        f"label, answer = ai.onnx.ml.LinearClassifier <classlabels_ints = [{labels}], {attributes}> (features)", columns
    )


@pytest.mark.parametrize("graph", [
    only("answer = ai.onnx.ml.Scaler <offset = [0.5, -1.0, 2.0], scale = [2.0, 0.25, 4.0]> (features)", 3),
    only("answer = ai.onnx.ml.Scaler <offset = [0.5], scale = [2.0]> (features)", 3),
    only("answer = ai.onnx.ml.LinearRegressor <coefficients = [0.5, -1.0, 2.0], intercepts = [3.0]> (features)", 1),
    only("answer = ai.onnx.ml.LinearRegressor <coefficients = [0.5, -1.0, 2.0]> (features)", 1),
    only(
        "answer = ai.onnx.ml.LinearRegressor <coefficients = [0.5, -1.0, 2.0, 1.0, 2.0, 3.0], intercepts = [3.0, 4.0],"
        " targets = 2> (features)", 2,
    ),
    only(IMPUTER, 3),
    only("answer = ai.onnx.ml.FeatureVectorizer <inputdimensions = [3, 3]> (features, features)", 6),
    classifier(f'{THREE}, post_transform = "SOFTMAX"', 3),
    classifier(f'{TWO}, post_transform = "SOFTMAX"', 2),
    classifier(f'{TWO}, post_transform = "LOGISTIC"', 2),
])  # fmt: skip
def test_it_answers_as_the_operator_does(graph: onnx.ModelProto) -> None:
    (node,) = graph.graph.node
    found = lower(node)
    assert found is not None
    assert {written.domain for written in found.nodes} == {""}
    plain = copied(graph)
    del plain.graph.node[:]
    found.append_to(plain)
    np.testing.assert_allclose(
        opened(plain).run(GAPPED)["answer"], opened(graph).run(GAPPED)["answer"], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("graph", [
    classifier(THREE, 3),  # no post_transform: the answer is scores of ONNX's own making
    classifier(f'{THREE}, post_transform = "LOGISTIC"', 3),  # every label for itself
    classifier(
        'coefficients = [-0.5, 1.0, -2.0, 0.5, -1.0, 2.5], intercepts = [-0.5, 0.5], post_transform = "LOGISTIC"', 2
    ),
    classifier(
        'coefficients = [-0.5, 1.0, -2.0, 0.5, -1.0, 2.0], intercepts = [-0.5, 0.6], post_transform = "LOGISTIC"', 2
    ),
    classifier('coefficients = [0.5, -1.0, 2.0], intercepts = [0.5], post_transform = "LOGISTIC"', 2),
    only(
        'answer = ai.onnx.ml.LinearRegressor <coefficients = [0.5, 1.0, 2.0], post_transform = "LOGISTIC"> (features)',
        1,
    ),
    only('answer = ai.onnx.ml.Normalizer <norm = "L1"> (features)', 3),
    only("answer = Neg (features)", 3),
])  # fmt: skip
def test_what_is_nothing_of_the_kind_stays(graph: onnx.ModelProto) -> None:
    (node,) = graph.graph.node
    assert lower(node) is None
