"""Scores and probabilities from whatever a model answers."""

import numpy as np
import pytest

from chainzrule.training.adopt.graph import opened
from chainzrule.training.adopt.head import LEAST, add_head
from chainzrule.training.adopt.meaning import Meaning
from tests.training.adopt.graphs import model, source_of

X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
W3, W2, W1 = (np.random.default_rng(1).normal(size=(3, columns)).astype(np.float32) for columns in (3, 2, 1))


def softmax(scores: np.ndarray) -> np.ndarray:
    odds = np.exp(scores.astype(np.float64))
    return odds / odds.sum(axis=1, keepdims=True)


def centred(scores: np.ndarray) -> np.ndarray:
    return scores - scores.mean(axis=1, keepdims=True)


LOGIT = X @ W1
PAIR = np.concatenate([-LOGIT, LOGIT], axis=1) / 2
SOFTMAX_INPUT = "the softmax's own input, less its mean over the labels"
LOGISTIC_INPUT = "half of the logistic function's own input, for and against"
OUTPUT = "the model's output, less its mean over the labels"
LOGARITHMS = "logarithms of the probabilities, of 1e-07 at least, less their mean over the labels"
ONE, TWO = "float[batch,1] y", "float[batch,2] y"
HEADS: dict[str, tuple[str, str, Meaning, int, np.ndarray, str]] = {
    "scores": ("y = MatMul (x, W2)", TWO, "scores", 2, centred(X @ W2), OUTPUT),
    "one score": ("y = MatMul (x, W1)", ONE, "scores", 1, PAIR, OUTPUT),
    "a softmax": ("h = MatMul (x, W2) y = Softmax (h)", TWO, "probabilities", 2, centred(X @ W2), SOFTMAX_INPUT),
    "a softmax of three": (
        "h = MatMul (x, W3) y = Softmax (h)", "float[batch,3] y", "probabilities", 3, centred(X @ W3), SOFTMAX_INPUT,
    ),
    "a softmax of one": (
        "h = MatMul (x, W1) y = Softmax (h)", ONE, "probabilities", 1,
        np.tile([[0.5, -0.5]], (5, 1)) * np.log(LEAST), LOGARITHMS,
    ),
    "a softmax that is normalised once more": (
        "h = MatMul (x, W2) s = Softmax (h) c = Identity (s) y = ai.onnx.ml.Normalizer <norm = \"L1\"> (c)",
        TWO, "probabilities", 2, centred(X @ W2), SOFTMAX_INPUT,
    ),
    "a softmax that is scaled by its largest in between": (
        "h = MatMul (x, W2) s = Softmax (h) m = ai.onnx.ml.Normalizer <norm = \"MAX\"> (s) "
        "y = ai.onnx.ml.Normalizer <norm = \"L1\"> (m)",
        TWO, "probabilities", 2, centred(X @ W2), LOGARITHMS,
    ),
    "a logistic function": (
        "h = MatMul (x, W1) y = Sigmoid (h)", "float[batch,1] y", "probabilities", 1, PAIR, LOGISTIC_INPUT,
    ),
    "a flat logistic function": (
        "h = MatMul (x, W1) s = Sigmoid (h) y = Squeeze (s, axis)", "float[batch] y",
        "probabilities", 1, PAIR, LOGARITHMS,
    ),
    "a logistic function and the rest": (
        "h = MatMul (x, W1) p = Sigmoid (h) q = Sub (unit, p) y = Concat <axis = 1> (q, p)",
        TWO, "probabilities", 2, PAIR, LOGISTIC_INPUT,
    ),
    "a logistic function and something else": (
        "h = MatMul (x, W1) p = Sigmoid (h) n = Neg (h) o = Sigmoid (n) y = Concat <axis = 1> (o, p)",
        TWO, "probabilities", 2, PAIR, LOGARITHMS,
    ),
    "a logistic function and the rest of another": (
        "h = MatMul (x, W1) p = Sigmoid (h) g = MatMul (x, W1) pp = Sigmoid (g) q = Sub (unit, pp) "
        "y = Concat <axis = 1> (q, p)",
        TWO, "probabilities", 2, PAIR, LOGARITHMS,
    ),
    "probabilities of unknown make": (
        "h = MatMul (x, W2) e = Exp (h) t = ReduceSum (e, axis) y = Div (e, t)",
        TWO, "probabilities", 2, centred(X @ W2), LOGARITHMS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_scores_come_from_where_probabilities_were_made(name: str) -> None:
    body, output, kind, columns, expected, how = HEADS[name]
    constants = {"W1": W1, "W2": W2, "W3": W3, "unit": np.ones(1, np.float32), "axis": np.array([1])}
    used = {name: value for name, value in constants.items() if f"{name})" in body or f"{name}," in body}
    head = add_head(source_of(model(body, "float[batch,3] x", output, used)), kind, columns)
    found = opened(head.graph).run(X)
    assert head.how == how
    labels = [value.type.tensor_type.shape.dim[1].dim_value for value in head.outputs]
    assert labels == [max(columns, 2)] * 2
    assert [value.name for value in head.outputs] == list(found) == ["scores", "probabilities"]
    np.testing.assert_allclose(found["scores"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["probabilities"], softmax(expected), rtol=1e-4, atol=1e-6)


def test_a_quantity_is_the_one_score() -> None:
    head = add_head(
        source_of(model("y = MatMul (x, W1)", "float[batch,3] x", "float[batch,1] y", {"W1": W1})), "value", 1
    )
    found = opened(head.graph).run(X)
    assert (list(found), head.how) == (["scores"], "the model's output")
    np.testing.assert_allclose(found["scores"], LOGIT, rtol=1e-5)


def test_probabilities_of_nought_have_finite_scores_and_a_little_over_one_is_cut_off() -> None:
    graph = model("y = Identity (x)", "float[batch,2] x", "float[batch,2] y")
    found = opened(add_head(source_of(graph), "probabilities", 2).graph).run(
        np.array([[0.0, 1.0], [1.000009, 0.0]], np.float32)
    )
    half = -np.log(LEAST) / 2
    np.testing.assert_allclose(found["scores"], [[-half, half], [half, -half]], rtol=1e-4)
    np.testing.assert_array_equal(found["probabilities"], [[0, 1], [1, 0]])
