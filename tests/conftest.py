"""What tests of every part share."""

from collections.abc import Iterator

import pytest

from tests.processes import ROOT, service


@pytest.fixture(scope="session")
def shipped_server() -> Iterator[str]:
    """The address of a real server on the shipped models."""
    with service(ROOT / "models") as (address, _):
        yield address
