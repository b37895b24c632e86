"""Every error that a caller can cause has a status that is not an internal one."""

import pytest

from chainzrule.service import errors
from chainzrule.service.api.problems import PROBLEMS

pytest.importorskip("grpc")

from chainzrule.service.grpc.statuses import CODES, status_of, text_of, trailers_of


@pytest.mark.parametrize("kind", PROBLEMS, ids=lambda kind: kind.__name__)
def test_every_error_has_its_code(kind: type[errors.ServiceError]) -> None:
    error = kind("what to do", "where")
    assert CODES[status_of(error)].name not in ("INTERNAL", "UNKNOWN", "OK")
    assert text_of(error) == "where: what to do"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidInput("x"), "INVALID_ARGUMENT"),
        (errors.TooLarge("x"), "INVALID_ARGUMENT"),
        (errors.UnknownModel("x"), "NOT_FOUND"),
        (errors.QueueFull("x"), "RESOURCE_EXHAUSTED"),
        (errors.ClientLimited("x"), "RESOURCE_EXHAUSTED"),
        (errors.Overloaded("x"), "UNAVAILABLE"),
        (errors.NotReady("x"), "UNAVAILABLE"),
        (errors.DeadlineExceeded("x"), "DEADLINE_EXCEEDED"),
        (errors.Unauthorized("x"), "UNAUTHENTICATED"),
        (errors.Forbidden("x"), "PERMISSION_DENIED"),
        (errors.ArtifactError("x"), "INTERNAL"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, errors.ServiceError) else value,
)
def test_codes_say_what_the_caller_can_do(error: errors.ServiceError, code: str) -> None:
    assert CODES[status_of(error)].name == code


def test_what_may_be_tried_again_says_when() -> None:
    assert trailers_of(errors.ClientLimited("x", retry_after=3)) == (("grpc-retry-pushback-ms", "3000"),)
    assert trailers_of(errors.InvalidInput("x")) == ()
