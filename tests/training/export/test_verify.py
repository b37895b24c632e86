from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from chainzrule.service.artifact.card import Role
from chainzrule.service.artifact.noise import NoiseGroup, NoiseModel
from chainzrule.service.runtime.bounds import Bounds, Boxes, bound
from chainzrule.service.runtime.graph import Graph
from chainzrule.training.bounds.graph import bounds_graph
from chainzrule.training.errors import VerificationError
from chainzrule.training.export import verify as verification
from chainzrule.training.export.onnx import OPSET, export_graphs
from chainzrule.training.export.verify import difference, verify
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.folded import fold
from chainzrule.training.novelty.graph import with_novelty
from chainzrule.training.novelty.novelty import fit_novelty
from chainzrule.training.publish.golden import synthetic_rows
from tests.training.conftest import MakeModel

Exported = tuple[FittedModel, dict[Role, bytes]]


def test_sound_graphs_pass(exported: Exported) -> None:
    model, graphs = exported
    found = verify(model, graphs, synthetic_rows(model.columns, 32, seed=4))
    assert found.rows == 32
    assert found.autograd < 1e-10
    assert found.definition < 1e-4


@pytest.mark.parametrize(("role", "tensor"), [("model", "weight_1"), ("model", "leading"), ("jacobian", "weight_0")])
def test_a_changed_weight_is_found(classifier: Exported, role: Role, tensor: str) -> None:
    model, graphs = classifier
    proto = onnx.load_from_string(graphs[role])
    (initializer,) = (entry for entry in proto.graph.initializer if entry.name == tensor)
    values = numpy_helper.to_array(initializer).copy()
    values.flat[np.abs(values).argmax()] *= 1.01
    initializer.CopyFrom(numpy_helper.from_array(values, tensor))
    damaged = graphs | {role: proto.SerializeToString()}
    with pytest.raises(VerificationError, match="nothing was published"):
        verify(model, damaged, synthetic_rows(model.columns, 32, seed=4))


def test_a_novelty_that_is_not_the_definitions_is_found(classifier: Exported) -> None:
    model, graphs = classifier
    rows = synthetic_rows(model.columns, 200, seed=4)
    right, wrong = (
        fit_novelty(rows[part], None, model.columns, None, seed=1) for part in (slice(100), slice(100, 200))
    )
    assert right is not None
    assert wrong is not None
    graphs = graphs | {"model": with_novelty(graphs["model"], right)}
    verify(model, graphs, rows[:8], right)
    with pytest.raises(VerificationError, match="novelty differs from its definition in float64"):
        verify(model, graphs, rows[:8], wrong)


def test_bounds_that_a_score_escapes_are_found(classifier: Exported, make_model: MakeModel) -> None:
    model, graphs = classifier
    other = bounds_graph(fold(make_model(seed=1)), "classification", OPSET)
    with pytest.raises(VerificationError, match="escapes its bounds"):
        verify(model, graphs | {"bounds": other}, synthetic_rows(model.columns, 8, seed=4))


def test_another_models_graphs_are_found(classifier: Exported) -> None:
    model, graphs = classifier
    other = replace(model, columns=replace(model.columns, noise=2 * model.columns.noise))
    with pytest.raises(VerificationError, match="covariance differs from the definition in float64"):
        verify(other, graphs, synthetic_rows(model.columns, 8, seed=4))


def test_a_closed_form_that_is_wrong_is_found(classifier: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    model, graphs = classifier
    right = FittedModel.jacobian
    monkeypatch.setattr(FittedModel, "jacobian", lambda self, x: 1.001 * right(self, x))
    with pytest.raises(VerificationError, match="jacobian differs from autograd"):
        verify(model, graphs, synthetic_rows(model.columns, 8, seed=4))


def test_differences_are_relative_to_the_row() -> None:
    expected = np.array([[1.0, 2.0], [100.0, 0.0]])
    assert difference(np.array([[1.0, 2.2], [100.0, 1.0]]), expected) == pytest.approx(0.02)
    assert difference(np.array([[np.nan, 2.0], [1.0, 1.0]]), expected) == np.inf
    assert difference(np.zeros((2, 2)), np.zeros((2, 2))) == 0


def test_boxes_of_one_sigma_around_the_first_rows_are_tried(
    classifier: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, graphs = classifier
    rows, tried = synthetic_rows(model.columns, 8, seed=4), []

    def watched(graph: Graph, boxes: Boxes) -> Bounds:
        tried.append(boxes)
        return bound(graph, boxes)

    monkeypatch.setattr(verification, "bound", watched)
    verify(model, graphs, rows)
    (boxes,) = tried
    np.testing.assert_array_equal(boxes.low, rows[:4] - model.columns.noise)
    np.testing.assert_array_equal(boxes.high, rows[:4] + model.columns.noise)


@pytest.mark.parametrize("side", ["lower", "upper", "margin_lower", "margin_upper"])
def test_each_bound_is_held_against_the_scores(
    classifier: Exported, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    model, graphs = classifier

    def tighter(graph: Graph, boxes: Boxes) -> Bounds:
        found = bound(graph, boxes)
        other = side.replace("lower", "upper") if "lower" in side else side.replace("upper", "lower")
        middle = (getattr(found, side) + getattr(found, other)) / 2
        return found._replace(**{side: middle})

    monkeypatch.setattr(verification, "bound", tighter)
    with pytest.raises(VerificationError, match="escapes its bounds"):
        verify(model, graphs, synthetic_rows(model.columns, 8, seed=4))


def test_the_largest_difference_from_each_is_reported(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    model, graphs = exported
    seen: dict[str, list[float]] = {}
    check = verification._check

    def noted(name: str, against: str, *rest: Any) -> float:
        seen.setdefault(against, []).append(check(name, against, *rest))
        return seen[against][-1]

    monkeypatch.setattr(verification, "_check", noted)
    found = verify(model, graphs, synthetic_rows(model.columns, 32, seed=4))
    assert [found.autograd] == seen["autograd"]
    assert found.definition == max(seen["the definition in float64"]) > min(seen["the definition in float64"])
    assert found.export == max(seen["torch"]) > min(seen["torch"])


def test_correlated_noise_is_in_the_graphs(make_model: MakeModel) -> None:
    correlation = ((1.0, 0.9, -0.4), (0.9, 1.0, -0.2), (-0.4, -0.2, 1.0))
    together = NoiseModel(groups=(NoiseGroup(features=("pressure", "trace", "age"), correlation=correlation),))
    model, apart = make_model(noise=together), make_model()
    found = verify(model, export_graphs(model), synthetic_rows(model.columns, 32, seed=4))
    assert found.definition < 1e-4
    with pytest.raises(VerificationError, match="covariance"):
        verify(model, export_graphs(apart), synthetic_rows(model.columns, 32, seed=4))
