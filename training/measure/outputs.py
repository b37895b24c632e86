"""What a model is worth on rows it was not fitted to: quality, and the card's stability reference."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from chainzrule.service.artifact.evidence import Reference
from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.measures import diagnose
from chainzrule.service.stability.reference import make_reference
from chainzrule.training.data.dataset import Rows
from chainzrule.training.errors import DivergenceError
from chainzrule.training.export.graphs import LayersGraph, PredictionGraph, fold, noise_factor
from chainzrule.training.measure.quality import guesses, of_labels, of_regression
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.jacobian import hidden_weights, output_side
from chainzrule.training.nn.ordinal import log_likelihood

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

CHUNK = 1024  # rows at a time, so that memory does not grow with the data

QUALITY = {
    "accuracy": "share of rows that get their own label (classification, ordinal)",
    "quadratic_kappa": "agreement with the true levels beyond chance, misses weighted by their squared distance: 1 is "
    "perfect, 0 is chance (ordinal)",
    "log_loss": "mean negative log probability of the true label, in nats (classification, ordinal)",
    "majority_share": "share of those rows that the commonest label has, the accuracy of always answering it "
    "(classification, ordinal)",
    "frequency_log_loss": "mean negative log probability of the true label, in nats, where every answer is the labels' "
    "shares of those rows (classification, ordinal)",
    "rmse": "root mean squared error, in the target's unit (regression)",
    "mae": "mean absolute error, in the target's unit (regression) or in levels (ordinal)",
    "median_mae": "mean absolute error of always answering those rows' median level (ordinal)",
    "r2": "share of the target's variance that is explained (regression)",
    "input_gradient_norm_mean": "mean over the rows of g, the Frobenius norm of d probabilities / d standardised "
    "features (regression: of d output / d standardised features, in the target's unit)",
    "input_gradient_norm_p99": "99th percentile of g over the rows",
    "input_gradient_norm_max": "largest g over the rows",
    "input_gradient_norm_tail_ratio": "99th percentile of g over its mean",
}
"""Every key that a card's `quality` and its baselines' may hold, and what it means."""

GUESSES = {"accuracy": "majority_share", "log_loss": "frequency_log_loss", "mae": "median_mae"}
"""Figures, and what a guess that looks at no feature would reach in their place."""


@dataclass(frozen=True)
class Outputs:
    """What a model says about rows, as the service would see it.

    Attributes:
        scores: (rows, S) float32.
        covariance: (rows, S, S) float32, under one noise sigma; None for a network that is only compared with.
        mean_shift: (rows, S) float32, what one noise sigma adds to the scores' mean; None where there are no labels.
        layer_norms: (rows, hidden layers + 1) norm of the derivative after each layer under one noise sigma; None as
            for the covariance.
        input_gradient: (rows,) g, the input-gradient norm.
        out_of_range: (rows,) whether a feature lies outside what training saw.
    """

    scores: NDArray[np.float32]
    covariance: NDArray[np.float32] | None
    mean_shift: NDArray[np.float32] | None
    layer_norms: NDArray[np.float32] | None
    input_gradient: Floats
    out_of_range: NDArray[np.bool_]


def predict(model: FittedModel, rows: Rows) -> Outputs:
    """A ChainzRule model's outputs on raw rows, from the very graph that is exported.

    Raises:
        DivergenceError: an output is infinite or NaN.
    """
    folded, parts = fold(model), torch.split(torch.from_numpy(rows.x), CHUNK)
    graph = PredictionGraph(folded, model.task).requires_grad_(False)
    layers = LayersGraph(folded).requires_grad_(False)
    chunks = [graph(chunk) for chunk in parts]
    found = {
        name: np.concatenate([chunk[place].numpy() for chunk in chunks])
        for place, name in enumerate(graph.output_names)
        if name != "probabilities"
    }
    return _checked(
        Outputs(
            scores=found["scores"],
            covariance=found["covariance"],
            mean_shift=found.get("mean_shift"),
            layer_norms=np.concatenate([layers(chunk)[0].numpy() for chunk in parts]),
            input_gradient=input_gradient(model, rows),
            out_of_range=_outside(model, rows),
        )
    )


def predict_baseline(model: FittedModel, rows: Rows) -> Outputs:
    """Any network's scores and input-gradient norms on raw rows, without a covariance.

    Raises:
        DivergenceError: an output is infinite or NaN.
    """
    scores = torch.cat([model.scores(chunk) for chunk in torch.split(torch.from_numpy(rows.x), CHUNK)])
    return _checked(
        Outputs(scores.float().numpy(), None, None, None, input_gradient(model, rows), _outside(model, rows))
    )


def join(parts: Sequence[Outputs], order: NDArray[np.int64]) -> Outputs:
    """Outputs of several models on different rows, put at the rows' places: `order` holds those, part after part."""
    place = np.argsort(order)
    covariances = [part.covariance for part in parts if part.covariance is not None]
    shifts = [part.mean_shift for part in parts if part.mean_shift is not None]
    norms = [part.layer_norms for part in parts if part.layer_norms is not None]
    return Outputs(
        scores=np.concatenate([part.scores for part in parts])[place],
        covariance=np.concatenate(covariances)[place] if covariances else None,
        mean_shift=np.concatenate(shifts)[place] if shifts else None,
        layer_norms=np.concatenate(norms)[place] if norms else None,
        input_gradient=np.concatenate([part.input_gradient for part in parts])[place],
        out_of_range=np.concatenate([part.out_of_range for part in parts])[place],
    )


