"""Gives the service's errors their gRPC statuses."""

from grpc import StatusCode

from chainzrule.service.api.problems import PROBLEMS
from chainzrule.service.errors import ServiceError

CANCELLED = 499
INTERNAL = 500
# By the status that the same error has by HTTP. What stays too large however often it is sent is an invalid argument:
# clients may send again what only exhausted a resource.
CODES = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    413: StatusCode.INVALID_ARGUMENT,
    415: StatusCode.INVALID_ARGUMENT,
    421: StatusCode.PERMISSION_DENIED,
    422: StatusCode.INVALID_ARGUMENT,
    429: StatusCode.RESOURCE_EXHAUSTED,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
    INTERNAL: StatusCode.INTERNAL,
}
_RETRY = "grpc-retry-pushback-ms"  # by which gRPC's clients know when to try again
Trailer = tuple[str, str]


def status_of(error: ServiceError) -> int:
    """Returns the status that an error has by HTTP, with which the metrics count both doors alike."""
    return PROBLEMS.get(type(error), (INTERNAL, ""))[0]


def text_of(error: ServiceError) -> str:
    """Returns what an error says to the caller."""
    return error.detail if error.place is None else f"{error.place}: {error.detail}"


def trailers_of(error: ServiceError) -> tuple[Trailer, ...]:
    """Returns what is sent behind an error, which says when it is worth trying again."""
    seconds = getattr(error, "retry_after", None)
    return () if seconds is None else ((_RETRY, str(1000 * seconds)),)
