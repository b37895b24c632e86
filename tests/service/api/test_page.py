"""The playground's files: how they are served, and what they may do. `tests/ui` watches them in a browser."""

import gzip
import html
import json
import re
from dataclasses import asdict
from pathlib import Path

import httpx
import pytest

from chainzrule.service.api.page import DOCS_PARTS
from chainzrule.service.stability.verdict import Thresholds
from tests.artifacts import CLASSIFIER
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio
FOLDER = Path(__file__).parents[3] / "service" / "ui"
SERVED = sorted(
    path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.suffix in (".js", ".css", ".svg")
)


PAGES = ("/", "/docs")


@pytest.mark.parametrize("page", PAGES)
async def test_the_page_asks_nobody_but_this_service(client: httpx.AsyncClient, page: str) -> None:
    answer = await client.get(page)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["img-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", answer.text)
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=", answer.text)  # nothing inline


async def test_every_file_that_the_page_names_is_there(client: httpx.AsyncClient) -> None:
    named = set(re.findall(r"(?:src|href)=\"(ui/[^\"]+)\"", (await client.get("/")).text))
    assert named
    named |= await needed(client, "/docs", "docs")
    for path in FOLDER.glob("*.js"):
        named |= {
            f"ui/{found}" for found in re.findall(r'^import .* from "\./([^"]+)"', path.read_text(), re.MULTILINE)
        }
    for path in named:
        assert (await client.get(f"/{path}")).status_code == 200, path


async def needed(client: httpx.AsyncClient, page: str, folder: str) -> set[str]:
    """What a page loads, and what its scripts import, and theirs."""
    named = set(re.findall(rf"(?:src|href)=\"({folder}/[^\"]+)\"", (await client.get(page)).text))
    todo = [path for path in named if path.endswith(".js")]
    while todo:
        text = (await client.get(f"/{todo.pop()}")).text
        for found in re.findall(r'^import .* from "\./([^"]+)"', text, re.MULTILINE):
            if f"{folder}/{found}" not in named:
                named.add(f"{folder}/{found}")
                todo.append(f"{folder}/{found}")
    return named


async def test_the_apis_page_loads_what_is_served_and_no_more(client: httpx.AsyncClient) -> None:
    assert await needed(client, "/docs", "docs") == {f"docs/{name}" for name in DOCS_PARTS}
    for path in ("/docs/app.js", "/docs//", "/docs/docs.html", "/docs/../app.py", "/ui/docs.html", "/ui/index.html"):
        assert (await client.get(path)).status_code == 404, path


async def test_the_apis_page_needs_no_playground_and_no_token(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    async with serving(CLASSIFIER, playground=False, token_file=tmp_path / "token") as client:
        assert (await client.get("/docs")).status_code == 200
        for path in await needed(client, "/docs", "docs"):
            assert (await client.get(f"/{path}")).status_code == 200, path
        assert (await client.get("/openapi.json")).status_code == 401


@pytest.mark.parametrize("name", SERVED)
async def test_files_come_compressed_and_once(client: httpx.AsyncClient, name: str) -> None:
    plain = await client.get(f"/ui/{name}", headers={"Accept-Encoding": "identity"})
    assert plain.status_code == 200
    assert plain.content == (FOLDER / name).read_bytes()
    assert plain.headers["x-content-type-options"] == "nosniff"
    async with client.stream("GET", f"/ui/{name}", headers={"Accept-Encoding": "gzip"}) as packed:
        assert packed.status_code == 200
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join([part async for part in packed.aiter_raw()])) == plain.content
    again = await client.get(f"/ui/{name}", headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/ui/", "/ui/none.js", "/ui/../app.py", "/ui/%2e%2e/app.py", "/ui/vendor/uplot/LICENSE"]
)
async def test_nothing_else_is_served(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:chainzrule:problem:unknown-route")


async def test_all_of_it_is_small_and_vendored_parts_have_their_licence() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 250_000
    for folder in (FOLDER / "vendor").iterdir():
        assert "Copyright" in (folder / "LICENSE").read_text()


async def test_it_can_be_switched_off(serving: Serving) -> None:
    async with serving(CLASSIFIER, playground=False) as client:
        assert (await client.get("/")).status_code == 404
        assert (await client.get("/ui/app.js")).status_code == 404
        assert (await client.get("/models")).status_code == 200


@pytest.mark.parametrize("routed", [False, True], ids=["hot", "routed"])
@pytest.mark.parametrize("path", ["/deep/down", "/deep/down/", "/"])
async def test_addresses_hold_behind_a_prefix(serving: Serving, path: str, routed: bool) -> None:
    async with serving(CLASSIFIER, root_path="/deep/down", routed=routed) as client:
        answer = await client.get(path)
        assert answer.status_code == 200
        assert '<base href="/deep/down/">' in answer.text
        assert '<base href="/deep/down/">' in (await client.get("/deep/down/docs")).text
        assert (await client.get("/deep/down/docs/docs.js")).status_code == 200
        assert (await client.get("/deep/down/ui/app.js")).status_code == 200


@pytest.mark.parametrize("settings", [{}, {"elevated_flip_probability": 0.02, "regression_unstable_factor": 3.5}])
async def test_it_is_told_where_this_services_verdicts_begin(serving: Serving, settings: dict[str, float]) -> None:
    async with serving(CLASSIFIER, **settings) as client:
        page = (await client.get("/")).text
        (stated,) = re.findall(r'<meta name="thresholds" content="([^"]*)">', page)
        assert json.loads(html.unescape(stated)) == {**asdict(Thresholds()), **settings}
        assert "<!-- thresholds -->" not in page
        assert "<!-- base -->" not in page


async def test_the_page_is_open_and_the_models_are_not(serving: Serving, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    async with serving(CLASSIFIER, token_file=token) as client:
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/ui/app.js")).status_code == 200
        assert (await client.get("/models")).status_code == 401
        assert (await client.get("/ui/../models")).status_code == 401


async def test_it_is_no_part_of_the_api(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert not [path for path in paths if path == "/" or path.startswith(("/ui", "/docs"))]
