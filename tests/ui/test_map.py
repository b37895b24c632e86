"""The map of two features: its colours are the service's answers, and what is dragged on it is asked."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from chainzrule.service.artifact.features import CategoricalFeature
from tests.artifacts import CLASSIFIER, numeric
from tests.processes import service
from tests.ui.conftest import Open, until
from tests.ui.page import body, headline, settle

pytestmark = pytest.mark.ui

LEFT, TOP, RIGHT, BOTTOM = 62, 10, 14, 46  # margins of the picture, in pixels
ROWS = 625


class Map:
    """A page's map, and what it asked."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.asked: list[dict[str, Any]] = []
        page.on("request", self._count)

    def _count(self, request: Any) -> None:
        if request.url.endswith("/predict") and len(found := json.loads(request.post_data)["instances"]) == ROWS:
            self.asked.append({"rows": found, "observe": json.loads(request.post_data)["observe"]})

    def place(self, across: float, up: float) -> tuple[float, float]:
        """Where a point of the map is on the canvas."""
        box = self.page.locator("#map-canvas").bounding_box()
        wide, high = box["width"] - LEFT - RIGHT, box["height"] - TOP - BOTTOM
        return LEFT + across * wide, TOP + (1 - up) * high

    def drag(self, *points: tuple[float, float]) -> None:
        self.page.locator("#map-canvas").scroll_into_view_if_needed()
        box = self.page.locator("#map-canvas").bounding_box()
        for number, point in enumerate(points):
            x, y = self.place(*point)
            self.page.mouse.move(box["x"] + x, box["y"] + y)
            if number == 0:
                self.page.mouse.down()
        self.page.mouse.up()
        settle(self.page)

    def colours(self, shares: np.ndarray) -> list[list[int]]:
        """The colours at points of the map."""
        script = """(node, places) => {
            const { data, width } = node.getContext('2d').getImageData(0, 0, node.width, node.height);
            return places.map((place) => {
                const [x, y] = place.map((each) => Math.round(each * devicePixelRatio));
                return [...data.slice(4 * (y * width + x), 4 * (y * width + x) + 3)];
            });
        }"""
        places = [list(self.place(*share)) for share in shares.tolist()]
        found: list[list[int]] = self.page.locator("#map-canvas").evaluate(script, places)
        return found


def opened(open_page: Open, example: int, model: str = "breast-cancer") -> Map:
    page = open_page(f"#model={model}")
    settle(page)
    found = Map(page)
    page.locator(".examples button").nth(example).click()
    settle(page)
    page.wait_for_selector("#map-canvas[aria-label]")
    return found


def test_its_colours_are_the_answers_of_the_service(open_page: Open, shipped_server: str) -> None:
    drawn = opened(open_page, 5)
    label, row = headline(drawn.page), body(drawn.page)["instances"][0]
    axes = [int(drawn.page.locator(f"#map-{name}").input_value()) for name in "xy"]
    asked = drawn.asked[-1]
    assert asked["observe"] is False
    values = np.array(asked["rows"])
    assert [at for at in range(30) if len(set(values[:, at])) > 1] == sorted(axes)
    spans = [(values[:, at].min(), values[:, at].max()) for at in axes]
    random = np.random.default_rng(1)
    shares = random.uniform(0.02, 0.98, (120, 2))
    rows = np.repeat([row], 120, axis=0)
    for at, (low, high), share in zip(axes, spans, shares.T, strict=True):
        rows[:, at] = low + share * (high - low)
    asked = {"model": "breast-cancer", "instances": rows.tolist(), "observe": False}
    answers = httpx.post(f"{shipped_server}/predict", json=asked, timeout=30).json()["predictions"]
    seen = set()
    for (red, _, blue), answer in zip(drawn.colours(shares), answers, strict=True):
        if abs(answer["probabilities"][label] - 0.5) < 0.05:
            continue  # on the line
        assert (blue > red) == (answer["label"] == label)
        seen.add(answer["label"])
    assert seen == {"malignant", "benign"}
    assert "where the answer changes" in drawn.page.locator("#map").inner_text()


def test_what_is_dragged_is_asked_and_the_map_holds_meanwhile(open_page: Open, shipped_server: str) -> None:
    drawn = opened(open_page, 5)
    page, before = drawn.page, body(drawn.page)["instances"][0]
    axes = [int(page.locator(f"#map-{name}").input_value()) for name in "xy"]
    count = len(drawn.asked)
    values = np.array(drawn.asked[-1]["rows"])
    said = set()
    for across, up in ((0.1, 0.1), (0.9, 0.9)):
        drawn.drag((0.5, 0.5), (across, up))
        row = body(page)["instances"][0]
        for at, share in zip(axes, (across, up), strict=True):
            low, high = values[:, at].min(), values[:, at].max()
            assert row[at] == pytest.approx(low + share * (high - low), abs=0.01 * (high - low))
            assert float(page.locator(f"#field-{at}").input_value()) == row[at]
        assert [value for at, value in enumerate(row) if at not in axes] == [
            value for at, value in enumerate(before) if at not in axes
        ]
        answer = httpx.post(f"{shipped_server}/predict", json=body(page)).json()["predictions"][0]
        assert headline(page) == answer["label"]
        said.add(answer["label"])
    assert said == {"malignant", "benign"}
    assert len(drawn.asked) == count


