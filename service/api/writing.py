"""Writes large answers beside the event loop, by the thread that also reads large bodies."""

import asyncio

from chainzrule.service.api.bodies.steps import Steps
from chainzrule.service.api.incoming import Incoming
from chainzrule.service.errors import DeadlineExceeded


async def write(request: Incoming, steps: Steps[bytes], deadline: float) -> bytes:
    """Returns the body of an answer, which is written in steps; `deadline` is by the event loop's clock.

    Raises:
        DeadlineExceeded: the body was not written by the deadline.
    """
    try:
        async with asyncio.timeout_at(deadline):
            return await request.reading.thread.run(steps)
    except TimeoutError:
        raise DeadlineExceeded("the request's time ran out before its answer was written") from None
