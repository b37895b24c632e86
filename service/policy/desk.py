"""Applies the policies in force to answers: decides, counts, sends for review, and has other models answer."""

import datetime
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainzrule.service.errors import Rejected
from chainzrule.service.policy.policy import Decision, Policy
from chainzrule.service.policy.policyfile import PolicyFile
from chainzrule.service.policy.reviews import Reviews
from chainzrule.service.policy.substitutes import Answered, Answering, Substitute, substitutes
from chainzrule.service.serving.catalog import Catalog
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.telemetry.logs import request_id

# Returns one row of a question by its index, as it was sent.
Sent = Callable[[int], Any]


@dataclass(frozen=True)
class Decided:
    """Holds what was decided about the rows of one question.

    Attributes:
        decisions: one for each row.
        substitutes: by row, the answer of the model that answers instead.
    """

    decisions: list[Decision]
    substitutes: Mapping[int, Substitute]


class Desk:
    """Holds what applying policies takes.

    Attributes:
        reviews: sends rows to people.
    """

    def __init__(self, file: PolicyFile, catalog: Catalog[ServedModel]) -> None:
        self.reviews = Reviews()
        self._file = file
        self._catalog = catalog

    def policy(self, served: ServedModel) -> Policy | None:
        """Returns the policy of a model; None where its answers are given as they are."""
        return self._file.policies.of(served.card.name)

    async def decided(
        self,
        served: ServedModel,
        policy: Policy,
        share: Answered,
        sent: Sent,
        observe: bool,
        answering: Answering,
        place: str = "instances",
    ) -> Decided:
        """Returns what is decided about a question's rows, with the answers of the models that answer instead.

        The decisions are counted as they are in the end, and the rows that a person is to look at are sent.

        Args:
            served: the model that answered.
            policy: its policy.
            share: its answers.
            sent: gives the rows, for review.
            observe: whether the question counts as traffic; others are not counted, and nobody reviews their rows.
            answering: has another model answer some of the rows.
            place: what the question calls its rows.

        Raises:
            Rejected: a row is rejected, and with it the question.
            DeadlineExceeded: the deadline passed before the other model answered.
        """
        judged = list(share.result.judged(slice(share.start, share.stop)))
        decisions = [policy.decide(verdict, reasons) for verdict, reasons in judged]
        found: Mapping[int, Substitute] = {}
        if not any(decision.action == "reject" for decision in decisions):  # else nobody gets an answer
            found = await substitutes(served, decisions, self._catalog, answering)
        if observe:
            self.reviews.send_to(self._file.policies.destination)
            served.count_decisions(Counter(decision.action for decision in decisions))
            for row, decision in enumerate(decisions):
                if decision.review:
                    self.reviews.add(self._record(served, share, row, judged[row][0], decision, sent))
        _require_none_rejected(decisions, place)
        return Decided(decisions, found)

    def _record(
        self,
        served: ServedModel,
        share: Answered,
        row: int,
        verdict: str,
        decision: Decision,
        sent: Sent,
    ) -> dict[str, Any]:
        """Returns one row as it is sent for review."""
        card, place = served.card, share.start + row
        record: dict[str, Any] = {
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            "request_id": request_id.get(),
            "row": row,
            "model": card.name,
            "version": card.version,
            "verdict": verdict,
            "action": decision.action,
            "causes": decision.causes,
        }
        if served.model.link.has_labels:
            record["label"] = card.labels[int(share.result.label[place])]
        if served.model.link.has_value:
            record["value"] = float(share.result.value[place])
        if self.reviews.takes_inputs:
            record["inputs"] = sent(row)
        return record


def decide(policy: Policy, share: Answered, place: str) -> list[Decision]:
    """Returns the decisions about rows that are no traffic, so that they are neither counted nor reviewed.

    Raises:
        Rejected: a row is rejected, and with it the question.
    """
    decisions = [policy.decide(*judged) for judged in share.result.judged(slice(share.start, share.stop))]
    _require_none_rejected(decisions, place)
    return decisions


def _require_none_rejected(decisions: Sequence[Decision], place: str) -> None:
    for row, decision in enumerate(decisions):
        if decision.action == "reject":
            causes = " and ".join(decision.causes)
            raise Rejected(f"the policy for this model refuses rows whose answer is {causes}", f"{place}[{row}]")
