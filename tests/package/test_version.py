"""There is one version, `chainzrule.__version__`; what has to write it down agrees."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from chainzrule import __version__
from tests.artifacts import CLASSIFIER
from tests.processes import ROOT
from tests.service.conftest import serve


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_it_is_a_release() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_the_wheel_takes_it_from_there() -> None:
    pyproject = tomllib.loads(text("pyproject.toml"))
    assert "version" not in pyproject["project"]
    assert pyproject["project"]["dynamic"] == ["version"]
    assert pyproject["tool"]["setuptools"]["dynamic"] == {"version": {"attr": "chainzrule.__version__"}}


def test_the_changelog_begins_with_it() -> None:
    headings = re.findall(r"^## \[(.+?)\]", text("CHANGELOG.md"), re.MULTILINE)
    assert next(heading for heading in headings if heading != "Unreleased") == __version__


def test_the_image_is_labelled_with_it() -> None:
    assert re.findall(r'org\.opencontainers\.image\.version="(.+?)"', text("Dockerfile")) == [__version__]


def test_the_chart_asks_for_its_image() -> None:
    chart = yaml.safe_load(text("deploy/kubernetes/chainzrule/Chart.yaml"))
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    assert set(re.findall(r"/chainzrule:(\d\S*)", text("docs/operations.md"))) == {__version__}


@pytest.mark.anyio
async def test_the_service_says_it(tmp_path: Path) -> None:
    async with serve(tmp_path, CLASSIFIER) as client:
        assert (await client.get("/openapi.json")).json()["info"]["version"] == __version__
        assert (await client.get("/v2")).json()["version"] == __version__
