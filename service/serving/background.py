"""Runs blocking work in a thread that does not keep the process from ending, unlike those of asyncio's own pool."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


async def in_background(
    work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """Returns what `work` returns, or raises what it raises. A thread whose caller was cancelled runs on unheard."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(how: Callable[[Any], None], outcome: Any) -> None:
        if not future.done():
            how(outcome)

    def run() -> None:
        how: Callable[[Any], None] = future.set_result
        outcome: Any
        try:
            outcome = work(*arguments, **named)
        except BaseException as error:
            how, outcome = future.set_exception, error
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(settle, how, outcome)

    threading.Thread(target=run, daemon=True).start()
    return await future
