"""Writes XGBoost's models as ONNX: trees, also of categories and of dropping (`dart`), and linear models."""

import json
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from chainzrule.training.adopt.convert.ensemble import Ensemble
from chainzrule.training.errors import AdoptionError
from chainzrule.training.onnxwriter import NodeWriter, Value

Floats = NDArray[np.float64]

LINKS = {
    "binary:logistic": "Sigmoid", "reg:logistic": "Sigmoid", "multi:softprob": "Softmax", "multi:softmax": "Softmax",
    "count:poisson": "Exp", "reg:gamma": "Exp", "reg:tweedie": "Exp",
}  # fmt: skip
PLAIN = (
    "reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror", "reg:squaredlogerror",
    "rank:ndcg", "rank:pairwise", "rank:map",
)  # fmt: skip
KINDS = ("gbtree", "dart", "gblinear")


def written(booster: Any, columns: int) -> onnx.ModelProto:
    """Returns a Booster's graph, from `input` (batch, columns), with categories as their numbers, to `output`.

    Raises:
        AdoptionError: the objective is not known here.
    """
    learner = json.loads(booster.save_config())["learner"]
    kind = learner["gradient_booster"]["name"]
    if kind not in KINDS:
        raise AdoptionError(f"the XGBoost booster is '{kind}', which is not known here; fit it with booster='gbtree'")
    objective = learner["objective"]["name"]
    if objective not in LINKS and objective not in PLAIN:
        raise AdoptionError(f"the XGBoost objective '{objective}' is not known here; export the model to ONNX yourself")
    link = LINKS.get(objective)
    parameters = learner["learner_model_param"]
    scores = max(1, int(parameters["num_class"]), int(parameters.get("num_target", 1)))
    base = np.array(json.loads(f"[{parameters['base_score'].strip('[]')}]"), np.float64)
    if link == "Sigmoid":
        base = np.log(base / (1 - base))
    elif link == "Exp":
        base = np.log(base)
    base = np.broadcast_to(base, scores)
    writer = NodeWriter("xgb_", "float")
    margin = (_line if kind == "gblinear" else _forest)(writer, booster, learner["gradient_booster"], base, columns)
    writer.node(link or "Identity", margin, output="output")
    graph = helper.make_graph(
        [], "xgboost",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", columns])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", scores])],
    )  # fmt: skip
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    found = helper.make_model(graph, opset_imports=imports, ir_version=8, producer_name="XGBoost")
    writer.append_to(found)
    return found


def _line(writer: NodeWriter, booster: Any, described: dict[str, Any], base: Floats, columns: int) -> Value:
    """Returns the scores of a linear booster, whose weights stand row by row, and the biases last."""
    weights = np.array(_content(booster)["model"]["weights"], np.float64).reshape(columns + 1, len(base))
    product = writer.value("input") @ writer.constant(weights[:-1].astype(np.float32))
    return product + writer.constant((weights[-1] + base[0]).astype(np.float32))  # it adds the first one's to all


def _forest(writer: NodeWriter, booster: Any, described: dict[str, Any], base: Floats, columns: int) -> Value:
    """Returns the scores of trees; those of `dart` count by the weights that dropping has left them."""
    names = booster.feature_names or [f"f{place}" for place in range(columns)]
    places = {name: place for place, name in enumerate(names)}
    parameters = described.get("gbtree", described)["gbtree_model_param"]
    parallel = max(1, int(parameters["num_parallel_tree"]))
    texts = booster.get_dump(dump_format="json")
    weights = _content(booster)["weight_drop"] if described["name"] == "dart" else [1.0] * len(texts)
    trees = Ensemble(base.tolist())
    for number, (text, weight) in enumerate(zip(texts, weights, strict=True)):
        trees.begin()
        _write(trees, json.loads(text), places, number // parallel % len(base), weight)
    return writer.node("TreeEnsembleRegressor", writer.value("input"), domain="ai.onnx.ml", **trees.attributes)


def _write(trees: Ensemble, node: dict[str, Any], places: dict[str, int], target: int, weight: float) -> int:
    """Writes a node with what is below it, and returns its number."""
    if "leaf" in node:
        return trees.leaf([(target, node["leaf"] * weight)])
    column = places[node["split"]]
    below = {child["nodeid"]: child for child in node["children"]}
    yes, no, gap = below[node["yes"]], below[node["no"]], node["missing"] == node["yes"]
    condition = node["split_condition"]
    if not isinstance(condition, list):
        number = trees.branch(column, "BRANCH_LT", float(condition), gap)
        true, false = (_write(trees, one, places, target, weight) for one in (yes, no))
        trees.join(number, true, false)
        return number
    # One question for each category; a gap goes on to the last of them.
    numbers = [trees.branch(column, "BRANCH_EQ", float(code), gap) for code in condition]
    for place, number in enumerate(numbers):
        last = place + 1 == len(numbers)
        follows = _write(trees, no, places, target, weight) if last else numbers[place + 1]
        trees.join(number, _write(trees, yes, places, target, weight), follows)
    return numbers[0]


def _content(booster: Any) -> dict[str, Any]:
    """Returns what a Booster holds beside its settings."""
    found: dict[str, Any] = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]
    return found
