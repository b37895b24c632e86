"""Writes CatBoost's trees as ONNX, over columns of categories too, which CatBoost itself does not write.

All rows of a level ask the trees the same, so that what CatBoost makes of levels becomes further columns of numbers,
looked up in tables.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
from numpy.typing import NDArray
from onnx import TensorProto, helper

from chainzrule.training.adopt.convert.cattables import Categories, Question, Table, tables_of
from chainzrule.training.adopt.convert.ensemble import Ensemble
from chainzrule.training.adopt.convert.naming import label_names
from chainzrule.training.errors import AdoptionError
from chainzrule.training.onnxwriter import NodeWriter, Value, total

LINKS = {
    "Logloss": "Sigmoid", "CrossEntropy": "Sigmoid", "MultiLogloss": "Sigmoid", "MultiCrossEntropy": "Sigmoid",
    "MultiClass": "Softmax", "Poisson": "Exp", "Tweedie": "Exp",
}  # fmt: skip

Floats = NDArray[np.float64]
Levels = dict[str, tuple[str, ...]]


def converted_trees(model: Any, frame: pd.DataFrame) -> tuple[onnx.ModelProto, Levels]:
    """Returns the graph of a fitted CatBoost model over `input` (batch, columns), and the levels behind the numbers.

    Args:
        model: the model.
        frame: the sample's columns; levels that are not in it are not known.

    Raises:
        AdoptionError: it takes text or vectors, or tells too many combinations of categories apart.
    """
    if model.get_text_feature_indices() or model.get_embedding_feature_indices():
        raise AdoptionError("the CatBoost model reads free text or vectors, which cannot be adopted")
    places = model.get_cat_feature_indices()
    described = _described(model, frame, places)
    hashes = {one["value"]: int(one["hash"]) for one in described["features_info"].get("cat_features_hash") or []}
    levels: Levels = {}
    known: dict[int, list[int]] = {}
    for place in places:
        values = list(pd.unique(frame.iloc[:, place].dropna()))
        levels[str(frame.columns[place])] = label_names(values)
        known[place] = [hashes[_text(value)] for value in values]
    loss = str(model.get_all_params().get("loss_function", "")).partition(":")[0]
    return written(described, Categories(known), frame.shape[1], LINKS.get(loss)), levels


def written(described: Mapping[str, Any], categories: Categories, columns: int, link: str | None) -> onnx.ModelProto:
    """Returns the graph of what CatBoost says of a model in JSON, with categories as the numbers of their levels."""
    writer = NodeWriter("cat_", "float")
    given = writer.value("input")
    tables = list(tables_of(described, categories))
    parts = [given, *(_looked_up(writer, given, table, categories, described) for table in tables)]
    whole = writer.node("Concat", *parts, axis=1) if len(parts) > 1 else given
    trees = _trees(described, columns)
    answer = writer.node("TreeEnsembleRegressor", whole, domain="ai.onnx.ml", **trees.attributes)
    writer.node(link or "Identity", answer, output="output")
    graph = helper.make_graph(
        [], "catboost",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", columns])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", len(described["scale_and_bias"][1])])],
    )  # fmt: skip
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    found = helper.make_model(graph, opset_imports=imports, ir_version=8, producer_name="CatBoost")
    writer.append_to(found)
    return found


def _described(model: Any, frame: pd.DataFrame, places: Sequence[int]) -> dict[str, Any]:
    import catboost

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        pool = catboost.Pool(frame, cat_features=list(places)) if places else None  # it hashes the levels
        model.save_model(str(path), format="json", pool=pool)
        found: dict[str, Any] = json.loads(path.read_text())
    return found


def _text(level: Any) -> str:
    """Returns a level as CatBoost hashes it, which takes truths for numbers."""
    return str(int(level) if isinstance(level, bool | np.bool_) else level)


def _looked_up(
    writer: NodeWriter, given: Value, table: Table, categories: Categories, described: Mapping[str, Any]
) -> Value:
    """Returns (batch, m) a table's numbers for the combination that each row has."""
    sizes = (*categories.sizes(table.columns), *(2 for _ in table.questions))
    strides = [int(np.prod(sizes[axis + 1 :])) for axis in range(len(sizes))]
    parts = []
    for column, size, stride in zip(table.columns, sizes, strides, strict=False):
        code = writer.node("Gather", given, writer.integers((column,)), axis=1)
        code = writer.node("Where", writer.node("IsNaN", code), float(size - 1), code)
        parts.append(code.cast(TensorProto.INT64) * writer.integers((stride,)))
    for question, stride in zip(table.questions, strides[len(table.columns) :], strict=True):
        answer = _answered(writer, given, question, described)
        parts.append(answer.cast(TensorProto.INT64) * writer.integers((stride,)))
    return writer.constant(table.values).take(total(parts).reshape(-1))


def _answered(writer: NodeWriter, given: Value, question: Question, described: Mapping[str, Any]) -> Value:
    number = writer.node("Gather", given, writer.integers((question.column,)), axis=1)
    above = writer.node("Greater", number, question.border)
    if question.column in _counted_as_high(described):
        return writer.node("Or", above, writer.node("IsNaN", number))
    return above


def _counted_as_high(described: Mapping[str, Any]) -> set[int]:
    """Returns the columns of numbers whose gaps are above every border."""
    return {
        one["flat_feature_index"]
        for one in described["features_info"].get("float_features") or []
        if one.get("nan_value_treatment") == "AsTrue"
    }


def _trees(described: Mapping[str, Any], columns: int) -> Ensemble:
    splits = _splits(described["features_info"], columns)
    high = _counted_as_high(described)
    scale, biases = described["scale_and_bias"]
    trees = Ensemble(biases)

    def write(node: Mapping[str, Any]) -> int:
        if "value" in node:
            values = np.ravel(node["value"])
            return trees.leaf([(target, scale * float(value)) for target, value in enumerate(values)])
        column, border = splits[node["split"]["split_index"]]
        number = trees.branch(column, "BRANCH_LEQ", border, column not in high)
        trees.join(number, write(node["left"]), write(node["right"]))
        return number

    for one in described.get("trees") or []:
        trees.begin()
        write(one)
    for one in described.get("oblivious_trees") or []:
        trees.begin()
        write(_unfolded(one["splits"] or [], np.reshape(one["leaf_values"], (-1, len(biases)))))
    return trees


def _unfolded(splits: Sequence[Mapping[str, Any]], leaves: Floats) -> dict[str, Any]:
    """Returns a symmetric tree node by node; a leaf's number has a bit for each question, the last one's highest."""
    if not splits:
        return {"value": leaves[0]}
    below = (_unfolded(splits[:-1], half) for half in np.split(leaves, 2))
    return {"split": splits[-1], **dict(zip(("left", "right"), below, strict=True))}


def _splits(features: Mapping[str, Any], columns: int) -> list[tuple[int, float]]:
    """Returns the column and the border of every split that the trees name by its number."""
    found = [
        (one["flat_feature_index"], border)
        for one in features.get("float_features") or []
        for border in one.get("borders") or []
    ]
    place = columns
    for one in features.get("categorical_features") or []:
        for _ in one.get("values") or []:
            found.append((place, 0.5))
            place += 1
    for one in features.get("ctrs") or []:
        found += [(place, border) for border in one["borders"]]
        place += 1
    return found
