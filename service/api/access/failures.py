"""Slows down who sends wrong tokens, and says so in the log without their text."""

import logging
import math
import time
from collections.abc import Callable

from chainzrule.service.api.access.buckets import MOST, Buckets
from chainzrule.service.errors import ServiceError, TooManyFailures, Unauthorized

log = logging.getLogger(__name__)

ALLOWED = 10  # wrong tokens of one address before it has to wait
MINUTE = 60.0  # seconds in which that many are forgiven
LINE_SECONDS = 10.0  # between two lines of the log, however many addresses there are


class Failures:
    """Counts wrong tokens by address. A right token is never counted, and passes from any address.

    Args:
        count: called once for every wrong token.
        most: how many addresses are kept.
        clock: tells the seconds.
    """

    def __init__(
        self, count: Callable[[], None], most: int = MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._buckets = Buckets(ALLOWED / MINUTE, ALLOWED, most, clock)
        self._count = count
        self._clock = clock
        self._silent_until = -math.inf
        self._unsaid = 0

    def refusal(self, address: str) -> ServiceError:
        """Records a wrong token, and returns the error with which its request is refused."""
        self._count()
        self._say(address)
        wait = self._buckets.wait(address)
        if wait:
            return TooManyFailures(
                "too many wrong tokens came from this address; wait, or send a right one", retry_after=math.ceil(wait)
            )
        self._buckets.draw(address, 1.0)
        return Unauthorized("this token is not valid; it may be misspelt or withdrawn")

    def _say(self, address: str) -> None:
        now = self._clock()
        self._unsaid += 1
        if now >= self._silent_until:
            log.warning("wrong tokens", extra={"address": address, "tokens": self._unsaid})
            self._unsaid = 0
            self._silent_until = now + LINE_SECONDS