def input_gradient(model: FittedModel, rows: Rows) -> Floats:
    """(rows,) g(x): Frobenius norm of d probabilities / d standardised features (docs/science.md).

    From the output side and with the first weights' QR factor in place of the weights, which has the same norm.
    """
    network, columns = model.network, model.columns
    weights = [weight.detach() for weight in hidden_weights(network)]
    factor = noise_factor(weights[0].double(), torch.ones(columns.width, dtype=torch.float64)).float()
    norms = []
    with torch.no_grad():
        for chunk in np.array_split(rows.x, max(1, len(rows) // CHUNK)):
            scores, slopes = network.propagate(torch.from_numpy(columns.standardise(chunk)).float())
            derivative = output_side(network.output.weight, weights, slopes) @ factor
            derivative = through_link(model.task, scores, derivative)
            norms.append(derivative.flatten(1).double().norm(dim=1).numpy())
    scale = model.target.std if model.task == "regression" else 1.0
    return np.concatenate(norms) * scale


def through_link(task: Task, scores: Tensor, derivative: Tensor) -> Tensor:
    """From (batch, S, columns) derivatives of the scores to those of the probabilities; a regression's stay.

    An ordinal network's scores share one derivative: of `derivative` only the first row is looked at.
    """
    if task == "regression":
        return derivative
    if task == "ordinal":  # a level's probability is sigmoid(s_k) - sigmoid(s_k+1)
        slopes = scores.sigmoid() * (-scores).sigmoid()
        return (F.pad(slopes, (1, 0)) - F.pad(slopes, (0, 1))).unsqueeze(2) * derivative[:, :1]
    p = scores.softmax(dim=1).unsqueeze(2)
    weighted = p * derivative
    return weighted - p * weighted.sum(dim=1, keepdim=True)


def quality(task: Task, y: NDArray[np.int64] | NDArray[np.float32], outputs: Outputs) -> dict[str, float]:
    """The figures of `QUALITY` that the task has."""
    scores = outputs.scores.astype(np.float64)
    if task == "regression":
        figures = of_regression(y.astype(np.float64), scores[:, 0])
    elif task == "ordinal":
        figures = _of_levels(y.astype(np.int64), scores)
    else:
        figures = of_labels(y.astype(np.int64), scores)
    g = outputs.input_gradient
    p99, mean = float(np.percentile(g, 99)), float(np.mean(g))
    return figures | {
        "input_gradient_norm_mean": mean,
        "input_gradient_norm_p99": p99,
        "input_gradient_norm_max": float(np.max(g)),
        "input_gradient_norm_tail_ratio": p99 / mean if mean > 0 else 1.0,
    }


def reference(task: Task, outputs: Outputs, out_of_fold: bool) -> Reference:
    """Returns the card's stability reference, by the same computation as the service's live figures."""
    assert outputs.covariance is not None
    link, ones = link_of(task, outputs.scores.shape[1]), np.ones(len(outputs.scores))
    diagnosis = diagnose(link, outputs.scores, outputs.covariance, ones, outputs.mean_shift)
    return make_reference(link, diagnosis, outputs.out_of_range, out_of_fold, outputs.layer_norms)


def _of_levels(y: Indices, scores: Floats) -> dict[str, float]:
    return {
        **agreement(y, (scores > 0).sum(axis=1)),
        "log_loss": -float(log_likelihood(torch.from_numpy(scores), torch.from_numpy(y)).mean()),
        "median_mae": float(np.mean(np.abs(y - np.floor(np.median(y))))),
        **guesses(y),
    }


def agreement(y: Indices, level: Indices) -> dict[str, float]:
    """Accuracy, mean absolute error in levels and quadratic kappa of (rows,) answered levels, against the true ones."""
    miss = level - y
    # Chance: levels answered as often, but to rows drawn at random.
    by_chance = float(
        np.mean(np.square(level[:, None] - np.unique(y)) @ (np.unique(y, return_counts=True)[1] / len(y)))
    )
    return {
        "accuracy": float(np.mean(miss == 0)),
        "mae": float(np.mean(np.abs(miss))),
        "quadratic_kappa": 1 - float(np.mean(miss**2)) / by_chance if by_chance > 0 else 0.0,
    }


def _outside(model: FittedModel, rows: Rows) -> NDArray[np.bool_]:
    return model.columns.out_of_range(rows.x)


def _checked(outputs: Outputs) -> Outputs:
    parts = (outputs.scores, outputs.input_gradient, outputs.covariance, outputs.mean_shift, outputs.layer_norms)
    if not all(np.isfinite(part).all() for part in parts if part is not None):
        raise DivergenceError(
            "the network's outputs on held-out rows are not all finite: the polynomials explode there; raise "
            "dreg.strength, lower network.degree, or look for outliers in the data"
        )
    return outputs
