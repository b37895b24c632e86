import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chainzrule.service.artifact.card import Role
from chainzrule.training.export.graphs import JacobianGraph, LayersGraph, PredictionGraph
from chainzrule.training.export.onnx import (
    BOUNDED_WIDTH,
    OPSET,
    export_graphs,
    jacobian_graph,
    layers_graph,
    prediction_graph,
)
from chainzrule.training.export.verify import difference, verify
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.folded import fold
from chainzrule.training.publish.golden import synthetic_rows

MakeModel = Callable[..., FittedModel]
Exported = tuple[FittedModel, dict[Role, bytes]]

# Where terms of a row cancel, two orders of the same float32 operations differ by some 1e-4 of what is left; a wrong
# formula is off by far more.
ROUNDING = 5e-3


def run(content: bytes, features: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return list(session.run(None, {"features": features}))


def of_rows(graphs: dict[Role, bytes]) -> list[bytes]:
    """The graphs that take rows; the one of bounds takes boxes, and has its own tests."""
    return [content for role, content in graphs.items() if role != "bounds"]


def test_names_types_and_shapes(exported: Exported) -> None:
    model, graphs = exported
    S = len(model.network.output.bias)
    layers = len(model.network.hidden) + 1
    expected = {"scores": [S], "covariance": [S, S], "jacobian": [S, 7], "layer_norms": [layers]}
    if model.task != "regression":
        expected |= {"probabilities": [S + 1] if model.task == "ordinal" else [S], "mean_shift": [S]}
    found = {}
    for content in of_rows(graphs):
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        (features,) = session.get_inputs()
        assert (features.name, features.type, features.shape) == ("features", "tensor(float)", ["batch", 7])
        for output in session.get_outputs():
            assert output.type == "tensor(float)"
            assert output.shape[0] == "batch"
            found[output.name] = output.shape[1:]
    assert found == expected


@pytest.mark.parametrize("batch", [1, 2, 4096])
def test_any_batch_size_runs_and_gives_each_row_its_own_answer(exported: Exported, batch: int) -> None:
    model, graphs = exported
    features = synthetic_rows(model.columns, batch, seed=2)
    for content in of_rows(graphs):
        outputs = run(content, features)
        assert all(len(output) == batch for output in outputs)
        for output, alone in zip(outputs, run(content, features[-1:]), strict=True):
            np.testing.assert_allclose(output[-1:], alone, rtol=1e-4, atol=1e-5 * np.abs(alone).max())


def test_export_changes_nothing(exported: Exported) -> None:
    model, graphs = exported
    features = synthetic_rows(model.columns, 200, seed=8)
    x = torch.from_numpy(features)
    outputs = [output for content in of_rows(graphs) for output in run(content, features)]
    expected = [model.scores(x), model.covariance(x), model.jacobian(x)]
    if model.task != "regression":
        expected[1:2] = [model.probabilities(x), model.covariance(x), model.mean_shift(x)]
    for found, truth in zip(outputs, expected, strict=False):  # layer_norms come last
        reference = truth.numpy()
        scale = np.abs(reference).max(axis=tuple(range(1, reference.ndim)), keepdims=True)
        assert (np.abs(found - reference) <= 1e-4 * np.maximum(scale, 1e-3 * scale.max())).all()


def test_the_files_name_nothing_of_the_machine(exported: Exported) -> None:
    for content in exported[1].values():
        proto = onnx.load_from_string(content)
        assert not proto.metadata_props
        assert not proto.doc_string
        assert not any(node.doc_string or node.metadata_props for node in proto.graph.node)
        assert not re.search(rb"\.py\b|/home|/work|/tmp|site-packages|torch\.nn", content)


def test_standard_operators_in_one_file(exported: Exported) -> None:
    for content in exported[1].values():
        proto = onnx.load_from_string(content)
        assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", OPSET)]
        assert not proto.functions
        assert not any(tensor.external_data for tensor in proto.graph.initializer)


def test_the_prediction_graph_is_lean(classifier: Exported) -> None:
    proto = onnx.load_from_string(classifier[1]["model"])
    assert len(proto.graph.node) <= 48  # two layers: 8 operators a polynomial with its slope
    assert sum(node.op_type == "Transpose" for node in proto.graph.node) == 1


def test_the_same_weights_give_the_same_bytes(linear_classifier: Exported) -> None:
    model, graphs = linear_classifier
    assert export_graphs(model) == graphs


@pytest.mark.parametrize("degree", [1, 2])
def test_a_network_of_one_layer_takes_any_batch(make_model: MakeModel, degree: int) -> None:
    # Its scores' mean shift is the same for all rows.
    model = make_model(hidden=(6,), degree=degree)
    verify(model, export_graphs(model), synthetic_rows(model.columns, 5, seed=2))


def test_a_network_too_wide_for_bounds_has_the_other_graphs(make_model: MakeModel) -> None:
    assert set(export_graphs(make_model(hidden=(BOUNDED_WIDTH + 1, 4)))) == {"model", "jacobian", "layers"}
    assert "bounds" in export_graphs(make_model(hidden=(BOUNDED_WIDTH, 4)))


shapes = st.fixed_dictionaries(
    {
        "task": st.sampled_from(["classification", "ordinal", "regression"]),
        "hidden": st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
        "degree": st.integers(1, 5),
        "scores": st.integers(2, 5),
        "seed": st.integers(0, 10**6),
    }
)


def assert_written_as_torch_computes(model: FittedModel, with_rest: bool) -> None:
    """The written graphs' outputs, by name, are those of torch's modules on the same folded constants."""
    folded = fold(model)
    if with_rest:  # only the strongest direction is carried; the others are a variance
        directions = folded.leading[:1]
        others = folded.leading[1:].square().sum(dim=0)
        folded = replace(folded, leading=directions, rest=others)
    assert (folded.rest is not None) == with_rest
    x = torch.from_numpy(synthetic_rows(model.columns, 5, seed=11))
    prediction = PredictionGraph(folded, model.task)
    for graph, content in (
        (prediction, prediction_graph(folded, model.task)),
        (JacobianGraph(folded), jacobian_graph(folded)),
        (LayersGraph(folded), layers_graph(folded)),
    ):
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        assert [output.name for output in session.get_outputs()] == list(graph.output_names)
        with torch.no_grad():
            expected = [output.numpy() for output in graph(x)]
        for name, found, truth in zip(graph.output_names, run(content, x.numpy()), expected, strict=True):
            assert found.shape == truth.shape, name
            assert difference(found, truth) <= ROUNDING, name


@given(shape=shapes, with_rest=st.booleans())
@settings(deadline=None, max_examples=25)
def test_written_graphs_give_what_torch_gives(make_model: MakeModel, shape: dict[str, Any], with_rest: bool) -> None:
    model = make_model(**{**shape, "scores": 1 if shape["task"] == "regression" else shape["scores"]})
    assert_written_as_torch_computes(model, with_rest)


@pytest.mark.parametrize("with_rest", [False, True])
@pytest.mark.parametrize("degree", range(1, 6))
@pytest.mark.parametrize("depth", range(1, 5))
@pytest.mark.parametrize("task", ["classification", "ordinal", "regression"])
def test_every_task_degree_and_depth_is_written(
    make_model: MakeModel, task: str, depth: int, degree: int, with_rest: bool
) -> None:
    model = make_model(task, hidden=(5, 4, 6, 3)[:depth], degree=degree, scores=1 if task == "regression" else 3)
    assert_written_as_torch_computes(model, with_rest)
