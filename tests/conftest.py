"""What tests of every part share."""

from collections.abc import Iterator

import pytest
from jaxtyping import install_import_hook

from tests.processes import ROOT, service

# Shapes in the signatures of `training.nn` are checked here, whichever test imports it first, and nowhere else: outside
# pytest they cost nothing.
install_import_hook("chainzrule.training.nn", "beartype.beartype")


@pytest.fixture(scope="session")
def shipped_server() -> Iterator[str]:
    """The address of a real server on the shipped models."""
    with service(ROOT / "models") as (address, _):
        yield address
