"""What the tests of gRPC share; each of their files skips where the extra is missing."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from tests.artifacts import ALL

if TYPE_CHECKING:
    from tests.service.grpc.calls import Caller


@pytest.fixture(scope="module")
async def caller(tmp_path_factory: pytest.TempPathFactory) -> "AsyncIterator[Caller]":
    """A client of one application for a module's tests, which has every toy model; its default model is `toy`."""
    from tests.service.grpc.calls import calling

    settings = {"default_model": "toy", "max_rows": 64, "max_sensitivity_rows": 16, "max_body_bytes": 65536}
    async with calling(tmp_path_factory.mktemp("models"), *ALL, **settings) as found:
        yield found
