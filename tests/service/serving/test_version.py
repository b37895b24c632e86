"""A version in service: it goes, with its threads, when it was unloaded and the last request has let go of it."""

import asyncio
import gc
import shutil
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chainzrule.service.artifact.listing import StoredVersion
from chainzrule.service.errors import DeadlineExceeded, InvalidInput, NoBounds, QueueFull
from chainzrule.service.runtime.bounds import Boxes
from chainzrule.service.serving.engine import Limits
from chainzrule.service.serving.load import Loader
from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.batch import Batch
from chainzrule.service.stability.unmeasured import Unmeasured
from tests.artifacts import CLASSIFIER, CUBIC, ORDINAL, REGRESSION, SLOW, Toy, numeric, probed
from tests.service.conftest import Serving
from tests.service.serving.bounded import bounded
from tests.service.serving.conftest import Load, entered

Matrix = NDArray[np.float32]
Floats = NDArray[np.float64]

pytestmark = pytest.mark.anyio


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def engine_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("engine")}


@pytest.mark.usefixtures("_no_collector")
async def test_an_unloaded_version_goes_without_the_collector_once_its_requests_are_answered(serving: Serving) -> None:
    async with serving(SLOW, CLASSIFIER, inline_milliseconds=0, default_model="slow") as client:
        app = client.app  # type: ignore[attr-defined]
        before = engine_threads()
        row = {"instances": [[1.0, 0.0]]}
        assert (await client.post("/sensitivity", json=row)).status_code == 200
        late = await client.post("/predict", json={"instances": [[1e5, 0.0]]}, headers={"X-Request-Timeout": "0.001"})
        assert late.status_code == 504
        served = weakref.ref(app.context.catalog.resolve("slow", None))
        own = engine_threads() - before
        assert len(own) == 2
        asked = asyncio.create_task(client.post("/predict", json={"instances": [[3e5, 0.0]]}))
        await asyncio.sleep(0.1)
        shutil.rmtree(app.context.settings.models / "slow")
        await app.context.repository.refresh()
        assert not asked.done()
        assert served() is not None
        assert (await asked).status_code == 200
        end = time.monotonic() + 5
        while (served() is not None or own & engine_threads()) and time.monotonic() < end:
            await asyncio.sleep(0.01)
        assert served() is None
        assert not own & engine_threads()


def now() -> float:
    return asyncio.get_running_loop().time()


async def loaded(toy: Toy, root: Path, loader: Loader, **limits: Any) -> ServedModel:
    path = toy.publish(root, check=lambda artifact: None)
    return await replace(loader, limits=Limits(**limits)).load(StoredVersion(toy.name, path.name, path))


def matrix(toy: Toy, rows: int, seed: int = 1) -> Matrix:
    return toy.rows(rows, seed).astype(np.float32)


def noisy_norms(toy: Toy, rows: Floats) -> Floats:
    return np.asarray(np.linalg.norm(toy.jacobian(rows) * toy.columns[2], axis=(1, 2))[:, None])


async def test_each_request_gets_its_own_rows_of_a_run_that_several_share(load: Load) -> None:
    served, parts = await load(bounded(CUBIC)), [matrix(CUBIC, rows, seed=rows) for rows in (1, 3, 2)]
    until = now() + 30
    kinds: list[tuple[Callable[[Matrix, float], Awaitable[Any]], Callable[[Floats], Floats]]] = [
        (served.differentiate, CUBIC.jacobian),
        (served.sample, CUBIC.scores),
        (served.layer_norms, lambda rows: noisy_norms(CUBIC, rows)),
    ]
    for ask, expected in kinds:
        for found, part in zip(await asyncio.gather(*(ask(part, until) for part in parts)), parts, strict=True):
            np.testing.assert_allclose(found, expected(part.astype(np.float64)), rtol=1e-4, atol=1e-5)
    shares = await asyncio.gather(*(served.predict(inputs_of(part, 1.0, True), until) for part in parts))
    for share, part in zip(shares, parts, strict=True):
        found = share.result.scores[share.start : share.stop]
        np.testing.assert_allclose(found, CUBIC.scores(part.astype(np.float64)), rtol=1e-4, atol=1e-5)
    assert len({id(share.result) for share in shares}) == 1
    wide = [
        Boxes(part - 0.1 * (1.0 + number), part + 0.1, np.zeros(len(part), np.int64))
        for number, part in enumerate(part.astype(np.float64) for part in parts)
    ]
    together = await asyncio.gather(*(served.bound(boxes, until) for boxes in wide))
    for boxes, bounds in zip(wide, together, strict=True):
        assert bounds.lower.shape == (len(boxes.low), 3)
        for found, expected_bound in zip(bounds, await served.bound(boxes, until), strict=True):
            np.testing.assert_allclose(found, expected_bound, rtol=1e-9)


