"""Defines the error of this package, raised for data that cannot be trained on."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """Holds one thing that stands in the way of training.

    Attributes:
        text: names the file or column, and says what to do about it.
        flags: the arguments of `chainzrule fit` each of which removes it, the likeliest first.
        column: the column that could be left out instead; None where that would not help.
    """

    text: str
    flags: tuple[str, ...] = ()
    column: str | None = None


class DataError(ValueError):
    """Reports data that cannot be trained on; the message names the file or column and says what to do about it.

    Attributes:
        problems: what the message says, one by one.
    """

    def __init__(self, message: str, *flags: str, column: str | None = None, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems) or (Problem(message, flags, column),)


def all_of(problems: Sequence[Problem]) -> DataError:
    """Returns one error for several problems, one a line."""
    return DataError("\n".join(problem.text for problem in problems), problems=problems)
