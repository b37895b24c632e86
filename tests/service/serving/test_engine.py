"""When and in which batch a run happens. The work here is a list of numbers; a run doubles them."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np
import pytest

from chainzrule.service.errors import DeadlineExceeded, QueueFull
from chainzrule.service.serving.engine import GATHERING_TURNS, Cost, Engine, Limits, Share, measure_cost

pytestmark = pytest.mark.anyio
Numbers = list[int]
CHEAP, DEAR = Cost(0.0, 0.0), Cost(1.0, 0.0)


class Workplace:
    """An engine whose runs are written down, and can be held up."""

    def __init__(self, cost: Cost = CHEAP, limits: Limits | None = None) -> None:
        self.batches: list[Numbers] = []
        self.threads: list[str] = []
        self.done: list[tuple[Numbers, int, float]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()
        self.error: BaseException | None = None
        self.engine: Engine[Numbers, Numbers] = Engine(
            self.run,
            self.join,
            cost,
            limits or Limits(),
            lambda result, rows, seconds: self.done.append((result, rows, seconds)),
        )

    @staticmethod
    def join(parts: Sequence[Numbers]) -> Numbers:
        return [number for part in parts for number in part]

    def run(self, work: Numbers) -> Numbers:
        self.batches.append(work)
        self.threads.append(threading.current_thread().name)
        self.started.set()
        assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        return [2 * number for number in work]

    async def ask(self, *numbers: int, seconds: float = 30.0) -> Numbers:
        share = await self.engine.submit(list(numbers), len(numbers), asyncio.get_running_loop().time() + seconds)
        return part(share)

    async def busy(self) -> "asyncio.Task[Numbers]":
        """Start a run on the worker that does not end before the gate opens."""
        self.gate.clear()
        self.started.clear()
        task = asyncio.create_task(self.ask(0))
        await until(self.started.is_set)
        return task


def part(share: Share[Numbers]) -> Numbers:
    return share.result[share.start : share.stop]


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.001)


@pytest.fixture
async def worker() -> AsyncIterator[Workplace]:
    """A workplace whose runs all go to the worker thread."""
    place = Workplace(DEAR)
    yield place
    place.gate.set()


async def test_one_request_is_run_as_it_is() -> None:
    place = Workplace()
    assert await place.ask(1, 2, 3) == [2, 4, 6]
    assert place.batches == [[1, 2, 3]]
    await asyncio.sleep(0)  # those who wait go on first
    ((result, rows, seconds),) = place.done
    assert (result, rows) == ([2, 4, 6], 3)
    assert 0 <= seconds < 1


async def test_requests_of_one_turn_of_the_loop_share_a_run() -> None:
    place = Workplace()
    answers = await asyncio.gather(*(place.ask(n, 10 * n) for n in range(1, 6)))
    assert answers == [[2 * n, 20 * n] for n in range(1, 6)]
    assert place.batches == [[1, 10, 2, 20, 3, 30, 4, 40, 5, 50]]
    assert [rows for _, rows, _ in place.done] == [10]


async def test_requests_of_different_turns_do_not_wait_for_each_other() -> None:
    place = Workplace()
    for n in range(3):
        assert await place.ask(n) == [2 * n]
    assert place.batches == [[0], [1], [2]]


async def test_a_lone_request_is_run_once_no_other_has_come() -> None:
    place = Workplace()
    asked = asyncio.create_task(place.ask(1))
    turns = 0
    while not place.batches:
        await asyncio.sleep(0)
        turns += 1
    assert turns == 3  # it is asked, nothing comes in the next turn, and it runs
    assert await asked == [2]


async def test_a_stream_of_requests_is_not_gathered_for_ever() -> None:
    place = Workplace()
    asked = []
    for n in range(20):  # one in every turn of the loop
        asked.append(asyncio.create_task(place.ask(n)))
        await asyncio.sleep(0)
    await asyncio.gather(*asked)
    assert [len(batch) for batch in place.batches[:2]] == [GATHERING_TURNS + 1] * 2
    assert GATHERING_TURNS == 4


async def test_cheap_work_runs_on_the_loop_and_dear_work_on_one_worker(worker: Workplace) -> None:
    place = Workplace()
    await place.ask(1)
    assert place.threads == [threading.current_thread().name]
    await worker.ask(1)
    await worker.ask(2)
    assert worker.threads[0].startswith("engine")
    assert len(set(worker.threads)) == 1


async def test_the_estimate_for_the_whole_batch_decides_where_it_runs() -> None:
    place = Workplace(Cost(0.0, 0.001), Limits(inline_seconds=0.0035))
    await place.ask(1, 2, 3)
    await place.ask(1, 2, 3, 4)
    assert [name.startswith("engine") for name in place.threads] == [False, True]
    nothing = Workplace(Cost(1e-9, 0.0), Limits(inline_seconds=0.0))
    await nothing.ask(1)
    assert nothing.threads[0].startswith("engine")


async def test_the_loop_goes_on_while_the_worker_works(worker: Workplace) -> None:
    task = await worker.busy()
    await asyncio.sleep(0.01)  # nothing here waits for the worker
    assert not task.done()
    worker.gate.set()
    assert await task == [0]


async def test_what_queued_while_the_worker_was_busy_is_its_next_batch(worker: Workplace) -> None:
    first = await worker.busy()
    later = []
    for n in range(1, 5):
        later.append(asyncio.create_task(worker.ask(n)))
        await asyncio.sleep(0.002)  # each in a turn of its own
    assert worker.engine.depth == 4
    worker.gate.set()
    assert await asyncio.gather(first, *later) == [[0], [2], [4], [6], [8]]
    assert worker.batches == [[0], [1, 2, 3, 4]]
    assert worker.engine.depth == 0


async def test_batches_keep_to_their_limit_and_to_the_order() -> None:
    place = Workplace(limits=Limits(max_batch_rows=4))
    sizes = (3, 1, 2, 9, 4, 1)
    answers = await asyncio.gather(*(place.ask(*[size] * size) for size in sizes))
    assert answers == [[2 * size] * size for size in sizes]
    assert [len(batch) for batch in place.batches] == [4, 2, 9, 4, 1]  # a single request may be larger


async def test_a_full_queue_refuses() -> None:
    place = Workplace(DEAR, Limits(max_queue_rows=5))
    first = await place.busy()
    waiting = [asyncio.create_task(place.ask(1, 2)), asyncio.create_task(place.ask(3, 4))]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull) as caught:
        await place.ask(5, 6)
    assert caught.value.retry_after >= 1
    last = asyncio.create_task(place.ask(7))  # the fifth row still fits
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await place.ask(8)
    place.gate.set()
    assert await asyncio.gather(first, *waiting, last) == [[0], [2, 4], [6, 8], [14]]
    assert await place.ask(9) == [18]  # and there is room again


async def test_a_request_larger_than_the_queue_is_taken_when_nothing_waits() -> None:
    place = Workplace(DEAR, Limits(max_queue_rows=2))
    assert await place.ask(1, 2, 3) == [2, 4, 6]
    first = await place.busy()
    large = asyncio.create_task(place.ask(1, 2, 3))
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await place.ask(4)
    place.gate.set()
    assert await large == [2, 4, 6]
    await first


async def test_a_deadline_that_passes_in_the_queue_drops_the_work(worker: Workplace) -> None:
    first = await worker.busy()
    late = asyncio.create_task(worker.ask(1, seconds=0.02))
    patient = asyncio.create_task(worker.ask(2))
    with pytest.raises(DeadlineExceeded):
        await late
    assert worker.engine.depth == 1
    worker.gate.set()
    assert await asyncio.gather(first, patient) == [[0], [4]]
    assert worker.batches == [[0], [2]]


async def test_a_deadline_that_passes_during_the_run_answers_in_time(worker: Workplace) -> None:
    worker.gate.clear()
    begin = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await worker.ask(1, seconds=0.05)
    assert time.monotonic() - begin < 2
    worker.gate.set()
    assert await worker.ask(2) == [4]


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_a_deadline_that_has_passed_already_is_not_run(seconds: float) -> None:
    place = Workplace()
    with pytest.raises(DeadlineExceeded):
        await place.ask(1, seconds=seconds)
    assert place.batches == []
    assert await place.ask(2) == [4]


async def test_dropped_rows_give_their_place_in_the_queue_back() -> None:
    place = Workplace(DEAR, Limits(max_queue_rows=5))
    first = await place.busy()
    waiting = asyncio.create_task(place.ask(9))  # beside it there is room for four rows: an empty queue takes anything
    for _ in range(3):
        with pytest.raises(DeadlineExceeded):
            await place.ask(1, 2, 3, 4, seconds=0.005)
    for _ in range(3):
        cancelled = [asyncio.create_task(place.ask(1, 2)) for _ in range(2)]
        await asyncio.sleep(0)
        assert place.engine.depth == 3
        for task in cancelled:
            task.cancel()
        outcomes = await asyncio.gather(*cancelled, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2
    last = asyncio.create_task(place.ask(5, 6, 7, 8))
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await place.ask(1)
    place.gate.set()
    assert await asyncio.gather(first, waiting, last) == [[0], [18], [10, 12, 14, 16]]
    assert place.batches == [[0], [9, 5, 6, 7, 8]]


@pytest.mark.parametrize("cost", [CHEAP, DEAR])
async def test_rows_that_ran_give_their_place_in_the_queue_back(cost: Cost) -> None:
    place = Workplace(cost, Limits(max_batch_rows=4, max_queue_rows=5))
    for _ in range(3):
        assert await asyncio.gather(place.ask(1), place.ask(2, 3, 4, 5)) == [[2], [4, 6, 8, 10]]
        with pytest.raises(DeadlineExceeded):
            await place.ask(6, 7, seconds=0.0)


async def test_a_cancelled_request_is_not_run(worker: Workplace) -> None:
    first = await worker.busy()
    gone, stays = asyncio.create_task(worker.ask(1)), asyncio.create_task(worker.ask(2))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert worker.engine.depth == 1
    worker.gate.set()
    assert await asyncio.gather(first, stays) == [[0], [4]]
    assert worker.batches == [[0], [2]]


@pytest.mark.parametrize("turns", [1, 2])
async def test_a_request_cancelled_in_its_own_turn_is_not_run(turns: int) -> None:
    place = Workplace()
    gone, stays = asyncio.create_task(place.ask(1)), asyncio.create_task(place.ask(2))
    for _ in range(turns):  # after one the requests are in the queue; after two the next turn of the loop takes them
        await asyncio.sleep(0)
    assert (place.engine.depth, place.batches) == (2, [])
    gone.cancel()
    assert await stays == [4]
    assert place.batches == [[2]]
    assert gone.cancelled()
    assert await place.ask(3) == [6]


async def test_a_request_cancelled_during_the_run_harms_nobody(worker: Workplace) -> None:
    worker.gate.clear()
    gone, stays = asyncio.create_task(worker.ask(1)), asyncio.create_task(worker.ask(2))
    await until(worker.started.is_set)
    gone.cancel()
    worker.gate.set()
    assert await stays == [4]
    assert gone.cancelled()


@pytest.mark.parametrize("cost", [CHEAP, DEAR])
async def test_an_error_of_the_run_reaches_its_requests_and_the_engine_lives_on(cost: Cost) -> None:
    place = Workplace(cost)
    place.error = RuntimeError("the run failed")
    outcomes = await asyncio.gather(place.ask(1), place.ask(2), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["the run failed"] * 2
    assert place.done == []
    place.error = None
    assert await place.ask(3) == [6]


@pytest.mark.parametrize("cost", [CHEAP, DEAR])
async def test_an_error_while_counting_reaches_nobody_else(cost: Cost) -> None:
    failures = []

    def done(result: Numbers, rows: int, seconds: float) -> None:
        failures.append(rows)
        raise RuntimeError("the metrics are broken")

    engine: Engine[Numbers, Numbers] = Engine(
        lambda work: [2 * n for n in work], Workplace.join, cost, Limits(max_batch_rows=1), done
    )
    loop = asyncio.get_running_loop()
    heard: list[str] = []
    loop.set_exception_handler(lambda loop, context: heard.append(str(context.get("exception"))))
    try:
        asked = [asyncio.create_task(engine.submit([n], 1, loop.time() + 5)) for n in range(3)]
        shares = await asyncio.wait_for(asyncio.gather(*asked), 5)
    finally:
        loop.set_exception_handler(None)
    assert [part(share) for share in shares] == [[0], [2], [4]]
    assert failures == [1, 1, 1]
    assert heard == ["the metrics are broken"] * 3


async def test_many_requests_at_once_each_get_their_own() -> None:
    rng = np.random.default_rng(0)
    for cost in (CHEAP, DEAR):
        place = Workplace(cost, Limits(max_batch_rows=16))
        place.run = lambda work: [2 * n for n in work]  # type: ignore[method-assign]

        async def client(start: int, place: Workplace = place) -> None:
            for n in range(start, start + 20):
                numbers = [n] * int(rng.integers(1, 6))
                assert await place.ask(*numbers) == [2 * n] * len(numbers)
                if n % 3 == 0:
                    await asyncio.sleep(0)

        await asyncio.gather(*(client(100 * c) for c in range(30)))
        assert place.engine.depth == 0


class Clock:
    """A clock that only runs of so many seconds move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: Callable[[int], float]) -> None:
        self.now = 0.0
        self.seconds = seconds
        self.calls: list[int] = []
        monkeypatch.setattr("chainzrule.service.serving.engine.time.perf_counter", lambda: self.now)

    def run(self, rows: int) -> None:
        self.calls.append(rows)
        # The first call of each, and then every other one, is held up.
        self.now += self.seconds(rows) + (1.0 if self.calls.count(rows) % 2 else 0.0)


def test_the_fastest_of_several_runs_gives_the_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, lambda rows: 0.25 + 0.125 * rows)
    cost = measure_cost(clock.run, rows=9)
    assert (cost.base, cost.row) == (0.25, 0.125)
    assert (cost(1), cost(100)) == (0.375, 12.75)
    assert clock.calls == [1] * 6 + [9] * 6
    clock.calls.clear()
    measure_cost(clock.run, repeats=2)
    assert clock.calls == [1] * 3 + [64] * 3


def test_costs_are_never_negative(monkeypatch: pytest.MonkeyPatch) -> None:
    many = measure_cost(Clock(monkeypatch, lambda rows: 0.5 if rows == 1 else 0.0).run)
    assert (many.base, many.row) == (0.5, 0.0)
    steep = measure_cost(Clock(monkeypatch, lambda rows: 0.0 if rows == 1 else 6.3).run)
    assert (steep.base, steep.row) == (0.0, pytest.approx(0.1))
