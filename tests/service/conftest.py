"""What the service's tests share: the event loop, and an application on published toy models."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
