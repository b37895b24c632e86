"""Writes predictions as JSON. This is the only place where they are written."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import orjson

from chainzrule.service.api.bodies.steps import Steps
from chainzrule.service.serving.engine import Share
from chainzrule.service.serving.question import Question
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.conformal import ListedRegion
from chainzrule.service.stability.predictions import Listed, Measured, Predictions
from chainzrule.service.stability.standard import Standard
from chainzrule.service.stability.unmeasured import Unmeasured
from chainzrule.service.stability.verdict import NOT_COMPUTED, VERDICTS

Row = dict[str, Any]
STEP_ROWS = 64  # rows whose answers are written in a fraction of a millisecond


def predictions_body(served: ServedModel, question: Question, share: Share[Measured] | Share[Unmeasured]) -> bytes:
    """Returns the body that answers a question for predictions."""
    rows = prediction_rows(share.result, served.card.labels)
    return orjson.dumps(content(served, question, rows[share.start : share.stop]))


def large_predictions_body(
    served: ServedModel, question: Question, share: Share[Measured] | Share[Unmeasured]
) -> Steps[bytes]:
    """Writes the body that answers a question for many predictions, `STEP_ROWS` rows a step."""
    rows = yield from rows_in_steps(share.result, served.card.labels)
    parts = []
    for start in range(share.start, share.stop, STEP_ROWS):
        parts.append(orjson.dumps(rows[start : min(start + STEP_ROWS, share.stop)])[1:-1])
        yield
    return orjson.dumps(content(served, question, orjson.Fragment(b"[%s]" % b",".join(parts))))


def rows_in_steps(predictions: Predictions, labels: tuple[str, ...]) -> Steps[list[Row]]:
    """Writes every row of a run as `prediction_rows` does, `STEP_ROWS` rows a step."""
    rows: list[Row] | None = predictions.written
    if rows is None:
        rows, listed = [], iter(predictions.listed())
        while part := _write(islice(listed, STEP_ROWS), predictions.standard, labels):
            rows += part
            yield
        predictions.written = rows
    return rows


def content(served: ServedModel, question: Question, predictions: Any) -> Row:
    """Returns the answer to a question for predictions, which are given as they are to be written."""
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
            answer["set"] = region_labels(region, labels)
        else:
            answer["interval"] = region
        if novelty is None:
            answer["novelty"] = None
        else:
            rank, features = novelty
            answer["novelty"] = {"percentile": rank, "features": features}
        if stability is None:
            answer["stability"] = {"verdict": NOT_COMPUTED, "out_of_range": outside}
        else:
            level, reasons, method, members = stability
            written: Row = {"verdict": VERDICTS[level], "reasons": reasons, "method": method}
            written.update(zip(standard.member_names, members))  # noqa: B905
            for name in standard.label_members:
                place = written[name]
                written[name] = None if place is None else labels[place]
            written["out_of_range"] = outside
            answer["stability"] = written
        answers.append(answer)
    return answers


def region_labels(region: ListedRegion, labels: tuple[str, ...]) -> list[str] | None:
    """Returns the labels of a set; None where there is none."""
    return None if region is None else [labels[included] for included in region]
