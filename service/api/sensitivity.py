"""`GET /sensitivity` and `POST /sensitivity`: which inputs each prediction hangs on."""

import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.responses import Response

from chainzrule.service.api.body import read_rows
from chainzrule.service.api.context import Context
from chainzrule.service.api.exchange import Endpoint
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.matrix import MatrixParser
from chainzrule.service.api.predict import require_finite
from chainzrule.service.api.requests import (
    SENSITIVITY_MEMBERS,
    read_query,
    read_request,
    read_row,
    read_timeout,
)
from chainzrule.service.artifact.card import CategoricalFeature
from chainzrule.service.errors import NonFiniteOutput, ServiceError, TooLarge
from chainzrule.service.runtime.model import Predictions
from chainzrule.service.serving.certify import certify, check_certificates, reach
from chainzrule.service.serving.draws import check_draws, sample
from chainzrule.service.serving.engine import Share
from chainzrule.service.serving.measuring import check_measuring, seconds_until
from chainzrule.service.serving.question import Question
from chainzrule.service.serving.version import ServedModel, inputs_of
from chainzrule.service.stability.certificate import flip_factor
from chainzrule.service.stability.constraints import Declared
from chainzrule.service.stability.sensitivity import Sensitivity, sensitivity
from chainzrule.service.stability.verdict import percentile_among

Matrix = NDArray[np.float32]
Floats = NDArray[np.float64]

# What one request may ask for: about 10 MB of answer, and some seconds of runs at most.
MAX_ENTRIES = 2**16
MAX_JACOBIAN = 2**20
MAX_SWITCHES = 2**15
INLINE_ENTRIES = 2**10  # larger answers are put together off the event loop


def get_sensitivity_endpoint(context: Context) -> Endpoint:
    """The endpoint of the GET route."""

    async def get_sensitivity(request: Incoming) -> Response:
        """Sensitivities of one row, given in the query."""
        deadline = context.deadline(read_timeout(request.header(b"x-request-timeout")))
        wanted, text = read_query(request.scope["query_string"])
        served = context.catalog.resolve(wanted.model, wanted.version)
        wanted = wanted._replace(instances=[read_row(text, served.card)])
        try:
            return await _answer(context, served, wanted, deadline)
        except ServiceError as error:
            if error.place is not None:  # the row has the query's name here
                error.place = error.place.replace("instances[0]", "x").replace("instances", "x")
            raise

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
        return await _answer(context, served, wanted, deadline)

    return post_sensitivity


