"""Does work in steps: at once, or in a thread that stops between two steps where nobody waits for the result any more.

Work is a generator that yields after each step of about a millisecond at most, and that returns its result.
"""

import asyncio
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar

Result = TypeVar("Result")
Steps = Generator[None, None, Result]


class StepThread:
    """Does work in one thread: parsing holds the interpreter lock, so further threads would only wait for it.

    Attributes:
        turn: what to hold while work is done that belongs together; others wait for it in the order of their arrival.
    """

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self._executor = ThreadPoolExecutor(1, "bodies")

    async def run(self, steps: Steps[Result]) -> Result:
        """Returns the result of work; where the caller is cancelled, the work stops after its present step."""
        abandoned = Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, _run, steps, abandoned)
        finally:
            abandoned.set()

    def close(self) -> None:
        """Ends the thread, after the step that it does."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def run_steps(steps: Steps[Result]) -> Result:
    """Returns the result of work that is done at once."""
    return _run(steps, Event())


def _run(steps: Steps[Result], abandoned: Event) -> Result:
    while not abandoned.is_set():
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
    steps.close()
    raise asyncio.CancelledError