async def test_only_what_takes_further_runs_is_answered_without_measures(load: Load) -> None:
    inputs = inputs_of(matrix(CLASSIFIER, 2), 1.0, observe=True)
    served = await load(CLASSIFIER)
    assert isinstance((await served.answer(inputs, now() + 30)).result, Batch)
    further = await load(probed(CLASSIFIER, "finite_difference"))
    assert isinstance((await further.answer(inputs, now() + 30)).result, Unmeasured)
    assert isinstance((await further.predict(inputs, now() + 30)).result, Batch)
    await entered()
    assert (served.window.samples, further.window.samples) == (2, 2)


async def test_requests_are_counted_as_they_end_each_by_itself(load: Load) -> None:
    served, good = await load(CUBIC), inputs_of(matrix(CUBIC, 3), 1.0, observe=True)
    bad = inputs_of(np.array([[1e20, 0.0]], np.float32), 1.0, observe=True)
    await asyncio.gather(served.predict(good, now() + 30), served.predict(bad, now() + 30))  # in one run
    with pytest.raises(DeadlineExceeded):
        await served.predict(good, now() - 1)
    await served.predict(good, now() + 30)
    await entered()
    found = served.statistics
    assert (found.successes, found.failures, found.rows, found.executions) == (2, 2, 6, 2)
    assert found.success_ns >= found.compute_ns > 0
    assert found.failure_ns > 0


async def test_what_there_is_no_room_for_has_failed(tmp_path: Path, loader: Loader) -> None:
    for toy in (CLASSIFIER, probed(CLASSIFIER, "finite_difference")):
        served = await loaded(toy, tmp_path, loader, max_queue_rows=4)
        waiting = asyncio.create_task(served.predict(inputs_of(matrix(CLASSIFIER, 3), 1.0, False), now() + 30))
        await asyncio.sleep(0)
        served.require_room(1, measured=True)
        with pytest.raises(QueueFull):
            served.require_room(2, measured=True)
        if toy is not CLASSIFIER:
            served.require_room(2, measured=False)  # these answers have a queue of their own
        assert served.statistics.failures == 1
        await waiting
        assert (served.statistics.failures, served.statistics.successes) == (1, 1)


async def test_a_scrape_reads_what_the_card_says_and_the_window_holds(load: Load) -> None:
    begin = time.time()
    served = await load(ORDINAL)
    found, card = served.reading(), ORDINAL.card()
    assert found.info == {
        "sha256": card.graphs["model"].sha256,
        "task": "ordinal",
        "method": "analytic",
        "provider": "CPUExecutionProvider",
    }
    assert begin <= found.loaded_timestamp <= time.time()
    assert found.window is served.window
    assert found.reference == card.reference
    assert found.unstable_ratio is None  # an older card, without the flips of held-out rows


async def test_what_waits_is_counted_whatever_it_is_for(load: Load) -> None:
    served, row = await load(bounded(CLASSIFIER)), matrix(CLASSIFIER, 1)
    wide = row.astype(np.float64)
    assert served.queue_depth == 0
    asked: list[asyncio.Task[Any]] = [
        asyncio.create_task(served.predict(inputs_of(row, 1.0, False), now() + 60)),
        asyncio.create_task(served.sample(row, now() + 60)),
        asyncio.create_task(served.differentiate(row, now() + 60)),
        asyncio.create_task(served.layer_norms(row, now() + 60)),
        asyncio.create_task(served.bound(Boxes(wide - 0.1, wide + 0.1, np.zeros(1, np.int64)), now() + 60)),
    ]
    await asyncio.sleep(0)  # each is queued in this turn, and none has begun
    assert served.queue_depth == 5
    await asyncio.gather(*asked)
    assert served.queue_depth == 0


async def test_what_a_version_cannot_do_is_refused_by_name(load: Load) -> None:
    served, row = await load(probed(REGRESSION, "finite_difference")), matrix(REGRESSION, 1)
    with pytest.raises(InvalidInput, match="layers are not known of this model") as caught:
        await served.layer_norms(row, now() + 30)
    assert caught.value.place == "include"
    with pytest.raises(NoBounds, match="fit it again"):
        served.require_bounds()


async def test_violations_are_named_and_counted(load: Load, loader: Loader) -> None:
    features = (numeric("height", monotone="increasing"), numeric("weight", monotone="decreasing"))
    toy = replace(REGRESSION, features=features, weights=np.array([[-1.0, -1.0]]))
    served = await load(toy)

    def counted(feature: str) -> float | None:
        labels = {"model": "amount", "version": "1", "feature": feature}
        return loader.metrics.registry.get_sample_value("chainzrule_constraint_violations_total", labels)

    assert (counted("height"), counted("weight")) == (0.0, 0.0)
    found = served.violations(toy.jacobian(toy.rows(3)).astype(np.float32))
    assert [[one.feature for one in row] for row in found] == [["height"]] * 3
    assert (counted("height"), counted("weight")) == (3.0, 0.0)
    served.retire()
    assert counted("height") is None
