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


@pytest.mark.parametrize("link", [
    "#model=none", "#model=digits&x=%%%", "#model=diabetes&x=[1,2]", "#model=diabetes&x={", "#noise=1e9&version=77",
    "#model=digits&x=" + "A" * 5000, '#model=diabetes&x=["a","1",1,1,1,1,1,1,1,1]',
])  # fmt: skip
def test_broken_links_are_no_obstacle(open_page: Open, link: str) -> None:
    page = open_page(link)
    assert page.locator("#problem").is_hidden()


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