@dataclass(frozen=True)
class _Explanation:
    """Everything about the rows of one request; row r of the request is row r of each array.

    Attributes:
        switches: by categorical feature, (rows, levels) change of the reported output at each level.
        violations: each row's broken constraints.
        draws: each row's measures by Monte-Carlo; empty where nobody asked.
        certificates: what is guaranteed of each row; empty where nobody asked.
    """

    served: ServedModel
    wanted: Question
    features: Matrix
    answers: list[dict[str, Any]]
    jacobian: Matrix
    layer_norms: Matrix
    sensitivity: Sensitivity
    switches: dict[str, Floats]
    violations: list[list[Declared]]
    draws: list[dict[str, Any]]
    certificates: list[dict[str, Any]]

    def content(self) -> bytes:
        """The answer's body."""
        card, rows = self.served.card, self.served.model.rows
        content: dict[str, Any] = {
            "model": card.name,
            "version": card.version,
            "predictions": [self._row(row, order) for row, order in enumerate(self._order().tolist())],
        }
        if "jacobian" in self.wanted.include:
            content["jacobian_axes"] = {"scores": card.score_names(), "columns": rows.column_names}
        if "layers" in self.wanted.include:
            content["layers"] = [*(f"hidden_{n + 1}" for n in range(self.layer_norms.shape[1] - 1)), "scores"]
            if card.reference.layer_norms is not None:
                content["layer_reference"] = [
                    {"mean": layer.mean, **{f"p{q}": layer.quantiles[q] for q in (50, 90, 99)}}
                    for layer in card.reference.layer_norms
                ]
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)

    def _order(self) -> NDArray[np.int64]:
        """(rows, listed) features by what they do to the output: |effect|, or a category's largest switch."""
        rows = self.served.model.rows
        weight = np.abs(self.sensitivity.effect)[:, [rows.start[name] for name in rows.names]]
        for position, name in enumerate(rows.names):
            if name in self.switches:
                weight[:, position] = np.abs(self.switches[name]).max(axis=1)
        return np.argsort(-weight, axis=1, kind="stable")[:, : self.wanted.top]

    def _row(self, row: int, order: list[int]) -> dict[str, Any]:
        names = self.served.model.rows.names
        answer = {
            **self.answers[row],
            "method": self.served.card.method,
            "sensitivities": [self._entry(row, names[position]) for position in order],
        }
        if self.served.constraints.declared:
            answer["violations"] = [
                {"feature": broken.feature, "declared": broken.direction} for broken in self.violations[row]
            ]
        if self.draws:
            answer["monte_carlo"] = self.draws[row]
        if self.certificates:
            answer["certificate"] = self.certificates[row]
        if "jacobian" in self.wanted.include:
            answer["jacobian"] = np.ascontiguousarray(self.jacobian[row])
        if "layers" in self.wanted.include:
            norms, reference = self.layer_norms[row], self.served.card.reference.layer_norms
            answer["layer_norms"] = np.ascontiguousarray(norms)
            if reference is not None:
                answer["layer_percentiles"] = [
                    percentile_among(norm, layer.quantiles)
                    for norm, layer in zip(norms.tolist(), reference, strict=True)
                ]
        return answer

    def _entry(self, row: int, name: str) -> dict[str, Any]:
        rows = self.served.model.rows
        if name in self.switches:
            level = rows.level(name, self.features[row])
            changes = zip(rows.levels(name), self.switches[name][row].tolist(), strict=True)
            return {
                "feature": name,
                "value": level,
                "gradient": None,
                "effect": None,
                "share": None,
                "switch": {other: change for other, change in changes if other != level},
            }
        at = rows.start[name]
        return {
            "feature": name,
            "value": self.features[row, at].item(),
            "gradient": self.sensitivity.gradient[row, at].item(),
            "effect": self.sensitivity.effect[row, at].item(),
            "share": self.sensitivity.share[row, at].item(),
        }


async def _answer(context: Context, served: ServedModel, wanted: Question, deadline: float) -> Response:
    _check_size(served, wanted)
    if wanted.draws:
        seconds = deadline - asyncio.get_running_loop().time()
        check_draws(served, len(wanted.instances), wanted.draws, context.settings.max_draws, seconds)
    certified = wanted.radius is not None or wanted.box is not None
    if certified:
        check_certificates(served, wanted, context.settings.max_certificates)
    features = served.model.rows.encode(wanted.instances)
    check_measuring(served, len(features), context.settings.max_draws, seconds_until(deadline))
    base = await served.predict(inputs_of(features, wanted.noise_scale, observe=False), deadline)
    require_finite(base)
    jacobian = await served.differentiate(features, deadline)
    # Without the layers, nothing: they cost more than all the rest.
    layer_norms = jacobian[:, :0, 0]
    if "layers" in wanted.include:
        layer_norms = await served.layer_norms(features, deadline)
    if not (np.isfinite(jacobian).all() and np.isfinite(layer_norms).all()):
        raise NonFiniteOutput(
            "the derivatives are not finite; a row may lie far outside the training range", "instances"
        )
    part = slice(base.start, base.stop)
    explanation = _Explanation(
        served,
        wanted,
        features,
        base.result.answers[part],
        jacobian,
        layer_norms,
        _sensitivity(served, base.result, part, jacobian, wanted.noise_scale),
        {
            feature.name: await _switch(served, feature, features, base, context.settings.max_batch_rows, deadline)
            for feature in served.card.features
            if isinstance(feature, CategoricalFeature)
        },
        served.violations(jacobian) if served.constraints.declared else [],
        await sample(
            served, features, base.result.scores[part], wanted.noise_scale, wanted.draws, wanted.seed, deadline
        )
        if wanted.draws
        else [],
        await _certify(served, wanted, features, base, jacobian, deadline) if certified else [],
    )
    if len(features) * len(served.model.rows.names) <= INLINE_ENTRIES and not wanted.include:
        return Answer(explanation.content())
    return Answer(await asyncio.to_thread(explanation.content))


