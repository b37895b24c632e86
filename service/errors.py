"""Defines the service's errors as one tree that knows no HTTP (`api.problems` gives each a status).

    ServiceError
    ├── MalformedRequest        the body is not what its content type says
    ├── UnsupportedMedia        the content type or encoding is not one the route reads
    ├── Unauthorized            the bearer token is missing or wrong
    ├── TooManyFailures         so many wrong tokens came from this address that it has to wait
    ├── InsufficientScope       the bearer token does not permit it
    ├── Forbidden               the settings do not allow it
    ├── Misdirected             the request was meant for a server of another name
    ├── TooLarge                more bytes or rows than the limits allow
    ├── InvalidInput            well-formed, but not an input of this model; names the place
    ├── UnknownModel            no model of that name
    ├── UnknownVersion          the model has no such version
    ├── NonFiniteOutput         the model answered NaN or infinity
    ├── Rejected                the policy for the model refuses such rows
    ├── NoBounds                the model version has no graph to certify anything with
    ├── ClientLimited           the client has had what it may have for now; try again
    ├── QueueFull               more work queued than the model's bound; try again
    ├── Overloaded              more bytes of requests held than all together may have; try again
    ├── NotReady                the model or the service cannot answer yet, or no longer
    ├── DeadlineExceeded        the caller's or the service's time ran out
    ├── ArtifactError           a model version on disk that must not be served
    ├── KeyFileError            a file that holds no key to sign or to check signatures with
    └── DeviceError             the asked-for device cannot be used

Messages are written for the caller: they name a place and what to do. They never repeat the input's values, and names
of its members only as `naming.shown` does, where they are short and printable.
"""


class ServiceError(Exception):
    """Is the base of the tree; `detail` may be shown to the caller, `place` says where in the request the fault is."""

    def __init__(self, detail: str, place: str | None = None) -> None:
        super().__init__(detail if place is None else f"{place}: {detail}")
        self.detail = detail
        self.place = place


class MalformedRequest(ServiceError):
    """The body cannot be read as what its content type says it is."""


class UnsupportedMedia(ServiceError):
    """The content type or the content encoding is not one that the route reads."""


class Unauthorized(ServiceError):
    """The bearer token that this service asks for is missing or wrong."""


class TooManyFailures(ServiceError):
    """Too many wrong tokens came from this address; `retry_after` is in seconds."""

    def __init__(self, detail: str, place: str | None = None, retry_after: int = 1) -> None:
        super().__init__(detail, place)
        self.retry_after = retry_after


class InsufficientScope(ServiceError):
    """The bearer token is valid, and does not permit what is asked for."""


class Forbidden(ServiceError):
    """The service's settings do not allow this to anybody."""


class Misdirected(ServiceError):
    """The Host header has none of the names by which this service may be called."""


class TooLarge(ServiceError):
    """The request has more bytes or rows than the limits allow."""


class InvalidInput(ServiceError):
    """The request is well-formed but is no input of this model."""


class UnknownModel(ServiceError):
    """No model of that name is in the repository."""


class UnknownVersion(ServiceError):
    """The model has no version of that number that is loaded."""


class NonFiniteOutput(ServiceError):
    """The model's answer holds NaN or infinity, usually because the input lies far outside the training range."""


class Rejected(ServiceError):
    """The policy for the model refuses rows whose answer is of this kind."""


class NoBounds(ServiceError):
    """The model version's artifact has no bounds graph, so that nothing can be certified."""


class ClientLimited(ServiceError):
    """The client has had what it may have for now; `retry_after` is in seconds."""

    def __init__(self, detail: str, place: str | None = None, retry_after: int = 1) -> None:
        super().__init__(detail, place)
        self.retry_after = retry_after


class QueueFull(ServiceError):
    """The model's queue is at its bound; `retry_after` is in seconds."""

    retry_after = 1


class Overloaded(ServiceError):
    """All requests together hold as many bytes as they may; `retry_after` is in seconds."""

    retry_after = 1


class NotReady(ServiceError):
    """The model, or the whole service, cannot answer yet or is going down."""

    retry_after = 1


class DeadlineExceeded(ServiceError):
    """The request's time ran out before its answer was there."""


class ArtifactError(ServiceError):
    """A model version on disk is damaged, inconsistent or of an unknown kind, and must not be served."""


class KeyFileError(ServiceError):
    """A file holds no key of the kind that is needed to sign versions or to check their signatures."""


class DeviceError(ServiceError):
    """The asked-for execution device cannot be used on this machine."""
