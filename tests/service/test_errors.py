"""The tree of refusals."""

import inspect

from chainzrule.service import errors
from chainzrule.service.errors import ClientLimited, InvalidInput, ServiceError, TooManyFailures

CLASSES = {name: one for name, one in vars(errors).items() if inspect.isclass(one)}


def test_a_refusal_says_where_the_fault_lies_and_what_it_is() -> None:
    placed, bare = InvalidInput("must be a number", "instances[0].height"), InvalidInput("is too much")
    assert (str(placed), placed.detail, placed.place) == (
        "instances[0].height: must be a number", "must be a number", "instances[0].height",
    )  # fmt: skip
    assert (str(bare), bare.detail, bare.place) == ("is too much", "is too much", None)


def test_the_tree_is_the_one_that_is_described() -> None:
    described = [line.split()[1] for line in str(errors.__doc__).splitlines() if line.lstrip()[:1] in ("├", "└")]
    assert described == [name for name in CLASSES if name != "ServiceError"]
    assert all(issubclass(one, ServiceError) for one in CLASSES.values())


def test_what_passes_by_itself_says_when_to_try_again() -> None:
    retried = {name for name, one in CLASSES.items() if hasattr(one("try again"), "retry_after")}
    assert retried == {"ClientLimited", "TooManyFailures", "QueueFull", "Overloaded", "NotReady"}
    assert all(CLASSES[name]("try again").retry_after >= 1 for name in retried)
    assert ClientLimited("send less", retry_after=7).retry_after == 7
    assert TooManyFailures("wait", "here", 9).retry_after == 9
