"""`GET /sensitivity` and `POST /sensitivity`: which inputs each prediction hangs on."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.responses import Response

from service.api.body import read_rows
from service.api.context import Context
from service.api.exchange import Endpoint
from service.api.incoming import Answer, Incoming
from service.api.matrix import MatrixParser
from service.api.predict import require_finite
from service.api.requests import SENSITIVITY_MEMBERS, ModelRequest, read_query, read_request, read_row, read_timeout
from service.artifact.card import CategoricalFeature
from service.errors import NonFiniteOutput
from service.runtime.engine import Share
from service.runtime.model import Derivatives, Predictions
from service.served import ServedModel, inputs_of
from service.stability.sensitivity import Sensitivity, sensitivity

Matrix = NDArray[np.float32]


def get_sensitivity_endpoint(context: Context) -> Endpoint:
    """The endpoint of the GET route."""

    async def get_sensitivity(request: Incoming) -> Response:
        """Sensitivities of one row, given in the query."""
        deadline = context.deadline(read_timeout(request.header(b"x-request-timeout")))
        wanted, text = read_query(request.scope["query_string"])
        served = context.catalog.resolve(wanted.model, wanted.version)
        wanted = replace(wanted, instances=[read_row(text, served.card)])
        return await _answer(served, wanted, deadline)

    return get_sensitivity


def post_sensitivity_endpoint(context: Context) -> Endpoint:
    """The endpoint of the POST route."""
    parser = MatrixParser()

    async def post_sensitivity(request: Incoming) -> Response:
        """Sensitivities of rows that are long, or that must not appear in a URL."""
        deadline = context.deadline(read_timeout(request.header(b"x-request-timeout")))
        document = await read_rows(request, context.settings.max_body_bytes, deadline, parser)
        wanted = read_request(document, SENSITIVITY_MEMBERS, context.settings.max_sensitivity_rows)
        served = context.catalog.resolve(wanted.model, wanted.version)
        return await _answer(served, wanted, deadline)

    return post_sensitivity


@dataclass(frozen=True)
class _Batch:
    """Everything about the rows of one sensitivity request; row r of the request is row r of each part."""

    features: Matrix
    predictions: Share[Predictions]
    derivatives: Share[Derivatives]
    sensitivity: Sensitivity
    switches: dict[tuple[int, str], dict[str, float]]


async def _answer(served: ServedModel, wanted: ModelRequest, deadline: float) -> Response:
    features = served.model.rows.encode(wanted.instances)
    predictions = await served.predict(inputs_of(features, wanted.noise_scale, observe=False), deadline)
    require_finite(predictions)
    derivatives = await served.differentiate(features, deadline)
    jacobian = derivatives.result.jacobian[derivatives.start : derivatives.stop]
    layer_norms = derivatives.result.layer_norms[derivatives.start : derivatives.stop]
    if not (np.isfinite(jacobian).all() and np.isfinite(layer_norms).all()):
        raise NonFiniteOutput(
            "the derivatives are not finite; a row may lie far outside the training range", "instances"
        )
    batch = _Batch(
        features,
        predictions,
        derivatives,
        sensitivity(
            predictions.result.diagnosis.gradient[predictions.start : predictions.stop],
            jacobian,
            served.model.rows.noise,
            np.full(len(features), wanted.noise_scale),
        ),
        await _switches(served, features, predictions, deadline),
    )
    content: dict[str, Any] = {
        "model": served.card.name,
        "version": served.card.version,
        "predictions": [_row(served, wanted, batch, row) for row in range(len(features))],
    }
    if "jacobian" in wanted.include:
        content["jacobian_axes"] = {"scores": served.card.score_names(), "columns": served.model.rows.column_names}
    if "layers" in wanted.include:
        content["layers"] = [*(f"hidden_{n + 1}" for n in range(derivatives.result.layer_norms.shape[1] - 1)), "scores"]
    return Answer(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY))


def _row(served: ServedModel, wanted: ModelRequest, batch: _Batch, row: int) -> dict[str, Any]:
    answer = dict(batch.predictions.result.answers[batch.predictions.start + row])
    answer["method"] = served.card.method
    entries = [_entry(served, batch, row, name) for name in served.model.rows.names]
    entries.sort(key=_weight, reverse=True)
    answer["sensitivities"] = entries[: wanted.top]
    at = batch.derivatives.start + row
    if "jacobian" in wanted.include:
        answer["jacobian"] = np.ascontiguousarray(batch.derivatives.result.jacobian[at])
    if "layers" in wanted.include:
        answer["layer_norms"] = np.ascontiguousarray(batch.derivatives.result.layer_norms[at])
    return answer


def _entry(served: ServedModel, batch: _Batch, row: int, name: str) -> dict[str, Any]:
    rows = served.model.rows
    at = rows.start[name]
    switch = batch.switches.get((row, name))
    if switch is not None:
        return {
            "feature": name,
            "value": rows.level(name, batch.features[row]),
            "gradient": None,
            "effect": None,
            "share": None,
            "switch": switch,
        }
    return {
        "feature": name,
        "value": float(batch.features[row, at]),
        "gradient": float(batch.sensitivity.gradient[row, at]),
        "effect": float(batch.sensitivity.effect[row, at]),
        "share": float(batch.sensitivity.share[row, at]),
    }


def _weight(entry: dict[str, Any]) -> float:
    """What entries are ordered by: a feature's |effect|, a category's largest |change| at a switch of level."""
    if entry["effect"] is None:
        return max(abs(float(change)) for change in entry["switch"].values())
    return abs(float(entry["effect"]))


async def _switches(
    served: ServedModel, features: Matrix, base: Share[Predictions], deadline: float
) -> dict[tuple[int, str], dict[str, float]]:
    """What the reported output would change by, had a category each of its other levels; by row and feature."""
    switched: list[Matrix] = []
    places: list[tuple[int, str, str]] = []
    for feature in served.card.features:
        if not isinstance(feature, CategoricalFeature):
            continue
        start = served.model.rows.start[feature.name]
        for row in range(len(features)):
            for position, level in enumerate(feature.levels):
                if features[row, start + position] == 0.0:
                    other = features[row].copy()
                    other[start : start + len(feature.levels)] = 0.0
                    other[start + position] = 1.0
                    switched.append(other)
                    places.append((row, feature.name, level))
    if not switched:
        return {}
    share = await served.predict(inputs_of(np.stack(switched), 1.0, observe=False), deadline)
    if not share.result.finite[share.start : share.stop].all():
        raise NonFiniteOutput("the model's answer to a switched level is not finite", "instances")
    changes: dict[tuple[int, str], dict[str, float]] = {}
    for position, (row, name, level) in enumerate(places):
        change = _output(share, position, base, row) - float(base.result.diagnosis.value[base.start + row])
        changes.setdefault((row, name), {})[level] = change
    return changes


def _output(share: Share[Predictions], position: int, base: Share[Predictions], row: int) -> float:
    """The reported output at a switched row: for classification, the probability of the original row's label."""
    at = share.start + position
    if base.result.task != "classification" or share.result.probabilities is None:
        return float(share.result.diagnosis.value[at])
    label = int(base.result.diagnosis.label[base.start + row])
    probability: float = share.result.probabilities[at, label].item()
    return probability
