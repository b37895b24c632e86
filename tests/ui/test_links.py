"""Links bring a page's state back, and its snippets run."""

import json
import shlex
import subprocess
import sys

import pytest

from tests.ui.conftest import Open
from tests.ui.page import MODELS, body, headline, settle
from tests.ui.strokes import DIGITS, draw

pytestmark = pytest.mark.ui


@pytest.mark.parametrize("model", MODELS)
def test_a_link_brings_everything_back(open_page: Open, model: str) -> None:
    page = open_page(f"#model={model}")
    if model == "digits":
        page.click("#clear")
        draw(page, DIGITS["7"])
    else:
        page.locator("#field-2").fill("31.5")
    page.locator("#noise").fill("5")
    settle(page)
    page.click("#share")
    link = page.evaluate("navigator.clipboard.readText()")
    again = open_page(link)
    settle(again)
    assert body(again) == body(page)
    assert again.locator("#noise").input_value() == "5"
    assert headline(again) == headline(page)
    assert again.locator("#notice").inner_text() == ""


@pytest.mark.parametrize(("link", "said"), [
    ("#model=none", "There is no model “none” here that is ready, so nothing of the link could be restored."),
    ("#noise=1e9&version=77", "The link names no model, so nothing of the link could be restored. This is digits."),
    ("#nonsense", "The link names no model"),
    ("#model=digits&x=%%%", "input does not fit this model; its first example stands here instead."),
    ("#model=digits&x=" + "A" * 5000, "input does not fit this model"),
    ("#model=digits&version=7", "There is no version “7” of digits here that is ready; this is version 1."),
    ("#model=diabetes&x=[1,2]", "input does not fit this model; its first example stands here instead."),
    ("#model=diabetes&x={", "input does not fit this model"),
    ('#model=diabetes&x=["a","1",1,1,1,1,1,1,1,1]', "input does not fit this model"),
    ("#model=diabetes&version=1&row", "The link holds what no link of this page does: “row”."),
    ("#model=diabetes&noise=50", "noise, “50”, is not on the slider; this is"),
    ("#model=diabetes&noise=lots", "noise, “lots”, is not on the slider"),
])  # fmt: skip
def test_broken_links_are_no_obstacle_and_said(open_page: Open, link: str, said: str) -> None:
    page = open_page(link)
    assert page.locator("#problem").is_hidden()
    assert said in page.locator("#notice").inner_text()


@pytest.mark.parametrize("link", ["", "#", "#model=diabetes", "#model=diabetes&version=1&noise=2.5"])
def test_of_whole_links_nothing_is_said(open_page: Open, link: str) -> None:
    assert open_page(link).locator("#notice").inner_text() == ""


def test_what_is_said_of_a_link_goes_with_it(open_page: Open) -> None:
    page = open_page("#model=none")
    page.get_by_role("button", name="Dismiss").click()
    assert page.locator("#notice").inner_text() == ""
    page.evaluate("location.hash = '#model=diabetes&version=9'")  # as by hand, in the open page
    page.wait_for_selector("#notice:not(:empty)")
    assert "no version “9” of diabetes" in page.locator("#notice").inner_text()
    settle(page)
    page.select_option("#model", "breast-cancer")
    page.wait_for_selector("#notice:empty", state="attached")
    settle(page)
    assert body(page)["model"] == "breast-cancer"


def test_a_link_goes_no_further_than_the_slider(open_page: Open) -> None:
    page = open_page("#model=diabetes&noise=50")
    page.locator("#field-2").fill("30")
    settle(page)
    assert page.evaluate("location.hash").endswith("&noise=10")


@pytest.mark.parametrize("model", MODELS)
def test_the_snippets_run(open_page: Open, model: str) -> None:
    page = open_page(f"#model={model}")
    settle(page)
    command = shlex.split(page.locator("#curl").text_content().replace("\\\n", " "))
    answer = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)
    verdict = answer["predictions"][0]["stability"]["verdict"]
    assert page.locator(".verdict").inner_text().lower().endswith(verdict)
    program = page.locator("#python").text_content()
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=30, text=True)
    assert said.stdout.split()[0] == verdict
