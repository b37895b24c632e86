"""Everyone can use the page: by keyboard, by touch, in light and dark, and with a screen reader."""

from typing import Any

import numpy as np
import pytest

from tests.ui.conftest import Open, until
from tests.ui.page import MODELS, SIZES, body, headline, settle, words

pytestmark = pytest.mark.ui


def violations(page: Any) -> list[tuple[str, str, str]]:
    """What axe finds against WCAG 2.1 AA on the page as it stands."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    tags = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
    found = axe.Axe().run(page, options={"runOnly": tags}).response["violations"]
    return [(one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"]) for one in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("model", MODELS)
def test_wcag_and_nothing_cut_off(open_page: Open, model: str, size: str, scheme: str) -> None:
    width, height = SIZES[size]
    page = open_page(f"#model={model}", width=width, height=height, scheme=scheme)
    settle(page)
    page.click("#keep")
    if model != "diabetes":
        page.click("#rain")
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beyond = """() => [...document.querySelectorAll('main *:not(.scroll *):not(pre *)')].filter((node) => {
        const box = node.getBoundingClientRect();
        return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1);
    }).map((node) => node.outerHTML.slice(0, 80))"""
    assert page.evaluate(beyond) == []
    cut = """() => [...document.querySelectorAll('button, .verdict, .headline, dd, dt, h1, h2, h3')].filter((node) =>
        node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).display !== 'inline' && node.clientWidth > 0
    ).map((node) => node.outerHTML.slice(0, 80))"""
    assert page.evaluate(cut) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_what_is_greyed_out_can_still_be_read(open_page: Open, size: str, scheme: str) -> None:
    width, height = SIZES[size]
    page = open_page("#model=breast-cancer&version=9", width=width, height=height, scheme=scheme)
    settle(page)
    page.click("#keep")
    page.locator("#field-0").fill("")
    settle(page)
    assert page.locator("#notice").is_visible()
    assert page.locator("#age").is_visible()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("model", MODELS)
def test_the_answer_stays_in_view_on_a_phone(open_page: Open, model: str) -> None:
    page = open_page(f"#model={model}", width=390, height=844)
    settle(page)
    for place in (0, 600, 1e6):
        page.evaluate(f"scrollTo(0, {place})")
        box = page.locator("#summary").bounding_box()
        assert 0 < box["y"] < box["y"] + box["height"] <= 844
        assert box["height"] < 0.15 * 844
    line = page.locator("#summary").inner_text()
    assert [line.index(one) for one in (headline(page), *words(page))] == sorted(
        line.index(one) for one in (headline(page), *words(page))
    )
    footer = page.locator("footer").bounding_box()  # nothing is for ever behind the line
    assert footer["y"] + footer["height"] <= page.locator("#summary").bounding_box()["y"]
    page.click("#summary")
    assert page.evaluate("document.activeElement.id") == "answer-title"
    top = page.locator("#answer-title").bounding_box()["y"]
    assert 0 <= top < 844
    if model != "digits":
        page.locator("#field-0").fill("")
        settle(page)
        assert "Refused: " in page.locator("#summary").inner_text()


def test_wide_pages_need_no_summary(open_page: Open) -> None:
    assert open_page("#model=diabetes").locator("#summary").is_hidden()


def test_drawing_by_keyboard(open_page: Open) -> None:
    page = open_page("#model=digits")
    page.click("#clear")
    page.locator("#drawing").focus()
    for _ in range(9):
        page.keyboard.press("ArrowUp")
    for _ in range(9):
        page.keyboard.press("Space")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Space")
        page.keyboard.press("ArrowDown")
    settle(page)
    assert headline(page) == "1"
    assert sum(pixel > 0 for pixel in body(page)["instances"][0]) > 30


def test_drawing_by_touch(open_page: Open) -> None:
    page = open_page("#model=digits", width=360, height=780)
    page.click("#clear")
    page.locator("#drawing").scroll_into_view_if_needed()
    box = page.locator("#drawing").bounding_box()
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        places = [
            {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"], "id": finger}
            for finger, (x, y) in enumerate(points)
        ]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    at = page.evaluate("scrollY")
    touch("touchStart", (0.5, 0.2))
    for step in range(3, 9):
        touch("touchMove", (0.5, step / 10))
    touch("touchStart", (0.5, 0.8), (0.9, 0.5))  # a palm
    touch("touchMove", (0.5, 0.8), (0.95, 0.4))
    touch("touchEnd")
    settle(page)
    assert headline(page) == "1"
    assert page.evaluate("scrollY") == at
    picture = np.reshape(body(page)["instances"][0], (28, 28))
    assert picture[:, 12:16].any()
    assert not picture[:, 18:].any()


def test_the_focus_stays_where_it_was(open_page: Open) -> None:
    page = open_page("#model=diabetes")
    page.locator("#tornado button").nth(3).press("Enter")
    settle(page)
    assert page.locator("#tornado button").nth(3).evaluate("node => node === document.activeElement")
    page.locator("#run").press("Enter")
    settle(page)
    assert page.evaluate("document.activeElement.id") == "run"


def test_the_skip_link_leaves_the_state(open_page: Open) -> None:
    page = open_page("#model=diabetes")
    settle(page)
    page.locator(".skip").press("Enter")
    settle(page)
    assert page.evaluate("document.activeElement.id") == "input-title"
    assert body(page)["model"] == "diabetes"


def test_light_and_dark_follow_the_system_until_chosen(open_page: Open) -> None:
    page = open_page("#model=diabetes", scheme="light")
    theme = "document.documentElement.dataset.theme"
    page.emulate_media(color_scheme="dark")
    until(page, f"{theme} === 'dark'")
    assert page.locator("#theme").get_attribute("aria-pressed") == "true"
    page.click("#theme")
    page.emulate_media(color_scheme="light")
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(100)
    assert page.evaluate(theme) == "light"


def test_every_control_is_reached_by_tab(open_page: Open) -> None:
    page = open_page("#model=diabetes")
    wanted = page.locator("main button:visible:enabled, main input:visible, main select:visible").count()
    seen = set()
    for _ in range(wanted + 30):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                "[...document.querySelectorAll('main button, main input, main select')].indexOf(document.activeElement)"
            )
        )
    assert len(seen - {-1}) == wanted
