"""Decides whether and when a question is put again.

Retries of all questions together have a budget, because an overloaded service gets only slower by being asked again.
"""

import random
from dataclasses import dataclass

RETRIED = (429, 503)


@dataclass(frozen=True)
class Retries:
    """Says how often a question may be put again.

    Attributes:
        most: how often one question may be.
        share: how many retries each question adds to the budget: 0.1 lets every tenth question be put again.
        reserve: the most retries that the budget may have, and what it has at first.
        first_wait: the seconds before the first retry, where the service says nothing; each further wait doubles.
        longest_wait: the most seconds before a retry; a service that asks for more is not asked again.
    """

    most: int = 3
    share: float = 0.1
    reserve: float = 10.0
    first_wait: float = 0.1
    longest_wait: float = 10.0


class Budget:
    """Holds how many retries are left to all questions of one client."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._left = retries.reserve

    def asked(self) -> None:
        """Adds a question's share."""
        self._left = min(self._retries.reserve, self._left + self._retries.share)

    def wait(self, attempt: int, retry_after: float | None, left: float) -> float | None:
        """Returns the seconds to wait before a question is put again; None where it is not.

        Args:
            attempt: how often it has been put, from 1.
            retry_after: the seconds that the service asks for; None where it says nothing.
            left: the seconds that the question has left.
        """
        allowed = self._retries
        # Clients that were refused together would otherwise come back together.
        usual: float = allowed.first_wait * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.0)
        seconds = usual if retry_after is None else retry_after + random.uniform(0.0, usual)
        if attempt > allowed.most or seconds > min(left, allowed.longest_wait) or self._left < 1.0:
            return None
        self._left -= 1.0
        return seconds


def seconds_of(header: str | None) -> float | None:
    """Returns the seconds of a Retry-After header; None where there is none, or it is a date."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        return None
    return seconds if 0.0 <= seconds < float("inf") else None
