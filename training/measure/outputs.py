"""Computes a fitted model's outputs on rows that it was not fitted to, and under noise on these rows."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Answers, Conformity, Reference
from chainzrule.service.stability.answers import make_answers
from chainzrule.service.stability.conformal import make_conformity
from chainzrule.service.stability.link import Link, link_of
from chainzrule.service.stability.measures import Diagnosis, diagnose
from chainzrule.service.stability.reference import make_reference
from chainzrule.training.data.dataset import Rows
from chainzrule.training.errors import DivergenceError
from chainzrule.training.export.graphs import LayersGraph, PredictionGraph
from chainzrule.training.measure.quality import uninformative
from chainzrule.training.measure.simulation import Scores, Simulation, choose_rows, simulate
from chainzrule.training.nn.bending import Bending
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.folded import fold, noise_factor
from chainzrule.training.nn.jacobian import hidden_weights, output_side

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Matrix = NDArray[np.float32]

CHUNK = 1024  # rows at a time, so that memory does not grow with the data


@dataclass(frozen=True)
class Outputs:
    """Holds a model's outputs on rows, as the service would compute them.

    Attributes:
        scores: (rows, S) the scores.
        covariance: (rows, S, S) of the scores at one noise sigma; None for a baseline.
        mean_shift: (rows, S), what one noise sigma adds to the scores' mean; None where there are no labels.
        layer_norms: (rows, hidden layers + 1) norm of the derivative after each layer under one noise sigma; None as
            for the covariance.
        input_gradient: (rows,) g, the input-gradient norm.
        out_of_range: (rows,) whether a feature lies outside what training saw.
    """

    scores: Matrix
    covariance: Matrix | None
    mean_shift: Matrix | None
    layer_norms: Matrix | None
    input_gradient: Floats
    out_of_range: NDArray[np.bool_]


def predict(model: FittedModel, rows: Rows) -> Outputs:
    """Returns a ChainzRule model's outputs on raw rows, computed by the graph that is exported.

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
            out_of_range=model.columns.out_of_range(rows.x),
        )
    )


def predict_baseline(model: FittedModel, rows: Rows) -> Outputs:
    """Returns any network's scores and input-gradient norms on raw rows, without a covariance.

    Raises:
        DivergenceError: an output is infinite or NaN.
    """
    scores = torch.cat([model.scores(chunk) for chunk in torch.split(torch.from_numpy(rows.x), CHUNK)])
    return _checked(
        Outputs(
            scores=scores.float().numpy(),
            covariance=None,
            mean_shift=None,
            layer_norms=None,
            input_gradient=input_gradient(model, rows),
            out_of_range=model.columns.out_of_range(rows.x),
        )
    )


def join(parts: Sequence[Outputs], order: Indices) -> Outputs:
    """Returns the outputs of several models on different rows as one.

    Args:
        parts: what each model says of its rows.
        order: (rows,) the place of each row, part after part.
    """
    place = np.argsort(order)

    def joined(values: Sequence[NDArray[Any]]) -> NDArray[Any] | None:
        return None if any(value is None for value in values) else np.concatenate(values)[place]

    columns: dict[str, Any] = {
        field.name: joined([getattr(part, field.name) for part in parts]) for field in fields(Outputs)
    }
    return Outputs(**columns)


def input_gradient(model: FittedModel, rows: Rows) -> Floats:
    """Returns (rows,) g(x), the Frobenius norm of d probabilities / d standardised features (docs/science.md).

    It is computed from the output side, with the first weights' QR factor in place of the weights, which has the same
    norm.
    """
    network, columns = model.network, model.columns
    weights = [weight.detach() for weight in hidden_weights(network)]
    factor = noise_factor(weights[0].double(), torch.ones(columns.width, dtype=torch.float64)).float()
    norms = []
    with torch.no_grad():
        for chunk in np.array_split(rows.x, max(1, len(rows) // CHUNK)):
            scores, slopes = network.propagate(torch.from_numpy(columns.standardise(chunk)).float())
            derivative = output_side(network.output.weight, weights, slopes) @ factor
            norms.append(model.link.through(scores, derivative).flatten(1).double().norm(dim=1).numpy())
    return np.concatenate(norms) * model.target.std


def measured(link: Link, outputs: Outputs) -> Diagnosis:
    """Returns the measures of outputs in closed form, at one noise sigma."""
    assert outputs.covariance is not None
    return diagnose(link, outputs.scores, outputs.covariance, np.ones(len(outputs.scores)), outputs.mean_shift)


def reference(
    link: Link, diagnosis: Diagnosis, outputs: Outputs, y: NDArray[np.generic], out_of_fold: bool
) -> Reference:
    """Returns the card's stability reference of held-out rows: their measures, outputs and true answers `y`."""
    found = make_reference(link, diagnosis, outputs.out_of_range, out_of_fold, outputs.layer_norms)
    return found.model_copy(update={"uninformative": uninformative(link, y, outputs.scores)})


def conformity(link: Link, outputs: Outputs, y: NDArray[np.generic], out_of_fold: bool) -> Conformity:
    """Returns how far the truth `y` lay from a model's answers on held-out rows, for the card."""
    assert outputs.covariance is not None
    volatility = np.sqrt(np.maximum(outputs.covariance.trace(axis1=1, axis2=2, dtype=np.float64), 0.0))
    return make_conformity(link, outputs.scores.astype(np.float64), y, volatility, out_of_fold)


def answers(link: Link, outputs: Outputs) -> Answers:
    """Returns what a model answered to held-out rows, for the card."""
    return make_answers(link, outputs.scores.astype(np.float64))


def simulation(model: FittedModel, rows: Rows, limit: int, seed: int) -> Simulation:
    """Returns the effect of noise on at most `limit` of the rows, chosen at random."""
    chosen = rows.take(choose_rows(len(rows), model.columns.width, limit, seed))
    outputs = predict(model, chosen)
    assert outputs.covariance is not None
    link = link_of(model.task, outputs.scores.shape[1])
    flips, spread = simulate(link, network_scores(model), chosen.x, model.columns.drawn, seed)
    return Simulation(outputs.scores, outputs.covariance, outputs.mean_shift, flips, spread)


def network_scores(model: FittedModel) -> Scores:
    """Returns a fitted model's scores as a function of raw rows, in float32 as the exported graph computes them."""
    columns = model.columns
    mean, std = (torch.from_numpy(values).float() for values in (columns.centre, columns.spread))
    bending = None if columns.bends is None else Bending.of(columns.bends, torch.float32)

    def scores(x: Matrix) -> NDArray[np.floating]:
        with torch.no_grad():
            raw = torch.from_numpy(x)
            read = raw if bending is None else bending(raw).values
            found: NDArray[np.floating] = model.network((read - mean) / std).numpy()
        return found * model.target.std + model.target.mean

    return scores


def _checked(outputs: Outputs) -> Outputs:
    parts = (outputs.scores, outputs.input_gradient, outputs.covariance, outputs.mean_shift, outputs.layer_norms)
    if not all(np.isfinite(part).all() for part in parts if part is not None):
        raise DivergenceError(
            "the network's outputs on held-out rows are not all finite: the polynomials explode there; raise "
            "dreg.strength, lower network.degree, or look for outliers in the data"
        )
    return outputs
