"""Versions that do harm to whoever loads them: they hang, or take all memory."""

import json
from pathlib import Path

import onnx
from onnx import helper

from tests.artifacts import CLASSIFIER, SLOW, Toy, edited, tensor


def hanging(root: Path, name: str = "hangs", version: str = "1") -> Path:
    """Writes a version whose golden row has it loop 10^15 times."""
    toy = Toy(name=name, features=SLOW.features, spin=True)
    path = toy.write(root, version)
    card = json.loads((path / "card.json").read_text())
    features = toy.rows(4)
    features[0, 0] = 1e15
    card["golden"]["features"] = json.loads(tensor(features).model_dump_json())
    (path / "card.json").write_text(json.dumps(card))
    return path


def exploding(root: Path, name: str = "explodes", version: str = "1", floats: int = 2**36) -> Path:
    """Writes a version one run of which needs so many floats."""

    def change(model: onnx.ModelProto) -> None:
        graph = model.graph
        for node in graph.node:
            if node.output[0] == "scores":
                node.output[0] = "small_scores"
        graph.initializer.append(helper.make_tensor("vast", onnx.TensorProto.INT64, [1], [floats]))
        graph.node.extend(
            [
                helper.make_node("ConstantOfShape", ["vast"], ["nothing"]),
                helper.make_node("ReduceMax", ["nothing"], ["nought_of_it"], keepdims=0),
                helper.make_node("Add", ["small_scores", "nought_of_it"], ["scores"]),
            ]
        )

    # In a regression nothing follows the scores, so that the nodes stand in the order in which they run.
    toy = Toy(task="regression", name=name)
    return toy.with_graph("model", edited(toy.graphs["model"], change)).write(root, version)


def sparse(root: Path, size: int, name: str = "sparse", version: str = "1") -> Path:
    """Writes a version whose graph's file is huge, holds nothing, and has another hash than the card's."""
    path = Toy(name=name, seed=CLASSIFIER.seed).write(root, version)
    with (path / "model.onnx").open("wb") as file:
        file.truncate(size)
    return path
