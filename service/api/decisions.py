"""Writes predictions as JSON where a policy decides about them."""

from typing import Any

import orjson

from chainzrule.service.api.answers import STEP_ROWS, Row, content, prediction_rows, rows_in_steps
from chainzrule.service.api.bodies.steps import Steps
from chainzrule.service.policy.desk import Decided
from chainzrule.service.policy.policy import Decision
from chainzrule.service.policy.substitutes import Answered, Substitute
from chainzrule.service.serving.question import Question
from chainzrule.service.serving.version import ServedModel

# The members of a prediction that say what the model answers.
ANSWERING = ("label", "value", "probabilities", "set", "interval")


def decided_body(served: ServedModel, question: Question, share: Answered, decided: Decided) -> Steps[bytes]:
    """Writes the body that answers a question about whose rows a policy has decided, `STEP_ROWS` rows a step."""
    rows = (yield from rows_in_steps(share.result, served.card.labels))[share.start : share.stop]
    written = []
    for start in range(0, len(rows), STEP_ROWS):
        part = range(start, min(start + STEP_ROWS, len(rows)))
        written += [_row(rows[row], decided.decisions[row], decided.substitutes.get(row)) for row in part]
        yield
    return orjson.dumps(content(served, question, written))


def _row(row: Row, decision: Decision, substitute: Substitute | None) -> Row:
    if substitute is not None:
        other = substitute.served.card
        row = prediction_rows(substitute.share.result, other.labels)[substitute.row]
        return {**row, "decision": {**described(decision), "model": other.name, "version": other.version}}
    return {**(withheld(row) if decision.withholds else row), "decision": described(decision)}


def described(decision: Decision) -> dict[str, Any]:
    """Returns a decision as answers give it."""
    return {"action": decision.action, "causes": decision.causes, "review": decision.review}


def withheld(row: Row) -> Row:
    """Returns a prediction without what the model answers; how stable and how novel it is stays."""
    kept: Row = {name: None if name in ANSWERING else value for name, value in row.items()}
    if "runner_up" in kept["stability"]:
        kept["stability"] = {**kept["stability"], "runner_up": None}
    return kept
