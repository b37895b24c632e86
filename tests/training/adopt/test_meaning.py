"""What numbers are: as the graph says, else as the sample shows, else as the user says."""

from typing import get_args

import numpy as np
import onnx
import pytest

from chainzrule.service.artifact.interface import Task
from chainzrule.training.adopt.meaning import Answers, Meaning, read_answer, stated
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import model, source_of

W3, W2, W1 = (np.random.default_rng(1).normal(size=(3, columns)).astype(np.float32) for columns in (3, 2, 1))
SILENT = model("y = MatMul (x, W2)", "float[batch,3] x", "float[batch,2] y", {"W2": W2})


def forest(weights: list[float], kind: str = "Classifier", transform: str = "NONE") -> onnx.ModelProto:
    """Two trees of two leaves, each with a share of both of two labels."""
    role, tail = ("class", "classlabels_int64s = [0, 1]") if kind == "Classifier" else ("target", "n_targets = 2")
    body = (
        f"{'l, ' if role == 'class' else ''}y = ai.onnx.ml.TreeEnsemble{kind} <nodes_treeids = [0, 0, 0, 1, 1, 1], "
        'nodes_nodeids = [0, 1, 2, 0, 1, 2], nodes_featureids = [0, 0, 0, 1, 0, 0], nodes_modes = ["BRANCH_LEQ", '
        '"LEAF", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"], nodes_values = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0], '
        "nodes_truenodeids = [1, 0, 0, 1, 0, 0], nodes_falsenodeids = [2, 0, 0, 2, 0, 0], "
        f"{role}_treeids = [0, 0, 0, 0, 1, 1, 1, 1], {role}_nodeids = [1, 1, 2, 2, 1, 1, 2, 2], "
        f"{role}_ids = [0, 1, 0, 1, 0, 1, 0, 1], {role}_weights = {weights}, "
        f'post_transform = "{transform}", {tail}> (x)'
    )
    outputs = "int64[batch] l, float[batch,2] y" if role == "class" else "float[batch,2] y"
    return model(body, "float[batch,3] x", outputs)


SHARES = [0.1, 0.4, 0.5, 0.0, 0.25, 0.25, 0.3, 0.2]
MARGINS = [-1.1, 0.4, 0.5, 0.0, 0.25, 0.25, 0.3, 0.2]
STEEP = [0.1, 0.9, 0.5, 0.0, 0.25, 0.25, 0.3, 0.2]


@pytest.mark.parametrize(("graph", "kind", "why"), [
    (
        model("h = MatMul (x, W3) y = Softmax (h)", "float[batch,3] x", "float[batch,3] y", {"W3": W3}),
        "probabilities", "the graph ends in a Softmax",
    ),
    (
        model("h = MatMul (x, W1) s = Sigmoid (h) y = Squeeze (s, a)", "float[batch,3] x", "float[batch] y",
              {"W1": W1, "a": np.array([1])}),
        "probabilities", "the graph ends in a Sigmoid",
    ),
    (
        model("h = MatMul (x, W1) p = Sigmoid (h) q = Sub (unit, p) y = Concat <axis = 1> (q, p)", "float[batch,3] x",
              "float[batch,2] y", {"W1": W1, "unit": np.ones(1, np.float32)}),
        "probabilities", "the graph ends in a Sigmoid",
    ),
    (
        model("h = MatMul (x, W3) y = LogSoftmax (h)", "float[batch,3] x", "float[batch,3] y", {"W3": W3}),
        "scores", "logarithms of probabilities: the graph ends in a LogSoftmax",
    ),
    (forest(SHARES), "probabilities", "the leaves of the graph's TreeEnsembleClassifier hold shares"),
    (forest(SHARES, "Regressor"), "probabilities", "the leaves of the graph's TreeEnsembleRegressor hold shares"),
    (forest(MARGINS, transform="LOGISTIC"), "probabilities", "the graph's TreeEnsembleClassifier ends in LOGISTIC"),
])  # fmt: skip
def test_the_graph_says_what_its_end_is(graph: onnx.ModelProto, kind: Meaning, why: str) -> None:
    found = stated(source_of(graph).graph.graph)
    assert found is not None
    assert (found.kind, found.why) == (kind, why)
    assert found.kind in get_args(Meaning)