def test_a_finger_drags_the_dot_and_elsewhere_scrolls(open_page: Open) -> None:
    page = open_page("#model=diabetes", width=360, height=780)
    settle(page)
    page.wait_for_selector("#map-canvas[aria-label]")
    drawn, before = Map(page), body(page)["instances"]
    axes = [int(page.locator(f"#map-{name}").input_value()) for name in "xy"]
    page.evaluate("document.querySelector('#map-canvas').scrollIntoView({ block: 'center' })")
    card = page.evaluate("fetch('models/diabetes').then((answer) => answer.json())")["card"]

    def share(at: int) -> float:
        low, high = card["features"][at]["low"], card["features"][at]["high"]
        margin = 0.1 * (high - low)
        return float((before[0][at] - low + margin) / (high - low + 2 * margin))

    dot = drawn.place(*map(share, axes))
    fingers = page.context.new_cdp_session(page)

    def swipe(*points: tuple[float, float]) -> None:
        box = page.locator("#map-canvas").bounding_box()
        for number, (x, y) in enumerate(points):
            touch = [{"x": box["x"] + x, "y": box["y"] + y}]
            fingers.send(
                "Input.dispatchTouchEvent", {"type": "touchMove" if number else "touchStart", "touchPoints": touch}
            )
        fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        settle(page)

    far = (dot[0] + (90 if dot[0] < 200 else -90), dot[1])
    top = page.locator("#map-canvas").bounding_box()["y"]
    swipe(far, (far[0], far[1] - 40), (far[0], far[1] - 80), (far[0], far[1] - 120))
    assert page.locator("#map-canvas").bounding_box()["y"] < top - 20
    assert body(page)["instances"] == before
    page.evaluate("document.querySelector('#map-canvas').scrollIntoView({ block: 'center' })")
    swipe(dot, (dot[0] + 10, dot[1] - 20), (dot[0] + 20, dot[1] - 40))
    moved = body(page)["instances"][0]
    assert [value != was for value, was in zip(moved, before[0], strict=True)] == [n in axes for n in range(10)]
    up = card["features"][axes[1]]
    high = page.locator("#map-canvas").bounding_box()["height"] - TOP - BOTTOM
    whole = 40 / high * 1.2 * (up["high"] - up["low"])  # a page that scrolled would have ended it on the way
    assert moved[axes[1]] - before[0][axes[1]] == pytest.approx(whole, rel=0.1)


def test_arrow_keys_move_the_input(open_page: Open) -> None:
    drawn = opened(open_page, 2, "diabetes")
    page, before = drawn.page, body(drawn.page)["instances"][0]
    axes = [int(page.locator(f"#map-{name}").input_value()) for name in "xy"]
    values = np.array([[float(value) for value in row] for row in drawn.asked[-1]["rows"]])
    page.locator("#map-canvas").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    settle(page)
    after = body(page)["instances"][0]
    for at, steps in zip(axes, (2, -1), strict=True):
        span = np.ptp(values[:, at])
        assert after[at] - before[at] == pytest.approx(steps * span / 40, abs=0.01 * span)
    assert "the same disease progression" in page.locator("#map").inner_text()


def test_other_features_make_another_map(open_page: Open) -> None:
    drawn = opened(open_page, 1, "diabetes")
    page, count = drawn.page, len(drawn.asked)
    page.select_option("#map-x", "age")
    settle(page)
    assert len(drawn.asked) == count + 1
    assert str(page.locator("#map-canvas").get_attribute("aria-label")).startswith("Map of age, now ")
    page.route(
        "**/predict",
        lambda route: None if len(json.loads(route.request.post_data)["instances"]) == ROWS else route.continue_(),
    )
    page.locator("#field-4").fill("200")
    until(page, "document.querySelector('#map').classList.contains('earlier')")
    page.unroute("**/predict")
    page.locator("#field-4").fill("201")
    until(page, "!document.querySelector('#map').classList.contains('earlier')")


def test_lines_are_where_a_grid_is_zero(open_page: Open) -> None:
    page = open_page("#model=diabetes")
    found = page.evaluate("""async () => {
        const { zeroLines } = await import(new URL("ui/map.js", document.baseURI));
        const circle = Array.from({ length: 625 }, (_, k) => Math.hypot(k % 25 - 12, Math.floor(k / 25) - 12) - 7.3);
        return [zeroLines(circle), zeroLines(circle.map(() => 1))];
    }""")
    assert found[1] == []
    ends = [end for piece in found[0] for end in piece]
    assert all(abs(math.hypot(x - 12, y - 12) - 7.3) < 0.05 for x, y in ends)
    length = sum(math.dist(*piece) for piece in found[0])
    assert length == pytest.approx(2 * math.pi * 7.3, rel=0.02)


def test_there_is_no_map_without_two_numbers(open_page: Open, tmp_path: Path) -> None:
    site = CategoricalFeature(name="site", levels=("1", "2"))
    replace(CLASSIFIER, name="single", features=(numeric("age"), site)).publish(tmp_path, check=lambda artifact: None)
    with service(tmp_path) as (address, _):
        page = open_page("", server=address)
        settle(page)
        assert page.locator("#map-canvas").count() == 0
        assert page.locator("#map-title").is_hidden()
        page.close()
    page = open_page("#model=digits")
    assert page.locator("#map-title").is_hidden()