def _sensitivity(
    served: ServedModel, batch: Predictions, part: slice, jacobian: Matrix, noise_scale: float
) -> Sensitivity:
    noise, scales = served.model.rows.noise, np.full(len(jacobian), noise_scale)
    if batch.slope is None:
        return sensitivity(batch.diagnosis.gradient[part], jacobian, noise, scales)
    # Draws give the reported output's own slopes: no link to be followed by its tangent.
    slope = batch.slope[part]
    return sensitivity(np.ones((len(slope), 1)), slope[:, None], noise, scales)


async def _certify(
    served: ServedModel,
    wanted: Question,
    features: Matrix,
    base: Share[Predictions],
    jacobian: Matrix,
    deadline: float,
) -> list[dict[str, Any]]:
    part = slice(base.start, base.stop)
    label = base.result.diagnosis.label[part]
    below, above = reach(wanted, served.model.rows, features)
    nearest = flip_factor(served.card.task, base.result.scores[part], jacobian, label, np.maximum(below, above))
    unit = 1.0 if wanted.radius is None else wanted.radius
    return await certify(served, features, label, below, above, nearest, unit, deadline)


def _check_size(served: ServedModel, wanted: Question) -> None:
    """Refuse what would take long or fill memory, before any work."""
    rows, names = len(wanted.instances), len(served.model.rows.names)
    if rows * min(names, wanted.top or names) > MAX_ENTRIES:
        raise TooLarge(f"would be over {MAX_ENTRIES} sensitivities; ask for fewer rows, or a smaller top", "instances")
    if "jacobian" in wanted.include and rows * served.card.scores * served.card.width > MAX_JACOBIAN:
        raise TooLarge(f"would have Jacobians of over {MAX_JACOBIAN} numbers; ask for fewer rows", "instances")
    levels = sum(len(feature.levels) for feature in served.card.features if isinstance(feature, CategoricalFeature))
    if rows * levels > MAX_SWITCHES:
        raise TooLarge(f"would take over {MAX_SWITCHES} switches of level; ask for fewer rows", "instances")


async def _switch(
    served: ServedModel,
    feature: CategoricalFeature,
    features: Matrix,
    base: Share[Predictions],
    chunk: int,
    deadline: float,
) -> Floats:
    """(rows, levels) what the reported output would change by, had every row each of the feature's levels."""
    count, start = len(feature.levels), served.model.rows.start[feature.name]
    switched = np.repeat(features, count, axis=0)
    switched[:, start : start + count] = np.tile(np.eye(count, dtype=np.float32), (len(features), 1))
    label = np.repeat(base.result.diagnosis.label[base.start : base.stop], count)
    outputs = []
    for begin in range(0, len(switched), chunk):
        end = begin + chunk
        share = await served.predict(inputs_of(switched[begin:end], 1.0, observe=False), deadline)
        if not share.result.finite[share.start : share.stop].all():
            raise NonFiniteOutput("the model's answer to a switched level is not finite", "instances")
        outputs.append(_outputs(share, label[begin:end]))
    changed = np.concatenate(outputs).reshape(len(features), count)
    return changed - base.result.diagnosis.value[base.start : base.stop, None]


def _outputs(share: Share[Predictions], label: NDArray[np.int64]) -> Floats:
    """(rows,) the reported output; for classification, the probability of the label that the unswitched row has."""
    part = slice(share.start, share.stop)
    if share.result.task != "classification" or share.result.probabilities is None:
        return share.result.diagnosis.value[part]
    return share.result.probabilities[part][np.arange(len(label)), label].astype(np.float64)
