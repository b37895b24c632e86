"""Verifies before publishing that the exported graphs compute what the network computes, on fresh rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chainzrule.service.artifact.card import Role
from chainzrule.service.runtime.bounds import Boxes, bound
from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.training.errors import VerificationError
from chainzrule.training.export.graphs import JacobianGraph, LayersGraph, PredictionGraph
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.folded import fold
from chainzrule.training.novelty.novelty import Novelty

AUTOGRAD_TOLERANCE = 1e-8  # for the closed form against autograd, both in float64
DEFINITION_TOLERANCE = 1e-4  # for ONNX Runtime in float32 against the definition in float64
EXPORT_TOLERANCE = 5e-5  # for ONNX Runtime against torch, which do the same float32 operations in another order
NOVELTY_TOLERANCE = 1e-3  # for surprises, which are steep in the logarithm of a distance
BOXES, POINTS = 4, 32  # how many boxes are tested, and with how many points each
FLOOR = 0.1  # the smallest scale, as a share of the batch's largest magnitude, for rows whose terms cancel


@dataclass(frozen=True)
class Verification:
    """Holds the largest differences found, relative to the largest magnitude of the row (see `difference`)."""

    autograd: float
    definition: float
    export: float
    rows: int


def verify(
    model: FittedModel, graphs: Mapping[Role, bytes], features: NDArray[np.float32], novelty: Novelty | None = None
) -> Verification:
    """Compares the exported graphs with torch in float32 and the definition in float64, and that with autograd.

    Args:
        model: what was exported.
        graphs: the ONNX files by role.
        features: (rows, D) raw rows other than the exporter's example.
        novelty: what the model graph's novelty was written from; None where it has none.

    Raises:
        VerificationError: names the output and how far off it is.
    """
    x = torch.from_numpy(features)
    found: dict[str, NDArray[np.float32]] = {}
    for role, content in graphs.items():
        if role != "bounds":
            found |= Graph(content, f"{role}.onnx", Execution("cpu", threads=1)).run(features)
    scores, jacobian = model.scores(x), model.jacobian(x)
    known = {
        "scores": scores,
        "covariance": model.covariance(x),
        "jacobian": jacobian,
        "probabilities": model.probabilities(x),
        "mean_shift": model.mean_shift(x),
    }
    definition = {name: expected for name, expected in known.items() if expected is not None}

    autograd = _check("jacobian", "autograd", jacobian.numpy(), autograd_jacobian(model, x), AUTOGRAD_TOLERANCE)
    against_definition = [
        _check(name, "the definition in float64", found[name], expected, DEFINITION_TOLERANCE)
        for name, expected in definition.items()
    ]
    against_torch = [
        _check(name, "torch", found[name], expected, EXPORT_TOLERANCE) for name, expected in _torch(model, x).items()
    ]
    if novelty is not None:
        expected = torch.from_numpy(novelty.score(features)[:, None])
        _check("novelty", "its definition in float64", found["novelty"], expected, NOVELTY_TOLERANCE)
    norms = torch.linalg.vector_norm(model.noisy(x), dim=(1, 2))
    against_definition.append(
        _check(
            "layer_norms",
            "the definition in float64",
            found["layer_norms"][:, -1:],
            norms[:, None],
            DEFINITION_TOLERANCE,
        )
    )
    if "bounds" in graphs:
        _check_bounds(model, Graph(graphs["bounds"], "bounds.onnx", Execution("cpu", threads=1)), features[:BOXES])
    return Verification(autograd, max(against_definition), max(against_torch), len(features))


def _check_bounds(model: FittedModel, graph: Graph, features: NDArray[np.float32]) -> None:
    """Checks that scores inside boxes of one noise sigma, and at their corners, stay within the bounds."""
    middle, noise = features.astype(np.float64), model.columns.noise
    label = model.link.label(model.scores(torch.from_numpy(features))).numpy()
    found = bound(graph, Boxes(middle - noise, middle + noise, label))
    random = np.random.default_rng(0)
    for number in range(POINTS):
        steps = random.uniform(-1.0, 1.0, middle.shape)
        inside = middle + noise * (np.sign(steps) if number % 2 else steps)
        scores = model.scores(torch.from_numpy(inside)).numpy()
        escaped = (scores < found.lower) | (scores > found.upper)
        if model.link.has_margins:
            margins = np.take_along_axis(scores, label[:, None], axis=1) - scores
            escaped |= (margins < found.margin_lower) | (margins > found.margin_upper)
        if escaped.any():
            raise VerificationError("a score escapes its bounds; nothing was published")


def autograd_jacobian(model: FittedModel, x: Tensor) -> Tensor:
    """Returns the scores' (rows, S, D) derivative by torch.func.jacrev, in float64."""
    model.scores(x[:1])  # creates the float64 network now, because a functional transform must not

    def row_scores(row: Tensor) -> Tensor:
        return model.scores(row[None])[0]

    derivative: Tensor = torch.func.vmap(torch.func.jacrev(row_scores))(x.double())
    return derivative


def difference(found: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """Returns the largest difference relative to the row's largest magnitude.

    The scale is at least `FLOOR` times the batch's largest magnitude.
    """
    if not np.isfinite(found).all():
        return float("inf")
    axes = tuple(range(1, expected.ndim))
    scale = np.abs(expected).max(axis=axes, keepdims=True)
    scale = np.maximum(scale, FLOOR * scale.max())
    gap = np.abs(found.astype(np.float64) - expected)
    return float(np.max(gap / np.where(scale > 0, scale, 1.0)))


def _torch(model: FittedModel, x: Tensor) -> dict[str, Tensor]:
    folded = fold(model)
    outputs: dict[str, Tensor] = {}
    with torch.no_grad():
        for graph in (PredictionGraph(folded, model.task), JacobianGraph(folded), LayersGraph(folded)):
            outputs |= zip(graph.output_names, graph(x), strict=True)
    return outputs


def _check(name: str, against: str, found: NDArray[np.floating], expected: Tensor, tolerance: float) -> float:
    gap = difference(found, expected.numpy())
    if not gap <= tolerance:
        raise VerificationError(
            f"{name} differs from {against} by {gap:.2g} of its magnitude, more than {tolerance:g}; nothing was "
            "published. The polynomials may be too steep for float32 (raise dreg.strength or lower network.degree)"
        )
    return gap
