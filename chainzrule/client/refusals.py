"""Says why a question was not answered."""

from typing import Any

PREFIX = "urn:chainzrule:problem:"


class ClientError(Exception):
    """Is the base of what the client raises."""


class Unreachable(ClientError):
    """The service could not be reached, or ended the connection without an answer."""


class TimedOut(ClientError):
    """The time that the question may take ran out."""


class Refused(ClientError):
    """The service refused to answer.

    Attributes:
        status: the HTTP status.
        kind: the short name of the reason, such as `invalid-input` or `unknown-model`.
        detail: what is wrong, and what to do.
        place: where in the question; None where the fault is in no one place.
        request_id: by which the service's log names the request.
        retry_after: the seconds after which it is worth trying again; None where the service does not say.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        place: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail if place is None else f"{place}: {detail}")
        self.status = status
        self.kind = kind
        self.detail = detail
        self.place = place
        self.request_id = request_id
        self.retry_after = retry_after


def refused(status: int, document: Any, request_id: str | None, retry_after: float | None) -> Refused:
    """Returns the refusal in an answer: a problem, the inference protocol's error, or some proxy's page."""
    if not isinstance(document, dict):
        document = {}
    kind = str(document.get("type", "")).removeprefix(PREFIX) or f"status-{status}"
    detail = document.get("detail") or document.get("error") or f"the answer has the status {status} and no reason"
    return Refused(status, kind, str(detail), document.get("place"), request_id, retry_after)
