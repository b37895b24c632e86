"""Writes the metrics out beside the event loop, once for all scrapes that wait."""

import asyncio
from concurrent.futures import Executor

from chainzrule.service.api.compression import packed
from chainzrule.service.api.incoming import Answer
from chainzrule.service.telemetry.metrics import Metrics


class Scrapes:
    """Answers scrapes. Those that ask for the same while an earlier one is written share the next.

    Args:
        metrics: the application's metrics.
        writer: has the thread in which they are written out.
    """

    def __init__(self, metrics: Metrics, writer: Executor) -> None:
        self._metrics = metrics
        self._writer = writer
        self._turn = asyncio.Lock()
        self._next: dict[tuple[str, bool], asyncio.Task[Answer]] = {}

    async def answer(self, accept: str, compress: bool) -> Answer:
        """Returns the metrics as they are at some moment after this call began."""
        wanted = (accept, compress)
        task = self._next.get(wanted)
        if task is None:
            task = self._next[wanted] = asyncio.create_task(self._write(wanted))
        return await asyncio.shield(task)  # others may wait for it too

    async def _write(self, wanted: tuple[str, bool]) -> Answer:
        accept, compress = wanted
        async with self._turn:
            del self._next[wanted]  # who comes from now on is told of a later moment
            snapshot = self._metrics.registry.snapshot()

            def write() -> Answer:
                content, content_type = snapshot.text(accept)
                return packed(content, content_type.encode(), compress)

            return await asyncio.get_running_loop().run_in_executor(self._writer, write)
