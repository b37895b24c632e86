import re
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from chainzrule.service.artifact.card import Role
from chainzrule.training.export.onnx import BOUNDED_WIDTH, OPSET, export_graphs
from chainzrule.training.export.verify import verify
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.publish.golden import synthetic_rows

MakeModel = Callable[..., FittedModel]
Exported = tuple[FittedModel, dict[Role, bytes]]


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
