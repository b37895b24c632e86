"""Tries a policy on the rows of a table whose truth is known."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.bulk import CHUNK_ROWS, instances_of_chunk
from chainzrule.loaded import Answer, LoadedModel
from chainzrule.service.artifact.features import level_text
from chainzrule.service.policy.policy import ANSWER, Decision, Policy
from chainzrule.service.runtime.spelling import USUAL_MARKS
from chainzrule.tables.table import Chunk, Table, TableError

Floats = NDArray[np.float64]
WITHHELD = ("abstain", "reject")
SHARES = (0.0, 0.01, 0.05, 0.1, 0.2)  # of rows that are withheld, at which errors are stated


@dataclass(frozen=True)
class Trial:
    """Holds what became of each row; arrays are over the rows.

    Attributes:
        own: (rows,) the loss of the model's own answer: 1 for a wrong label, or the distance from the true value.
        loss: (rows,) the loss of the answer that is given, which is another model's after a fallback.
        decisions: what the policy decides; all are to answer where there is no policy.
        doubt: by measure, (rows,) values by which one might withhold rows, the largest first.
        left_out: how many rows have no answer or no truth.
    """

    own: Floats
    loss: Floats
    decisions: list[Decision]
    doubt: Mapping[str, Floats]
    left_out: int

    def of(self, *actions: str) -> NDArray[np.bool_]:
        """Returns (rows,) whether the policy decides on one of these actions."""
        return np.array([decision.action in actions for decision in self.decisions], dtype=np.bool_)

    @property
    def actions(self) -> Counter[str]:
        """Returns the number of rows by action."""
        return Counter(decision.action for decision in self.decisions)

    def cost(self, costs: Mapping[str, float]) -> float:
        """Returns what all rows cost, given what a unit of loss (`error`) and a row of each action cost."""
        given = self.loss[~self.of(*WITHHELD)]
        total = costs.get("error", 0.0) * float(given.sum())
        total += sum(costs.get(action, 0.0) * rows for action, rows in self.actions.items() if action != "review")
        return total + costs.get("review", 0.0) * sum(decision.review for decision in self.decisions)


def try_policy(
    model: LoadedModel,
    table: Table,
    target: str,
    policy: Policy | None,
    fallbacks: Mapping[str, LoadedModel],
    show: Callable[[float, int], None] = lambda share, rows: None,
) -> Trial:
    """Returns what a policy would have done with every row of a table.

    Args:
        model: the model that predicts.
        table: the open table.
        target: the column with the true labels or values.
        policy: the model's policy; None to answer all rows.
        fallbacks: the models that answer instead, by name.
        show: called with the fraction of the file that has been read, 0 to 1, and the number of rows.

    Raises:
        TableError: the table lacks the target, or has no row with an answer and a truth.
    """
    if target not in table.names:
        raise TableError(f"the table has no column '{target}'; it has {', '.join(table.names[:20])}")
    own: list[float] = []
    loss: list[float] = []
    decisions: list[Decision] = []
    doubts: list[dict[str, float]] = []
    seen = left_out = 0
    for chunk in table.chunks(CHUNK_ROWS):
        answers, truths = _answers(model, chunk, table), chunk.column(target)
        others = {name: _answers(other, chunk, table) for name, other in fallbacks.items()}
        left_out += len(chunk.strays)
        for place, truth in enumerate(truths):
            answer = answers.get(place)
            own_loss = None if answer is None else _loss(model, answer, truth)
            if answer is None or own_loss is None:
                left_out += 1
                continue
            decision = ANSWER if policy is None else policy.decide(*_judged(answer))
            given = own_loss
            if decision.action == "fallback":
                other = others.get(decision.model or "", {}).get(place)
                found = None if other is None else _loss(model, other, truth)
                if found is None:
                    decision = decision._replace(action="abstain")
                else:
                    given = found
            own.append(own_loss)
            loss.append(given)
            decisions.append(decision)
            doubts.append(_doubt(answer))
        seen += len(chunk.lines)
        show(table.share, seen)
    if not own:
        raise TableError("no row has both an answer and a truth")
    names = doubts[0]
    doubt = {name: np.array([row.get(name, 0.0) for row in doubts]) for name in names}
    return Trial(np.array(own), np.array(loss), decisions, doubt, left_out)


def errors_by_coverage(doubt: Floats, loss: Floats) -> Floats:
    """Returns (rows,) the mean loss of the 1, 2, ... least doubtful rows; rows of equal doubt count alike.

    Args:
        doubt: (rows,) by which rows would be withheld, the largest first.
        loss: (rows,) of each row.
    """
    order = np.argsort(doubt, kind="stable")
    sorted_doubt, losses = doubt[order], loss[order]
    _, group = np.unique(sorted_doubt, return_inverse=True)
    even = np.bincount(group, losses) / np.bincount(group)  # which of equally doubtful rows is withheld is chance
    found: Floats = np.cumsum(even[group]) / np.arange(1, len(loss) + 1)
    return found


def _answers(model: LoadedModel, chunk: Chunk, table: Table) -> dict[int, Answer]:
    """Returns the answers to the rows that can be answered, by their place in the chunk."""
    matrix, faults = model.encode(instances_of_chunk(chunk, table.names, model))
    places = [place for place in range(len(chunk.lines)) if place not in faults]
    found = zip(places, model.answer(matrix), strict=True)
    return {place: answer for place, answer in found if isinstance(answer, dict)}


def _loss(model: LoadedModel, answer: Answer, truth: Any) -> float | None:
    """Returns the loss of an answer; None where there is no truth."""
    if truth is None or truth != truth or (isinstance(truth, str) and (not truth.strip() or truth in USUAL_MARKS)):
        return None
    if "label" in answer:
        labels = model.card.labels
        known = truth if isinstance(truth, str) else level_text(truth)
        if known not in labels and isinstance(truth, str):
            known = _as_number(truth)
        if known not in labels:
            raise TableError(
                f"the target has a label that {model.card.name} does not know; it knows {', '.join(labels)}"
            )
        return float(answer["label"] != known)
    try:
        return abs(float(truth) - float(answer["value"]))
    except ValueError:
        raise TableError("the target has a value that is no number") from None


def _as_number(text: str) -> str:
    try:
        return level_text(float(text))
    except (ValueError, OverflowError):
        return text


def _judged(answer: Answer) -> tuple[str, Sequence[str]]:
    stability = answer["stability"]
    return stability["verdict"], stability["reasons"]


def _doubt(answer: Answer) -> dict[str, float]:
    stability, novelty = answer["stability"], answer["novelty"]
    found = {}
    if "label" in answer:
        found["probability"] = 1.0 - answer["probabilities"][answer["label"]]
        found["flip_probability"] = stability["flip_probability"]
    found["volatility"] = stability["volatility"]
    if novelty is not None:
        found["novelty"] = novelty["percentile"]
    return found
