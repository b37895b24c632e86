"""Decides when and in which batch work is run.

Work that takes well under a millisecond runs on the event loop itself, because handing it to a thread costs more than
the run; requests that arrive in the same turns of the loop are joined in one run. Larger work goes to the one worker
thread, whose next batch is whatever was queued while it was busy. No timer gathers batches, so nothing waits while the
engine is idle; and the worker takes its batches itself, so that an event loop busy with refusals does not delay it.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from chainzrule.service.errors import DeadlineExceeded, QueueFull

Work = TypeVar("Work")
Result = TypeVar("Result")


# The most turns of the event loop in which requests are gathered for one run; it ends at a turn that brings none. After
# a run for one request alone, further turns are not waited for, because there is likely just one client.
GATHERING_TURNS = 4


# Whoever pays for the runs of the request that is being answered: called with seconds, also where its client has left.
payer: ContextVar[Callable[[float], None] | None] = ContextVar("payer", default=None)


@dataclass(frozen=True)
class Cost:
    """Estimates the seconds that a run takes, as a fixed part and one for each row."""

    base: float
    row: float

    def __call__(self, rows: int) -> float:
        """Returns the estimate for a batch of so many rows."""
        return self.base + self.row * rows


@dataclass(frozen=True)
class Limits:
    """Holds the limits of an engine.

    Attributes:
        inline_seconds: the longest expected time of a run on the event loop; 0 sends every run to the worker.
        max_batch_rows: the number of rows up to which requests are joined; a single request may be larger.
        max_queue_rows: the number of rows that may wait; further requests are refused.
    """

    inline_seconds: float = 0.001
    max_batch_rows: int = 1024
    max_queue_rows: int = 16384


@dataclass(frozen=True)
class Share(Generic[Result]):
    """Holds one request's part of a batch's result, rows `start` to `stop`, and the `seconds` that the run took."""

    result: Result
    start: int
    stop: int
    seconds: float

    def __len__(self) -> int:
        return self.stop - self.start


def measure_cost(run: Callable[[int], object], rows: int = 64, repeats: int = 5) -> Cost:
    """Returns the cost of `run(rows)`: the shortest of several times for one and for many rows, after a first call."""
    fastest = {}
    for count in (1, rows):
        run(count)
        times = []
        for _ in range(repeats):
            begin = time.perf_counter()
            run(count)
            times.append(time.perf_counter() - begin)
        fastest[count] = min(times)
    row = max(0.0, (fastest[rows] - fastest[1]) / (rows - 1))
    return Cost(max(0.0, fastest[1] - row), row)


@dataclass(eq=False, slots=True)
class _Request(Generic[Work, Result]):
    work: Work
    rows: int
    deadline: float
    future: "asyncio.Future[Share[Result]]"
    pay: Callable[[float], None] | None
    timer: asyncio.TimerHandle | None = field(default=None)


class Engine(Generic[Work, Result]):
    """Runs one kind of work for one model version. Its methods must be called on the event loop's thread.

    It needs no closing: requests in progress refer to their engine, and its thread ends when the last of them is done.
    """

    def __init__(
        self,
        run: Callable[[Work], Result],
        join: Callable[[Sequence[Work]], Work],
        cost: Cost,
        limits: Limits,
        done: Callable[[Result, int, float], None],
    ) -> None:
        """Makes an idle engine.

        Args:
            run: does the work of one batch; called on the event loop or on the worker thread, never concurrently.
            join: joins the work of several requests in one batch.
            cost: estimates how long a run takes.
            limits: the engine's limits.
            done: called on the event loop with each batch's result, rows and seconds, after its requests have resumed.
        """
        self._run = run
        self._join = join
        self._cost = cost
        self._limits = limits
        self._done = done
        # The lock guards what both threads use: the queue, the number of its rows and whether the worker is busy.
        self._lock = threading.Lock()
        self._queue: deque[_Request[Work, Result]] = deque()
        self._queued_rows = 0
        self._scheduled = False
        self._busy = False
        self._gathers = True  # whether the last batch had several requests, or there was none yet
        self._worker: ThreadPoolExecutor | None = None

    @property
    def depth(self) -> int:
        """Returns the number of requests that wait."""
        return len(self._queue)

    def require_room(self, rows: int) -> None:
        """Raises `QueueFull` where so many rows may not wait; callers may ask before they prepare the work."""
        if self._queue and self._queued_rows + rows > self._limits.max_queue_rows:
            raise QueueFull("too much work is waiting for this model; try again later")

    async def submit(self, work: Work, rows: int, deadline: float) -> Share[Result]:
        """Runs `rows` rows of work; returns its share of the batch's result. `deadline` is by the event loop's clock.

        Raises:
            QueueFull: too many rows wait already.
            DeadlineExceeded: the deadline passed first; work that has not started is dropped.
        """
        self.require_room(rows)
        loop = asyncio.get_running_loop()
        request = _Request(work, rows, deadline, loop.create_future(), payer.get())
        with self._lock:
            self._queue.append(request)
            self._queued_rows += rows
            busy = self._busy
        if busy:
            request.timer = loop.call_at(deadline, self._expire, request)
        else:
            self._schedule(loop)
        try:
            return await request.future
        except asyncio.CancelledError:
            self._drop(request)
            raise
        finally:
            del request  # breaks the cycle of an error, whose traceback refers to this frame, and the request's future

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        # call_soon runs after all callbacks that are ready in this turn, whose requests join the batch.
        if not self._scheduled:
            self._scheduled = True
            if self._gathers:
                loop.call_soon(self._gather, loop, 0, GATHERING_TURNS)
            else:
                loop.call_soon(self._turn, loop)

    def _gather(self, loop: asyncio.AbstractEventLoop, seen: int, turns: int) -> None:
        # While requests arrive, wait one more turn, so that those which the loop reads from its sockets join too.
        if len(self._queue) > seen and turns > 0:
            loop.call_soon(self._gather, loop, len(self._queue), turns - 1)
        else:
            self._turn(loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False
        with self._lock:
            if self._busy:
                return
            batch, late, rows = self._take(loop.time())
            inline = self._cost(rows) <= self._limits.inline_seconds
            self._busy = bool(batch) and not inline
            waiting = tuple(self._queue)
        self._gathers = len(batch) > 1
        for request in late:
            self._expire(request)
        if batch and inline:
            if waiting:
                self._schedule(loop)
            self._finish(loop, batch, self._execute(batch))
        elif batch:
            for request in (*batch, *waiting):
                request.timer = loop.call_at(request.deadline, self._expire, request)
            if self._worker is None:
                self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
            self._worker.submit(self._work, loop, batch)

    def _work(self, loop: asyncio.AbstractEventLoop, batch: list[_Request[Work, Result]]) -> None:
        """Runs this batch on the worker thread, and then what has been queued meanwhile, until the queue is empty."""
        while batch:
            outcome = self._execute(batch)
            done = batch
            with self._lock:
                batch, late, _ = self._take(loop.time())
                self._busy = bool(batch)
            with contextlib.suppress(RuntimeError):  # the loop may be closed, and then nobody waits any more
                loop.call_soon_threadsafe(self._finish, loop, done, outcome)
                for request in late:
                    loop.call_soon_threadsafe(self._expire, request)
            del outcome, done, late  # frees requests and answers while the next batch runs

    def _take(self, now: float) -> tuple[list[_Request[Work, Result]], list[_Request[Work, Result]], int]:
        """Returns the next batch, the requests whose time ran out before it, and the batch's number of rows.

        The caller holds the lock.
        """
        batch: list[_Request[Work, Result]] = []
        late: list[_Request[Work, Result]] = []
        rows = 0
        while self._queue:
            request = self._queue[0]
            if batch and rows + request.rows > self._limits.max_batch_rows:
                break
            self._queue.popleft()
            self._queued_rows -= request.rows
            if request.deadline <= now:
                late.append(request)
            elif not request.future.done():
                batch.append(request)
                rows += request.rows
        return batch, late, rows

    def _execute(self, batch: list[_Request[Work, Result]]) -> tuple[Result, float] | Exception:
        begin = time.perf_counter()
        try:
            work = batch[0].work if len(batch) == 1 else self._join([request.work for request in batch])
            return self._run(work), time.perf_counter() - begin
        except Exception as error:
            return error

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[_Request[Work, Result]],
        outcome: tuple[Result, float] | Exception,
    ) -> None:
        start = 0
        for request in batch:
            if request.timer is not None:
                request.timer.cancel()
            if not request.future.done():
                if isinstance(outcome, Exception):
                    request.future.set_exception(outcome)
                else:
                    request.future.set_result(Share(outcome[0], start, start + request.rows, outcome[1]))
            start += request.rows
        if isinstance(outcome, Exception):
            return
        # The waiting requests resume first, so that their answers are sent before the batch is counted.
        loop.call_soon(self._done, outcome[0], start, outcome[1])
        for request in batch:
            if request.pay is not None:
                request.pay(outcome[1] * request.rows / start)

    def _expire(self, request: _Request[Work, Result]) -> None:
        if not request.future.done():
            request.future.set_exception(DeadlineExceeded("the request's time ran out before the model answered"))
            self._drop(request)

    def _drop(self, request: _Request[Work, Result]) -> None:
        """Removes a request that nobody waits for any more from the queue, if it has not started."""
        if request.timer is not None:
            request.timer.cancel()
        with self._lock:
            if request in self._queue:
                self._queue.remove(request)
                self._queued_rows -= request.rows
