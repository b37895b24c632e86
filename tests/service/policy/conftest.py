"""A service whose one model knows what is familiar, with policies that a test writes."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.artifacts import FAMILIAR
from tests.service.conftest import Serving

# The novelty of a row is the sum of its distances from the means, in standard deviations; above 9.85 it is novel.
USUAL, NOVEL = [1.5, -1.0], [9.0, 3.0]
OTHER = replace(FAMILIAR, name="other", seed=9)
UNLIKE = replace(FAMILIAR, name="unlike", labels=("a", "b", "c"))

Ruled = Callable[[str], contextlib.AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def ruled(serving: Serving, tmp_path: Path) -> Ruled:
    """`ruled(text)`: the service under the policies of a file that holds this text."""

    def start(text: str) -> contextlib.AbstractAsyncContextManager[httpx.AsyncClient]:
        path = tmp_path / "policies.toml"
        path.write_text(text)
        return serving(FAMILIAR, OTHER, UNLIKE, policies=path, default_model=FAMILIAR.name)

    return start
