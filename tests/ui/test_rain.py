"""The first view: a doubtful digit, onto which the copies rain that the experiment has counted."""

import json
import math
from typing import Any

import httpx
import pytest

from tests.ui.conftest import Open, until
from tests.ui.page import body, headline, settle

pytestmark = pytest.mark.ui

OVER = "document.querySelector('#rained')?.dataset.copies > 0"
FALLEN = """() => [...document.querySelectorAll('.drops rect')].map((drop) => {
    const [from, wide] = ['x', 'width'].map((name) => Number(drop.getAttribute(name)));
    return { other: drop.classList.contains('other'), middle: from + wide / 2 };
})"""


def watched(page: Any) -> list[dict[str, Any]]:
    """What the page asks to be predicted from now on."""
    found: list[dict[str, Any]] = []
    page.on("request", lambda asked: asked.url.endswith("/predict") and found.append(json.loads(asked.post_data)))
    return found


def test_the_page_begins_with_a_doubtful_digit_and_its_copies(open_page: Open, shipped_server: str) -> None:
    page = open_page("")
    asked = watched(page)
    page.evaluate("history.replaceState(null, '', location.pathname)")
    page.reload()
    until(page, OVER)
    settle(page)
    examples = httpx.get(f"{shipped_server}/models/digits").json()["card"]["examples"]
    doubtful = next(example for example in examples if example["kind"] == "borderline")
    assert body(page)["instances"] == [doubtful["features"]]
    fallen = page.evaluate(FALLEN)
    flipped = sum(one["other"] for one in fallen)
    assert (len(fallen), flipped) == (240, int(page.locator("#rained").get_attribute("data-flipped")))
    assert f"{flipped} of 240 noisy copies were read as something else" in page.locator("#rained").inner_text()
    stated = float(page.locator("#tally").get_attribute("data-stated"))
    assert 0.1 < stated < 0.6
    assert abs(flipped / 240 - stated) < 4 * math.sqrt(stated * (1 - stated) / 240)
    boundary = float(page.locator("#gauge .boundary").get_attribute("x1"))
    assert sum(one["other"] == (one["middle"] > boundary) for one in fallen) > 0.85 * 240
    assert len(asked) <= 3  # the input, and the experiment's two
    assert not any(one["observe"] for one in asked)


@pytest.mark.parametrize("link", ["#model=digits", "#model=breast-cancer"])
def test_other_views_wait_until_they_are_asked(open_page: Open, link: str) -> None:
    page = open_page(link)
    settle(page)
    assert page.locator("#rain").is_visible()
    assert page.locator("#rained").inner_text() == ""
    page.click("#rain")
    until(page, OVER)
    assert len(page.evaluate(FALLEN)) == 240


def test_pictures_fall_only_where_motion_is_welcome_and_for_less_than_five_seconds(open_page: Open) -> None:
    page = open_page("#model=digits")
    settle(page)
    count = """() => { window.drops = 0; new MutationObserver((all) => { for (const { addedNodes } of all)
        for (const node of addedNodes) window.drops += node.classList?.contains('drop') ?? 0;
    }).observe(document.querySelector('.easel'), {childList: true}); }"""
    page.evaluate(count)
    page.click("#rain")
    until(page, OVER)
    assert page.evaluate("window.drops") == 0
    page.emulate_media(reduced_motion="no-preference")
    page.click("#rain")
    page.wait_for_selector(".drop", state="attached")
    until(page, "window.drops === 24")
    until(page, "!document.querySelector('.drop')")
    assert len(page.evaluate(FALLEN)) == 240


def test_another_input_ends_the_rain(open_page: Open) -> None:
    page = open_page("#model=digits")
    settle(page)
    page.emulate_media(reduced_motion="no-preference")
    page.click("#rain")
    page.wait_for_selector(".drop", state="attached")
    page.locator(".examples button").nth(7).click()
    settle(page)
    assert headline(page) == "7"
    assert page.evaluate(FALLEN) == []
    assert page.locator("#rained").inner_text() == ""


def test_where_nothing_flips_nothing_rains(open_page: Open) -> None:
    page = open_page("#model=diabetes")
    settle(page)
    assert page.locator("#rain").count() == 0