@pytest.mark.parametrize("graph", [SILENT, forest(MARGINS), forest(STEEP), model(
    "h = MatMul (x, W1) p = Sigmoid (h) n = Neg (p) y = Concat <axis = 1> (n, p)", "float[batch,3] x",
    "float[batch,2] y", {"W1": W1},
)])  # fmt: skip
def test_other_graphs_do_not_say(graph: onnx.ModelProto) -> None:
    assert stated(source_of(graph).graph.graph) is None


def read(
    answer: list[list[float]],
    graph: onnx.ModelProto = SILENT,
    task: Task = "classification",
    said: Answers | None = None,
) -> tuple[Meaning, str]:
    found = read_answer(task, np.array(answer, np.float32), source_of(graph).graph.graph, said)
    return found.kind, found.why


@pytest.mark.parametrize(("answer", "found"), [
    ([[0.25, 0.75], [1.0, 0.0]], "probabilities"),
    ([[0.25, 0.75], [0.5, 0.500009]], "probabilities"),
    ([[0.25, 0.75], [-3.6e-7, 1.0]], "probabilities"),
    ([[0.25, 0.75], [1.25, -0.25]], "scores"),
    ([[0.0], [1.0]], "probabilities"),
    ([[0.0], [1.1]], "scores"),
    ([[-0.1], [0.5]], "scores"),
])  # fmt: skip
def test_where_the_graph_does_not_say_the_sample_does_and_that_is_said(
    answer: list[list[float]], found: Meaning
) -> None:
    kind, why = read(answer)
    assert kind == found
    assert "the graph does not say" in why
    assert "--answers" in why


def test_what_the_graph_says_goes_before_rounding_of_float16() -> None:
    assert read([[0.25, 0.7495], [-0.0004, 1.0]], forest(SHARES))[0] == "probabilities"


def test_the_user_goes_before_the_graph() -> None:
    assert read([[0.25, 0.75]], forest(SHARES), said="logits") == ("scores", "logits, as --answers says")
    assert read([[0.25, 0.75]], said="probabilities") == ("probabilities", "as --answers says")


def test_a_quantity_is_a_value() -> None:
    assert read([[0.5]], task="regression")[0] == "value"


@pytest.mark.parametrize(("answer", "graph", "task", "said", "error"), [
    (
        [[0.0, 0.0]], SILENT, "regression", None,
        "the model gives 2 numbers a row where the target is one quantity; --which N serves the N-th alone, or say "
        "--task classification if they are scores of labels",
    ),
    ([[0.0]], SILENT, "regression", "logits", "--answers is of labels; the target is a quantity"),
    ([[0.0] * 65], SILENT, "classification", None, "the model has 65 labels; at most 64 can be served"),
    (
        [[0.25, 1.75]], forest(SHARES), "classification", None,
        "the model's numbers would be probabilities (the leaves of the graph's TreeEnsembleClassifier hold shares), "
        "but those of the sample reach from 0.25 to 1.75; export the probabilities, or say --answers logits",
    ),
    (
        [[-3.0, 4.0]], SILENT, "classification", "probabilities",
        "the model's numbers would be probabilities (as --answers says), but those of the sample reach from -3 to 4; "
        "export the probabilities, or say --answers logits",
    ),
    (
        [[0.25, 0.25, 0.25], [0.5, 0.75, 1.0]], SILENT, "classification", None,
        "the model's numbers lie within 0 and 1 but a row's sum to 0.75 to 2.25, not to 1: several labels may hold at "
        "once, or each was judged alone. --which N serves the N-th alone, held or not; or export probabilities that "
        "sum to 1, or say --answers logits if a softmax of these numbers is meant",
    ),
])  # fmt: skip
def test_numbers_that_do_not_fit_are_refused_with_the_way_out(
    answer: list[list[float]], graph: onnx.ModelProto, task: Task, said: Answers | None, error: str
) -> None:
    with pytest.raises(AdoptionError) as caught:
        read(answer, graph, task, said)
    assert str(caught.value) == error
