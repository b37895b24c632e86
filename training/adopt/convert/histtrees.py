"""Writes scikit-learn's histogram boosting over columns of categories as ONNX, which its converter does not know.

Which levels go to the left is a further column of each such question, looked up in a table over the levels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pandas as pd
from numpy.typing import NDArray
from onnx import TensorProto, helper

from chainzrule.training.adopt.convert.ensemble import Ensemble
from chainzrule.training.adopt.convert.naming import label_names
from chainzrule.training.errors import AdoptionError
from chainzrule.training.onnxwriter import NodeWriter, Value

LINKS = {"IdentityLink": "Identity", "LogLink": "Exp", "LogitLink": "Sigmoid", "HalfLogitLink": "Sigmoid"}

Levels = dict[str, tuple[str, ...]]
Question = tuple[int, NDArray[np.bool_]]


def reads_categories(model: Any) -> bool:
    """Returns whether a model is histogram boosting over columns of categories of its own."""
    return hasattr(model, "_predictors") and getattr(model, "_preprocessor", None) is not None


def with_categories(model: Any, frame: pd.DataFrame) -> tuple[onnx.ModelProto, Levels]:
    """Returns the graph of fitted histogram boosting over `input` (batch, columns), and the levels behind the numbers.

    Raises:
        AdoptionError: its loss is not known here.
    """
    link = type(model._loss.link).__name__
    if link not in LINKS and link != "MultinomialLogit":
        raise AdoptionError(
            f"the model's loss is linked by {link}, which is not known here; export it to ONNX yourself"
        )
    codes = np.flatnonzero(model.is_categorical_).tolist()
    columns = [*codes, *np.flatnonzero(~np.asarray(model.is_categorical_)).tolist()]  # as its trees number them
    encoder = model._preprocessor.named_transformers_["encoder"]
    known = [[level for level in levels if not pd.isna(level)] for levels in encoder.categories_]
    base = np.ravel(model._baseline_prediction)
    trees = _Trees(base, columns, [len(levels) for levels in known], frame.shape[1])
    for stage in model._predictors:
        for target, predictor in enumerate(stage):
            trees.add(predictor.nodes, predictor.raw_left_cat_bitsets, target)
    writer = NodeWriter("hist_", "float")
    given = writer.value("input")
    whole = _with_questions(writer, given, codes, trees.questions) if trees.questions else given
    margin = writer.node("TreeEnsembleRegressor", whole, domain="ai.onnx.ml", **trees.ensemble.attributes)
    writer.node(LINKS.get(link, "Softmax"), margin, output="output")
    graph = helper.make_graph(
        [], "histogram boosting",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", frame.shape[1]])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", len(base)])],
    )  # fmt: skip
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    found = helper.make_model(graph, opset_imports=imports, ir_version=8, producer_name="scikit-learn")
    writer.append_to(found)
    names = [str(frame.columns[column]) for column in codes]
    return found, {name: label_names(levels) for name, levels in zip(names, known, strict=True)}


def _with_questions(writer: NodeWriter, given: Value, codes: Sequence[int], questions: Sequence[Question]) -> Value:
    """Returns the columns with a further one for each question about levels, 1 where a row's level goes to the left."""
    order = sorted(range(len(questions)), key=lambda place: questions[place][0])
    tables = []
    for feature in dict.fromkeys(questions[place][0] for place in order):
        left = np.stack([goes for asked, goes in questions if asked == feature], axis=1).astype(np.float32)
        code = writer.node("Gather", given, writer.integers((codes[feature],)), axis=1)
        code = writer.node("Where", writer.node("IsNaN", code), float(len(left) - 1), code)
        tables.append(writer.constant(left).take(code.cast(TensorProto.INT64).reshape(-1)))
    together = writer.node("Concat", *tables, axis=1)
    answered = writer.node("Gather", together, writer.integers(np.argsort(order).tolist()), axis=1)
    return writer.node("Concat", given, answered, axis=1)


class _Trees:
    """Writes trees, and collects the questions about levels that they ask.

    Attributes:
        ensemble: the trees.
        questions: the feature that each is about, and which of its levels go to the left, a gap last.
    """

    def __init__(self, base: NDArray[np.float64], columns: Sequence[int], levels: Sequence[int], width: int) -> None:
        self.ensemble = Ensemble(base.tolist())
        self.questions: list[Question] = []
        self._columns = columns
        self._levels = levels
        self._width = width

    def add(self, nodes: Any, left: NDArray[np.uint32], target: int) -> None:
        """Adds a tree that counts for a target; `left` has a bit for each level of each question."""
        self.ensemble.begin()
        self._write(nodes, 0, left, target)

    def _write(self, nodes: Any, place: int, left: NDArray[np.uint32], target: int) -> int:
        node = nodes[place]
        if node["is_leaf"]:
            return self.ensemble.leaf([(target, float(node["value"]))])
        feature, gap_left = int(node["feature_idx"]), bool(node["missing_go_to_left"])
        if node["is_categorical"]:
            bits = np.unpackbits(left[node["bitset_idx"]].astype("<u4").view(np.uint8), bitorder="little")
            self.questions.append((feature, np.append(bits[: self._levels[feature]].astype(np.bool_), gap_left)))
            number = self.ensemble.branch(self._width + len(self.questions) - 1, "BRANCH_LEQ", 0.5, False)
            order = ("right", "left")  # an answer of 1 is above one half
        else:
            threshold = _below(float(node["num_threshold"]))
            number = self.ensemble.branch(self._columns[feature], "BRANCH_LEQ", threshold, gap_left)
            order = ("left", "right")
        true, false = (self._write(nodes, int(node[side]), left, target) for side in order)
        self.ensemble.join(number, true, false)
        return number


def _below(threshold: float) -> float:
    """Returns the largest float32 that is at most a threshold, so that each float32 value keeps its side."""
    with np.errstate(over="ignore"):
        nearest = np.float32(threshold)
    return float(np.nextafter(nearest, np.float32(-np.inf)) if float(nearest) > threshold else nearest)
