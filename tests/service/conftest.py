"""What the service's tests share: the event loop, and applications on published toy models."""

import asyncio
import atexit
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from chainzrule.service.api.hot import HotRoutes
from chainzrule.service.app import Application, create_app
from chainzrule.service.serving.examiner import Examiner
from chainzrule.service.settings import Settings
from tests.artifacts import ALL, Toy

# One for all applications, because its forking process takes most of a second to start.
EXAMINER = Examiner(seconds=60.0, memory=4 * 2**30)
atexit.register(EXAMINER.close)

Serving = Callable[..., contextlib.AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


class Transport(httpx.ASGITransport):
    """httpx's own, but that the event loop turns between an answer and the next request, as it does over a socket."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        await asyncio.sleep(0)
        return response


@contextlib.asynccontextmanager
async def serve(root: Path, *toys: Toy, routed: bool = False, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that serves `toys` from `root`, its lifespan under way.

    The client's `app` attribute is the application. With `routed` no route is hot: FastAPI finds them all.
    """
    for toy in toys:
        toy.publish(root, check=lambda artifact: None)
    app: Application = create_app(Settings(models=root, **{"reload_seconds": 0, "threads": 1, **settings}), EXAMINER)
    if routed:
        app.exchange.hot = HotRoutes(())
    async with app.router.lifespan_context(app):
        await app.context.catalog.started.wait()
        transport = Transport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            client.app = app  # type: ignore[attr-defined]
            yield client


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """`serving(*toys, routed=False, **settings)`: an application of the test's own, in an async with."""

    def start(*toys: Toy, **settings: Any) -> contextlib.AbstractAsyncContextManager[httpx.AsyncClient]:
        return serve(tmp_path / "models", *toys, **settings) if toys else serve(tmp_path, **settings)

    return start


@pytest.fixture(scope="module", params=["hot", "routed"])
async def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of one application for a module's tests, served through the hot table and through FastAPI alike.

    It has every toy model, and its default model is `toy`.
    """
    settings = {"default_model": "toy", "max_rows": 64, "max_sensitivity_rows": 16, "max_body_bytes": 65536}
    root, routed = tmp_path_factory.mktemp("models"), request.param == "routed"
    async with serve(root, *ALL, routed=routed, **settings) as serving:
        yield serving
