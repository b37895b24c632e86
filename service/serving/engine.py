"""When and in which batch a run happens.

Work that takes well under a millisecond runs on the event loop itself, because handing it to a thread costs more than
the run; requests that arrive in the same turns of the loop are answered by one run. Larger work goes to the one
worker thread, which takes whatever has queued while it was busy as its next batch: without a timer, so that nothing
waits when the engine is idle, and by itself, so that an event loop busy with refusals does not keep it waiting.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from chainzrule.service.errors import DeadlineExceeded, QueueFull

Work = TypeVar("Work")
Result = TypeVar("Result")


# Turns of the event loop in which requests are gathered for one run, as long as each brings more of them.
GATHERING_TURNS = 4


@dataclass(frozen=True)
class Cost:
    """Seconds that a run of so many rows takes, as measured."""

    base: float
    row: float

    def __call__(self, rows: int) -> float:
        """The estimate for a batch."""
        return self.base + self.row * rows


@dataclass(frozen=True)
class Limits:
    """Bounds of an engine.

    Attributes:
        inline_seconds: runs expected to take at most this long run on the event loop; 0 sends all to the worker.
        max_batch_rows: rows that requests are joined up to; a single request may be larger.
        max_queue_rows: rows that may wait; beyond, requests are refused.
    """

    inline_seconds: float = 0.001
    max_batch_rows: int = 1024
    max_queue_rows: int = 16384


@dataclass(frozen=True)
class Share(Generic[Result]):
    """One request's part of a batch's result: rows `start` to `stop`; the run took so many `seconds`."""

    result: Result
    start: int
    stop: int
    seconds: float


def measure_cost(run: Callable[[int], object], rows: int = 64, repeats: int = 5) -> Cost:
    """Time `run(rows)` for one and for many rows, after a first call of each; the fastest of several counts."""
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
    timer: asyncio.TimerHandle | None = field(default=None)


class Engine(Generic[Work, Result]):
    """Runs one kind of work for one model version. All methods belong to the event loop's thread.

    There is nothing to close: requests under way hold their engine, and its thread ends when the last of them is done.
    """

    def __init__(
        self,
        run: Callable[[Work], Result],
        join: Callable[[Sequence[Work]], Work],
        cost: Cost,
        limits: Limits,
        done: Callable[[Result, int, float], None],
    ) -> None:
        """Set up an idle engine.

        Args:
            run: does the work of one batch; called on the event loop or on the worker thread, never concurrently.
            join: makes one batch of several requests' work.
            cost: what a run is expected to take.
            limits: the bounds.
            done: told on the event loop of every batch, once its requests have gone on: its result, rows and seconds.
        """
        self._run = run
        self._join = join
        self._cost = cost
        self._limits = limits
        self._done = done
        # The queue, its rows and whether the worker is at it are both threads'; all else is the event loop's.
        self._lock = threading.Lock()
        self._queue: deque[_Request[Work, Result]] = deque()
        self._queued_rows = 0
        self._scheduled = False
        self._busy = False
        self._worker: ThreadPoolExecutor | None = None

    @property
    def depth(self) -> int:
        """Requests that wait."""
        return len(self._queue)

    def require_room(self, rows: int) -> None:
        """Refuse so many rows where they may not wait: `QueueFull`. Also to be asked before work that makes them."""
        if self._queue and self._queued_rows + rows > self._limits.max_queue_rows:
            raise QueueFull("too much work is waiting for this model; try again later")

    async def submit(self, work: Work, rows: int, deadline: float) -> Share[Result]:
        """Have `rows` rows of work done; `deadline` is by the event loop's clock.

        Raises:
            QueueFull: too many rows wait already.
            DeadlineExceeded: the deadline passed first. Work not yet started is dropped.
        """
        self.require_room(rows)
        loop = asyncio.get_running_loop()
        request = _Request(work, rows, deadline, loop.create_future())
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
            del request  # an error's traceback holds this frame, and the request's future the error

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        # call_soon runs after everything that is ready in this turn: all of that joins the batch.
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._gather, loop, 0, GATHERING_TURNS)

    def _gather(self, loop: asyncio.AbstractEventLoop, seen: int, turns: int) -> None:
        # Once more while more comes: what the loop has read from its sockets meanwhile comes along too.
        if len(self._queue) > seen and turns > 0:
            loop.call_soon(self._gather, loop, len(self._queue), turns - 1)
        else:
            self._turn(loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False
        with self._lock:
            if self._busy:
                return
            batch, late = self._take(loop.time())
            rows = sum(request.rows for request in batch)
            inline = self._cost(rows) <= self._limits.inline_seconds
            self._busy = bool(batch) and not inline
            waiting = tuple(self._queue)
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
        """On the worker thread: this batch, and whatever has queued by then, until nothing has."""
        while batch:
            outcome = self._execute(batch)
            done = batch
            with self._lock:
                batch, late = self._take(loop.time())
                self._busy = bool(batch)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._finish, loop, done, outcome)
                for request in late:
                    loop.call_soon_threadsafe(self._expire, request)
            del outcome, done, late  # what was asked and answered goes as soon as nobody reads it

    def _take(self, now: float) -> tuple[list[_Request[Work, Result]], list[_Request[Work, Result]]]:
        """The next batch, and requests whose time ran out before it. Under the lock."""
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
        return batch, late

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
        if not isinstance(outcome, Exception):
            # Behind those who have waited, so that their answers are on their way before the batch is counted.
            loop.call_soon(self._done, outcome[0], start, outcome[1])

    def _expire(self, request: _Request[Work, Result]) -> None:
        if not request.future.done():
            request.future.set_exception(DeadlineExceeded("the request's time ran out before the model answered"))
            self._drop(request)

    def _drop(self, request: _Request[Work, Result]) -> None:
        """Take a request that nobody waits for any more out of the queue, if it has not started."""
        if request.timer is not None:
            request.timer.cancel()
        with self._lock:
            if request in self._queue:
                self._queue.remove(request)
                self._queued_rows -= request.rows
