"""One application for the tests of a module, served in both ways: through the hot table, and through FastAPI."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.artifacts import ALL
from tests.service.conftest import serve


@pytest.fixture(scope="module", params=["hot", "routed"])
async def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with every toy model; the default model is `toy`."""
    settings = {"default_model": "toy", "max_rows": 64, "max_sensitivity_rows": 16, "max_body_bytes": 65536}
    if request.param == "routed":
        settings["cors_origins"] = ("http://elsewhere",)
    async with serve(tmp_path_factory.mktemp("models"), *ALL, **settings) as serving:
        yield serving
