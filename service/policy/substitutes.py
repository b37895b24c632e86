"""Has other models answer the rows that a policy gives to them."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from chainzrule.service.errors import DeadlineExceeded, ServiceError
from chainzrule.service.policy.policy import Decision
from chainzrule.service.serving.catalog import Catalog
from chainzrule.service.serving.engine import Share
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.predictions import Measured
from chainzrule.service.stability.unmeasured import Unmeasured

log = logging.getLogger(__name__)

Answered = Share[Measured] | Share[Unmeasured]
# Has a model answer some rows of a question, given by their indices.
Answering = Callable[[ServedModel, Sequence[int]], Awaitable[Answered]]


@dataclass(frozen=True)
class Substitute:
    """Holds one row's answer by another model.

    Attributes:
        served: the model that answers.
        share: its answers to several rows.
        row: the row in the run that the share is of.
    """

    served: ServedModel
    share: Answered
    row: int


async def substitutes(
    served: ServedModel, decisions: list[Decision], catalog: Catalog[ServedModel], answering: Answering
) -> Mapping[int, Substitute]:
    """Returns by row the answers of the models that answer instead.

    Where such a model cannot answer (it is not there, it does not have the same inputs and labels, it is too busy, or
    its answer is not finite), nobody answers: the row's decision becomes to abstain.

    Raises:
        DeadlineExceeded: the deadline passed before the other model answered.
    """
    places: dict[str, list[int]] = {}
    for row, decision in enumerate(decisions):
        if decision.action == "fallback" and decision.model is not None:
            places.setdefault(decision.model, []).append(row)
    found: dict[int, Substitute] = {}
    for model, rows in places.items():
        try:
            other = catalog.resolve(model, None)
            _require_likeness(served, other)
            share = await answering(other, rows)
        except DeadlineExceeded:
            raise
        except ServiceError as error:
            log.warning("the fallback cannot answer", extra={"fallback": model, "reason": error.detail})
            for row in rows:
                decisions[row] = decisions[row]._replace(action="abstain")
            continue
        found |= {row: Substitute(other, share, share.start + number) for number, row in enumerate(rows)}
    return found


def _require_likeness(served: ServedModel, other: ServedModel) -> None:
    """Raises `ServiceError` unless both models take the same inputs and give answers of the same meaning."""
    for what, one, another in (
        ("features", served.model.rows.names, other.model.rows.names),
        ("task", served.card.task, other.card.task),
        ("labels", served.card.labels, other.card.labels),
    ):
        if one != another:
            raise ServiceError(f"its {what} are not those of {served.card.name}")
