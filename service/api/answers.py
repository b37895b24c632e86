"""Writes predictions and explanations as JSON. This is the only place where such answers are written."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import orjson

from chainzrule.service.api.bodies.steps import Steps
from chainzrule.service.serving.certify import Certificates
from chainzrule.service.serving.draws import Counted
from chainzrule.service.serving.engine import Share
from chainzrule.service.serving.explain import Explanation
from chainzrule.service.serving.question import Question
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.certificate import Ends
from chainzrule.service.stability.conformal import ListedRegion
from chainzrule.service.stability.lone.reference import percentile
from chainzrule.service.stability.montecarlo import Estimate
from chainzrule.service.stability.predictions import Listed, Measured, Predictions
from chainzrule.service.stability.standard import Standard
from chainzrule.service.stability.unmeasured import Unmeasured
from chainzrule.service.stability.verdict import VERDICTS

Row = dict[str, Any]
STEP_ROWS = 64  # rows whose answers are written in a fraction of a millisecond


def predictions_body(served: ServedModel, question: Question, share: Share[Measured] | Share[Unmeasured]) -> bytes:
    """Returns the body that answers a question for predictions."""
    rows = prediction_rows(share.result, served.card.labels)
    return orjson.dumps(_content(served, question, rows[share.start : share.stop]))


def large_predictions_body(
    served: ServedModel, question: Question, share: Share[Measured] | Share[Unmeasured]
) -> Steps[bytes]:
    """Writes the body that answers a question for many predictions, `STEP_ROWS` rows a step."""
    predictions: Predictions = share.result
    rows = predictions.written
    if rows is None:
        rows, listed = [], iter(predictions.listed())
        while part := _write(islice(listed, STEP_ROWS), predictions.standard, served.card.labels):
            rows += part
            yield
        predictions.written = rows
    parts = []
    for start in range(share.start, share.stop, STEP_ROWS):
        parts.append(orjson.dumps(rows[start : min(start + STEP_ROWS, share.stop)])[1:-1])
        yield
    return orjson.dumps(_content(served, question, orjson.Fragment(b"[%s]" % b",".join(parts))))


def _content(served: ServedModel, question: Question, predictions: Any) -> Row:
    return {
        "model": served.card.name,
        "version": served.card.version,
        "method": served.card.method,
        "confidence": question.confidence,
        "predictions": predictions,
    }


def prediction_rows(predictions: Predictions, labels: tuple[str, ...]) -> list[Row]:
    """Returns every row of a run as answers give it; the rows are made once for all requests of the run."""
    if predictions.written is None:
        predictions.written = _write(predictions.listed(), predictions.standard, labels)
    rows: list[Row] = predictions.written
    return rows


def _write(listed: Iterable[Listed], standard: Standard, labels: tuple[str, ...]) -> list[Row]:
    has_labels, has_value = standard.link.has_labels, standard.link.has_value
    answers: list[Row] = []
    # Lists that belong together have one length here; making `zip` check that takes as long as all of its work.
    for label, value, probabilities, region, novelty, outside, stability in listed:
        answer: Row = {}
        if has_labels:
            answer["label"] = labels[label]
        if has_value:
            answer["value"] = value
        if probabilities is not None:
            answer["probabilities"] = dict(zip(labels, probabilities))  # noqa: B905
        if has_labels:
            answer["set"] = _labels(region, labels)
        else:
            answer["interval"] = region
        if novelty is None:
            answer["novelty"] = None
        else:
            rank, features = novelty
            answer["novelty"] = {"percentile": rank, "features": features}
        if stability is None:
            answer["stability"] = {"verdict": "not_computed", "out_of_range": outside}
        else:
            level, reasons, members = stability
            written: Row = {"verdict": VERDICTS[level], "reasons": reasons}
            written.update(zip(standard.member_names, members))  # noqa: B905
            for name in standard.label_members:
                written[name] = labels[written[name]]
            written["out_of_range"] = outside
            answer["stability"] = written
        answers.append(answer)
    return answers


def _labels(region: ListedRegion, labels: tuple[str, ...]) -> list[str] | None:
    return None if region is None else [labels[included] for included in region]


def _rows(members: dict[str, list[Any]]) -> list[Row]:
    """Returns one object for each row, from members that are lists over the rows."""
    return [dict(zip(members, row, strict=True)) for row in zip(*members.values(), strict=True)]


def explanation_body(served: ServedModel, question: Question, explanation: Explanation) -> Steps[bytes]:
    """Writes the body that answers a question for explanations, one row a step."""
    explained = _Explained(served, question, explanation)
    rows: list[orjson.Fragment] = []
    for row, order in enumerate(explained.order()):
        rows.append(orjson.Fragment(orjson.dumps(explained.row(row, order), option=orjson.OPT_SERIALIZE_NUMPY)))
        yield
    return orjson.dumps(explained.content(rows))


class _Explained:
    """Writes one explanation."""

    def __init__(self, served: ServedModel, question: Question, explanation: Explanation) -> None:
        self._card = served.card
        self._encoder = served.model.rows
        self._names = served.model.link.names(served.card.labels, served.card.target)
        self._question = question
        self._explanation = explanation
        share = explanation.share
        self._answers = prediction_rows(share.result, served.card.labels)[share.start : share.stop]
        self._counted = explanation.counted
        self._certificates: list[Row] | None = None
        if explanation.certificates is not None:
            regions = share.result.regions_within(explanation.certificates.conclusions, slice(share.start, share.stop))
            self._certificates = _certificates(explanation.certificates, regions, self._names, served.card.labels)

    def content(self, rows: list[orjson.Fragment]) -> Row:
        card = self._card
        content: Row = {
            "model": card.name,
            "version": card.version,
            "confidence": self._question.confidence,
            "predictions": rows,
        }
        if "jacobian" in self._question.include:
            content["jacobian_axes"] = {"scores": self._names, "columns": self._encoder.column_names}
        if "layers" in self._question.include:
            layers = self._explanation.layer_norms.shape[1]
            content["layers"] = [*(f"hidden_{n + 1}" for n in range(layers - 1)), "scores"]
            if card.reference.layer_norms is not None:
                content["layer_reference"] = [
                    {"mean": layer.mean, **{f"p{q}": layer.quantiles[q] for q in (50, 90, 99)}}
                    for layer in card.reference.layer_norms
                ]
        return content

    def order(self) -> list[list[int]]:
        return self._explanation.order(self._encoder, self._question.top)

    def row(self, row: int, order: list[int]) -> Row:
        explanation, include = self._explanation, self._question.include
        answer = {
            **self._answers[row],
            "method": self._card.method,
            "sensitivities": [self._entry(row, self._encoder.names[position]) for position in order],
        }
        if explanation.violations is not None:
            answer["violations"] = [
                {"feature": broken.feature, "declared": broken.direction} for broken in explanation.violations[row]
            ]
        if self._counted is not None:
            answer["monte_carlo"] = _counted(self._counted[row], self._question)
        if self._certificates is not None:
            answer["certificate"] = self._certificates[row]
        if "jacobian" in include:
            answer["jacobian"] = explanation.jacobian[row]
        if "layers" in include:
            norms, reference = explanation.layer_norms[row], self._card.reference.layer_norms
            answer["layer_norms"] = norms
            if reference is not None:
                answer["layer_percentiles"] = [
                    percentile(norm, layer) for norm, layer in zip(norms.tolist(), reference, strict=True)
                ]
        return answer

    def _entry(self, row: int, name: str) -> Row:
        encoder, explanation = self._encoder, self._explanation
        if name in explanation.switches:
            level = encoder.level(name, explanation.features[row])
            changes = zip(encoder.levels(name), explanation.switches[name][row].tolist(), strict=True)
            return {
                "feature": name,
                "value": level,
                "gradient": None,
                "effect": None,
                "share": None,
                "switch": {other: change for other, change in changes if other != level},
            }
        at, sensitivity = encoder.start[name], explanation.sensitivity
        return {
            "feature": name,
            "value": explanation.features[row, at].item(),
            "gradient": sensitivity.gradient[row, at].item(),
            "effect": sensitivity.effect[row, at].item(),
            "share": sensitivity.share[row, at].item(),
        }


def _counted(counted: Counted, question: Question) -> Row:
    answer = {"draws": question.draws, "seed": question.seed, **_estimate("volatility", counted.volatility)}
    if counted.flip_probability is not None:
        answer |= _estimate("flip_probability", counted.flip_probability)
    return answer


def _estimate(name: str, estimate: Estimate) -> Row:
    return {name: estimate.value, f"{name}_interval": [estimate.low, estimate.high]}


def _certificates(
    found: Certificates, regions: Sequence[ListedRegion], names: list[str], labels: tuple[str, ...]
) -> list[Row]:
    conclusions = found.conclusions
    parts: dict[str, list[Any]] = {"scores": _named(names, (found.bounds.lower, found.bounds.upper))}
    if conclusions.certain is not None:
        parts["label_is_certain"] = conclusions.certain.tolist()
    if found.largest is not None:
        parts["largest"] = found.largest
    if conclusions.probabilities is not None:
        parts["probabilities"] = _named(labels, conclusions.probabilities)
    if conclusions.value is not None:
        parts["value"] = _ranges(conclusions.value)
    if conclusions.levels is not None:
        lowest, highest = conclusions.levels
        reached = zip(lowest.tolist(), highest.tolist(), strict=True)
        parts["labels"] = [list(labels[first : last + 1]) for first, last in reached]
    if labels:
        parts["set"] = [_labels(region, labels) for region in regions]
    else:
        parts["interval"] = list(regions)
    return _rows(parts)


def _named(names: Sequence[str], ends: Ends) -> list[Row]:
    return [dict(zip(names, _ranges((low, high)), strict=True)) for low, high in zip(*ends, strict=True)]


def _ranges(ends: Ends) -> list[tuple[float, float]]:
    """Returns each row's minimum and maximum as a pair; values that are not finite become null in JSON."""
    low, high = ends
    return list(zip(low.tolist(), high.tolist(), strict=True))
