"""Model versions in service, without HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chainzrule.service.artifact.listing import StoredVersion
from chainzrule.service.runtime.graph import Execution
from chainzrule.service.serving.engine import Limits
from chainzrule.service.serving.load import Loader
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.verdict import Thresholds
from chainzrule.service.telemetry.metrics import Metrics
from tests.artifacts import Toy

Load = Callable[[Toy], Awaitable[ServedModel]]


@pytest.fixture
def loader() -> Loader:
    return Loader(Execution("cpu", threads=1), Limits(), Thresholds(), 100, 10, Metrics())


@pytest.fixture
def load(tmp_path: Path, loader: Loader) -> Load:
    """`await load(toy)`: the toy, published and loaded."""

    async def loaded(toy: Toy) -> ServedModel:
        path = toy.publish(tmp_path, check=lambda artifact: None)
        return await loader.load(StoredVersion(toy.name, path.name, path))

    return loaded


async def entered() -> None:
    """Lets the event loop turn until a run is entered, which comes after those who wait for it go on."""
    for _ in range(5):
        await asyncio.sleep(0)
