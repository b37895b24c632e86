"""Checks a model version before it may answer: its graphs' signatures, and that it reproduces its golden rows."""

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.card import ModelCard, Role
from chainzrule.service.artifact.store import Artifact
from chainzrule.service.errors import ArtifactError
from chainzrule.service.runtime.bounds import BoundsGraph
from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.service.runtime.model import Model
from chainzrule.service.runtime.parity import require_parity
from chainzrule.service.runtime.tensors import to_array

# The largest difference from the golden rows, relative to the largest magnitude among all rows. Processors and
# ONNX Runtime versions differ in the order of float32 sums, by about 1e-6; a wrong weight makes far more.
GOLDEN_TOLERANCE = 1e-3

# Differences of float32 scores, divided by a small step, have a larger rounding error.
DIFFERENCES_TOLERANCE = 2e-2

_FLOAT = "tensor(float)"


def load(artifact: Artifact, execution: Execution) -> Model:
    """Opens a model version and checks it.

    Raises:
        ArtifactError: a graph cannot be loaded, has other inputs, outputs or shapes than the card says, or does not
            reproduce the golden rows; or another device does not compute what the CPU does.
        DeviceError: ONNX Runtime did not load a graph on the execution's device.
    """
    card = artifact.card
    model = Model(card, artifact.graphs, execution)
    for role, outputs in _expected_outputs(card).items():
        _check_signature(model.graphs[role], card.width, outputs)
    _check_golden(model, card)
    if execution.device != "cpu":
        rows = parity_rows(model, card)
        for role, graph in model.graphs.items():
            content = artifact.graphs[role]
            require_parity(graph, Graph(content, graph.name, Execution("cpu", execution.threads)), rows)
    return model


def open_bounds(artifact: Artifact, model: Model) -> BoundsGraph | None:
    """Returns a version's bounds graph, which is not opened yet; None where the version has none."""
    if "bounds" not in artifact.graphs:
        return None
    card, content = artifact.card, artifact.graphs["bounds"]
    return BoundsGraph(card, model.rows.noise, content, model.execution.threads, card.golden)


def accept(artifact: Artifact) -> None:
    """Checks an artifact and its bounds graph as the service would, on the CPU with one thread; for publishers.

    Raises:
        ArtifactError: the service would not serve the artifact.
    """
    model = load(artifact, Execution("cpu", threads=1))
    bounds = open_bounds(artifact, model)
    if bounds is not None:  # the service itself opens it on first use
        bounds.open()


def golden_features(card: ModelCard) -> NDArray[np.float32]:
    """Returns the (rows, D) synthetic rows of the card, which also serve to warm a model up."""
    return to_array(card.golden.features)


def parity_rows(model: Model, card: ModelCard) -> NDArray[np.float32]:
    """Returns the golden rows, repeated to (64, D), with the card's noise added to them."""
    golden = golden_features(card)
    rows = np.resize(golden, (64, golden.shape[1]))
    noise = np.random.default_rng(0).normal(size=rows.shape) * model.rows.noise
    return (rows + noise).astype(np.float32)


def _expected_outputs(card: ModelCard) -> dict[Role, dict[str, tuple[int, ...]]]:
    """Returns each graph's outputs with their shapes after the batch dimension; -1 stands for any size."""
    S, D = card.scores, card.width
    outputs: dict[str, tuple[int, ...]] = {"scores": (S,)}
    if card.labels:
        outputs["probabilities"] = (len(card.labels),)
    if card.golden.novelty is not None:
        outputs["novelty"] = (1,)
    if card.golden.deviations is not None:
        outputs["deviations"] = (D,)
    if card.method != "analytic":
        return {"model": outputs}
    outputs["covariance"] = (S, S)
    if card.golden.mean_shift is not None:
        outputs["mean_shift"] = (S,)
    jacobian: dict[str, tuple[int, ...]] = {"jacobian": (S, D)}
    layers: dict[str, tuple[int, ...]] = {
        "layer_norms": (-1 if card.reference.layer_norms is None else len(card.reference.layer_norms),)
    }
    if "layers" in card.graphs:
        return {"model": outputs, "jacobian": jacobian, "layers": layers}
    return {"model": outputs, "jacobian": jacobian | layers}


def _check_signature(graph: Graph, width: int, outputs: dict[str, tuple[int, ...]]) -> None:
    if set(graph.inputs) != {"features"}:
        raise ArtifactError("must have exactly the input features", graph.name)
    if set(graph.outputs) != set(outputs):
        raise ArtifactError(f"must have exactly the outputs {', '.join(sorted(outputs))}", graph.name)
    for name, (kind, shape) in {**graph.inputs, **graph.outputs}.items():
        expected = (width,) if name == "features" else outputs[name]
        if kind != _FLOAT:
            raise ArtifactError(f"{name} must be float32", graph.name)
        fits = len(shape) == 1 + len(expected) and all(
            isinstance(found, int) and (wanted in (-1, found))
            for found, wanted in zip(shape[1:], expected, strict=True)
        )
        if not fits or isinstance(shape[0], int):
            raise ArtifactError(f"{name} must have the shape {('batch', *expected)}", graph.name)


def _check_golden(model: Model, card: ModelCard) -> None:
    golden = card.golden
    features = golden_features(card)
    outputs = model.predict(features, np.ones(len(features)))
    assert outputs.covariance is not None
    found = {
        "scores": outputs.scores,
        "covariance": outputs.covariance,
        "jacobian": model.differentiate(features),
    }
    if outputs.mean_shift is not None:
        found["mean_shift"] = outputs.mean_shift
    if outputs.novelty is not None:
        found["novelty"] = outputs.novelty[:, None]
    if outputs.deviations is not None:
        found["deviations"] = outputs.deviations
    for name, values in found.items():
        graph = model.graphs["jacobian" if name == "jacobian" and "jacobian" in model.graphs else "model"]
        rounded = card.method == "finite_difference" and name in ("covariance", "jacobian")
        tolerance = DIFFERENCES_TOLERANCE if rounded else GOLDEN_TOLERANCE
        expected = to_array(getattr(golden, name))
        scale = np.abs(expected).max()
        # `not <=` is also true for NaN.
        if not (np.abs(values - expected) <= tolerance * scale + np.finfo(np.float32).tiny).all():
            raise ArtifactError(f"does not reproduce the golden rows' {name}", graph.name)
    shares = model.link.probabilities(outputs.scores.astype(np.float64))
    if shares is None or outputs.probabilities is None:
        return
    if not (np.abs(outputs.probabilities - shares) <= GOLDEN_TOLERANCE).all():
        raise ArtifactError("its probabilities are not those of its scores", model.graphs["model"].name)
