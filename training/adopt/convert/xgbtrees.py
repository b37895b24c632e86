"""Writes XGBoost's trees as ONNX, over columns of categories too, which its converter does not know."""

import json
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from chainzrule.training.errors import AdoptionError

LINKS = {
    "binary:logistic": "Sigmoid", "reg:logistic": "Sigmoid", "multi:softprob": "Softmax", "multi:softmax": "Softmax",
    "count:poisson": "Exp", "reg:gamma": "Exp", "reg:tweedie": "Exp",
}  # fmt: skip
PLAIN = ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror")


def written(booster: Any, columns: int) -> onnx.ModelProto:
    """Returns a Booster's graph, from `input` (batch, columns), with categories as their numbers, to `output`.

    Raises:
        AdoptionError: the objective is not known here.
    """
    learner = json.loads(booster.save_config())["learner"]
    kind = learner["gradient_booster"]["name"]
    if kind != "gbtree":
        raise AdoptionError(f"the XGBoost booster is '{kind}', which is not known here; fit it with booster='gbtree'")
    objective = learner["objective"]["name"]
    if objective not in LINKS and objective not in PLAIN:
        raise AdoptionError(f"the XGBoost objective '{objective}' is not known here; export the model to ONNX yourself")
    link = LINKS.get(objective)
    scores = max(1, int(learner["learner_model_param"]["num_class"]))
    base = np.array(json.loads(f"[{learner['learner_model_param']['base_score'].strip('[]')}]"), np.float64)
    if link == "Sigmoid":
        base = np.log(base / (1 - base))
    elif link == "Exp":
        base = np.log(base)
    names = booster.feature_names or [f"f{place}" for place in range(columns)]
    trees = _Trees({name: place for place, name in enumerate(names)})
    parallel = max(1, int(learner["gradient_booster"]["gbtree_model_param"]["num_parallel_tree"]))
    for number, text in enumerate(booster.get_dump(dump_format="json")):
        trees.add(number, number // parallel % scores, json.loads(text))
    margin = "margin" if link else "output"
    node = helper.make_node("TreeEnsembleRegressor", ["input"], [margin], domain="ai.onnx.ml")
    held = trees.attributes | {"n_targets": scores, "base_values": np.broadcast_to(base, scores).tolist()}
    node.attribute.extend(helper.make_attribute(name, value) for name, value in held.items())
    nodes = [node, *([helper.make_node(link, ["margin"], ["output"])] if link else [])]
    graph = helper.make_graph(
        nodes, "xgboost",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", columns])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", scores])],
    )  # fmt: skip
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8, producer_name="XGBoost")


class _Trees:
    """Collects the attributes of ONNX's trees."""

    def __init__(self, columns: dict[str, int]) -> None:
        self._columns = columns
        nodes = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
        self.attributes: dict[str, list[Any]] = {f"nodes_{name}": [] for name in nodes}
        self.attributes |= {"nodes_missing_value_tracks_true": []}
        self.attributes |= {f"target_{name}": [] for name in ("treeids", "nodeids", "ids", "weights")}
        self._next = 0

    def add(self, tree: int, target: int, root: dict[str, Any]) -> None:
        """Adds one tree, which counts for one target."""
        self._next = 0
        self._write(tree, target, root)

    def _write(self, tree: int, target: int, node: dict[str, Any]) -> int:
        """Writes a node with what is below it, and returns its number."""
        if "leaf" in node:
            number = self._node(tree, 0, "LEAF", 0.0, 0)
            for name, value in (("treeids", tree), ("nodeids", number), ("ids", target), ("weights", node["leaf"])):
                self.attributes[f"target_{name}"].append(value)
            return number
        column = self._columns[node["split"]]
        below = {child["nodeid"]: child for child in node["children"]}
        yes, no, gap = below[node["yes"]], below[node["no"]], int(node["missing"] == node["yes"])
        condition = node["split_condition"]
        if not isinstance(condition, list):
            number = self._node(tree, column, "BRANCH_LT", float(condition), gap)
            self._join(number, self._write(tree, target, yes), self._write(tree, target, no), tree)
            return number
        # One question for each category; a gap goes on to the last of them.
        numbers = [self._node(tree, column, "BRANCH_EQ", float(code), gap) for code in condition]
        for place, number in enumerate(numbers):
            follows = numbers[place + 1] if place + 1 < len(numbers) else self._write(tree, target, no)
            self._join(number, self._write(tree, target, yes), follows, tree)
        return numbers[0]

    def _node(self, tree: int, column: int, mode: str, value: float, gap: int) -> int:
        number, self._next = self._next, self._next + 1
        parts = (tree, number, column, mode, value, 0, 0)
        for (_, held), part in zip(list(self.attributes.items())[:7], parts, strict=True):
            held.append(part)
        self.attributes["nodes_missing_value_tracks_true"].append(gap)
        return number

    def _join(self, number: int, yes: int, no: int, tree: int) -> None:
        place = next(
            place
            for place in range(len(self.attributes["nodes_treeids"]) - 1, -1, -1)
            if self.attributes["nodes_treeids"][place] == tree and self.attributes["nodes_nodeids"][place] == number
        )
        self.attributes["nodes_truenodeids"][place] = yes
        self.attributes["nodes_falsenodeids"][place] = no
