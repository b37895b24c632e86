"""The API's page shows every route, to everyone, without anything from elsewhere."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.contract.regenerate import openapi
from tests.processes import ROOT, service
from tests.ui.conftest import Open, until
from tests.ui.page import SIZES

pytestmark = pytest.mark.ui
ROUTES = [f"{method.upper()} {path}" for path, methods in openapi()["paths"].items() for method in methods]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_wcag_and_nothing_cut_off(open_page: Open, shipped_server: str, size: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    width, height = SIZES[size]
    page = open_page(f"{shipped_server}/docs", width=width, height=height, scheme=scheme, answered=False)
    page.wait_for_selector(".operation")
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    tags = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
    found = axe.Axe().run(page, options={"runOnly": tags}).response["violations"]
    assert not [(one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"]) for one in found]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_route_and_every_member_is_there(open_page: Open, shipped_server: str) -> None:
    page = open_page(f"{shipped_server}/docs", answered=False)
    page.wait_for_selector(".operation")
    assert page.locator(".operation").evaluate_all("all => all.map((one) => one.id)") == ROUTES
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    document = openapi()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            text = page.locator(f'[id="{method.upper()} {path}"]').inner_text()
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            parameters = [parameter["name"] for parameter in operation.get("parameters", [])]
            for name in (*parameters, *content.get("schema", {}).get("properties", {})):
                assert name in text, (path, name)
    text = page.locator('[id="POST /predict"]').inner_text()
    for said in ("flip_probability", "LabelStability", "1 unless given", "413 ", f"curl -s '{shipped_server}/predict'"):
        assert said in text


def test_a_token_is_asked_for_and_kept_for_the_playground(open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    with service(ROOT / "models", "--token-file", str(tmp_path / "token")) as (address, _):
        page = open_page(f"{address}/docs", server=address, answered=False, failing=True)
        page.wait_for_selector("#problem:not([hidden])")
        for given, shown in (("wrong", "#problem:not([hidden])"), ("s3cret", ".operation")):
            page.get_by_label("Token").fill(given)
            page.get_by_role("button", name="Use it").click()
            page.wait_for_selector(shown)
        assert page.locator("#problem").is_hidden()
        page.goto(f"{address}/#model=diabetes")
        page.wait_for_selector("#sentence:not(:empty)")


def answer(body: str, route: Any) -> None:
    route.fulfill(status=200, body=body)


def test_a_damaged_description_is_said_and_got_over(open_page: Open, shipped_server: str) -> None:
    page = open_page(f"{shipped_server}/docs", answered=False, failing=True)
    for damage in ("", "null", json.dumps({"paths": {"/x": {"get": {}}}})):
        page.route("**/openapi.json", partial(answer, damage))
        page.reload()
        page.wait_for_selector("#problem:not([hidden])")
        page.unroute("**/openapi.json")
        page.get_by_role("button", name="Try again").click()
        page.wait_for_selector(".operation")
        until(page, "document.getElementById('problem').hidden")


def test_the_keyboard_opens_routes(open_page: Open, shipped_server: str) -> None:
    page = open_page(f"{shipped_server}/docs", answered=False)
    page.wait_for_selector(".operation")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skips to the routes
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator(".operation").first.evaluate("one => one.open")
