"""What the page shows is what the service answers: figures, flips, effects, traffic and certificates."""

import math
import re

import httpx
import numpy as np
import pytest

from tests.ui.conftest import Open, until
from tests.ui.page import body, counted, headline, settle, words
from tests.ui.strokes import AMBIGUOUS, DIGITS, draw

pytestmark = pytest.mark.ui


@pytest.mark.parametrize("digit", DIGITS)
def test_a_drawn_digit_is_read(open_page: Open, digit: str) -> None:
    page = open_page("#model=digits")
    page.click("#clear")
    draw(page, DIGITS[digit])
    settle(page)
    assert headline(page) == digit
    assert page.locator(".verdict").inner_text() in ("stable", "elevated", "unstable")


@pytest.mark.parametrize("drawing", [*AMBIGUOUS, "breast-cancer"])
def test_noisy_copies_flip_as_often_as_was_stated(open_page: Open, drawing: str) -> None:
    page = open_page(f"#model={'digits' if drawing in AMBIGUOUS else drawing}")
    if drawing in AMBIGUOUS:
        page.click("#clear")
        draw(page, AMBIGUOUS[drawing])
    else:
        page.get_by_role("button", name="Average values").click()
    settle(page)
    for scale in range(1, 11):  # up to the first at which some copies in a hundred should flip
        page.locator("#noise").fill(str(scale))
        if float(counted(page)["stated"]) > 0.02:
            break
    for _ in range(3):
        page.click("#run")
        settle(page)
    found = counted(page)
    copies, flips, stated = int(found["copies"]), int(found["flips"]), float(found["stated"])
    assert copies == 2000
    assert 0.02 < stated < 0.5  # or the comparison would say little
    assert abs(flips / copies - stated) < 4 * math.sqrt(stated * (1 - stated) / copies)
    said = page.locator("#tally").inner_text()
    assert f"{flips} of 2000" in said


def test_the_slider_begins_at_the_noise_of_which_the_answer_speaks(open_page: Open, shipped_server: str) -> None:
    page = open_page("#model=breast-cancer")
    stated = float(counted(page)["stated"])
    assert page.locator("#noise").input_value() == "1"
    answer = httpx.post(f"{shipped_server}/predict", json=body(page)).json()["predictions"][0]
    assert answer["stability"]["flip_probability"] == pytest.approx(stated, rel=1e-6)


def test_noisy_copies_of_a_value_spread_as_was_stated(open_page: Open) -> None:
    page = open_page("#model=diabetes")
    found = counted(page)
    assert float(found["spread"]) == pytest.approx(float(found["stated"]), rel=4 / math.sqrt(2 * 500))


@pytest.mark.parametrize(("model", "feature"), [("diabetes", "bmi"), ("breast-cancer", "worst texture")])
def test_a_slider_changes_the_effects_as_the_api_says(
    open_page: Open, shipped_server: str, model: str, feature: str
) -> None:
    page = open_page(f"#model={model}")
    settle(page)
    effects = "nodes => Object.fromEntries(nodes.map(n => [n.dataset.feature, n.dataset.effect]))"
    before = page.locator("#tornado button").evaluate_all(effects)
    slider = page.locator(f'[data-slider="{feature}"]')
    slider.focus()
    for _ in range(6):
        slider.press("PageUp")
    settle(page)
    after = page.locator("#tornado button").evaluate_all(effects)
    assert after != before
    answer = httpx.post(f"{shipped_server}/sensitivity", json=body(page), timeout=30).json()["predictions"][0]
    said = {one["feature"]: one["effect"] for one in answer["sensitivities"]}
    for name, shown in after.items():
        assert (said[name] is None) == (shown == "")
        if shown:
            assert float(shown) == pytest.approx(said[name], rel=1e-9)
    assert page.locator("#gauge").is_visible()


def test_values_out_of_range_are_flagged(open_page: Open) -> None:
    page = open_page("#model=diabetes")
    page.locator('[data-feature="bmi"]').first.fill("60")
    settle(page)
    assert "outside the training range, 18 to 42.2" in page.locator("#input").inner_text()
    assert "outside what the model has seen" in page.locator("#answer").inner_text()


def test_every_level_of_a_category_can_be_compared(open_page: Open, shipped_server: str) -> None:
    page = open_page("#model=diabetes")
    page.locator('#tornado [data-feature="sex"]').click()
    page.wait_for_selector("#response dd")
    asked = body(page)
    for level, shown in zip(("1", "2"), page.locator("#response dd").all_inner_texts(), strict=True):
        asked["instances"][0][1] = level
        value = httpx.post(f"{shipped_server}/predict", json=asked).json()["predictions"][0]["value"]
        assert float(shown) == pytest.approx(value, rel=1e-3)


def test_which_of_two_is_the_shakier(open_page: Open) -> None:
    page = open_page("#model=digits")
    page.click("#clear")
    draw(page, DIGITS["3"])
    settle(page)
    page.click("#keep")
    page.click("#clear")
    draw(page, AMBIGUOUS["4 or 9"])
    settle(page)
    said = page.locator("#shakier").inner_text()
    assert said.startswith("This one is the shakier: noise would change its answer in ")
    assert "because the nearest other answer" in said
    page.click("#keep")
    assert page.locator("#shakier").inner_text() == "Both are equally stable."
    page.click("#clear")
    draw(page, DIGITS["1"])
    settle(page)
    assert page.locator("#shakier").inner_text().startswith("The kept one is the shakier: ")


def test_what_is_tried_is_no_traffic_unless_wished(open_page: Open, shipped_server: str) -> None:
    def samples() -> int:
        return int(httpx.get(f"{shipped_server}/models/diabetes/stability").json()["window"]["samples"])

    before = samples()
    page = open_page("#model=diabetes")
    page.locator('[data-feature="bmi"]').first.fill("30")
    settle(page)
    assert samples() == before
    page.check("#observe")
    page.locator('[data-feature="bmi"]').first.fill("31")
    settle(page)
    assert samples() == before + 1
    until(page, "document.querySelector('#live-state').textContent.includes('in the window')")
    window = httpx.get(f"{shipped_server}/models/diabetes/stability").json()["window"]
    for verdict, count in window["verdicts"].items():
        assert f"{verdict}: {count}" in page.locator(".stack").inner_text()
    median = float(
        re.findall(r"percentile: ([\d.]+)", str(page.locator("#live .chart").get_attribute("aria-label")))[0]
    )
    assert median == pytest.approx(window["volatility_quantiles"]["p50"], rel=0.01)


def test_the_certified_band_holds_the_curve(open_page: Open, shipped_server: str) -> None:
    page = open_page("#model=breast-cancer")
    settle(page)
    assert "certainly inside" in page.locator("#response").inner_text()
    row, at = body(page)["instances"][0], 20
    feature = httpx.get(f"{shipped_server}/models/breast-cancer").json()["card"]["features"][at]
    xs = np.linspace(feature["low"], feature["high"], 91)
    band = page.evaluate(
        """async ([row, at, xs, label]) => {
            const { certifiedBand } = await import(new URL("ui/certified.js", document.baseURI));
            const { card } = await (await fetch("models/breast-cancer")).json();
            return certifiedBand({ model: card.name }, card, row, at, xs, { label });
        }""",
        [row, at, xs.tolist(), headline(page)],
    )
    between = np.linspace(feature["low"], feature["high"], 901)
    rows = [[*row[:at], x, *row[at + 1 :]] for x in between.tolist()]
    asked = {"model": "breast-cancer", "instances": rows, "observe": False}
    answer = httpx.post(f"{shipped_server}/predict", json=asked, timeout=30).json()["predictions"]
    curve = np.array([one["probabilities"][headline(page)] for one in answer])
    low, high = (np.interp(between, xs, band[end]) for end in ("low", "high"))
    assert (low <= curve + 1e-6).all()
    assert (curve <= high + 1e-6).all()
    assert np.mean(high - low) < 0.5  # or it would say nothing


def test_it_says_whether_the_model_knows_such_inputs(open_page: Open) -> None:
    page = open_page("#model=breast-cancer")
    settle(page)
    assert words(page)[0] == "Known"
    page.locator("#field-0").fill("7.5")
    page.locator("#field-3").fill("2000")
    settle(page)
    assert words(page)[0] == "Unusual"
    assert "mean radius" in page.locator("#known").inner_text()
    assert "knows next to nothing like this" in page.locator("#answer").inner_text()


def test_the_three_answers_come_in_order_and_are_spoken(open_page: Open) -> None:
    page = open_page("#model=digits")
    settle(page)
    assert page.locator("#trust dt").all_inner_texts() == [
        "Does it know such inputs?", "How sure may one be?", "Would it say so again?",
    ]  # fmt: skip
    spoken = page.locator("[role=status].spoken").text_content()
    assert spoken.startswith(f"{headline(page)}. Known. ")
    assert [spoken.index(word) for word in words(page)] == sorted(spoken.index(word) for word in words(page))


def test_green_is_only_what_is_known_and_sure_and_steady(open_page: Open) -> None:
    page = open_page("#model=digits")
    settle(page)
    assert words(page) == ["Known", "Sure", "Steady"]
    assert page.locator("#trust .mark").all_inner_texts() == ["✓"] * 3
    page.click("#clear")  # an empty picture gets the same answer again and again
    settle(page)
    assert words(page)[0] == "Unusual"
    assert words(page)[2] == "Steady"
    assert "✓" not in page.locator("#answer").inner_text()
    page.select_option("#model", "diabetes")
    until(page, "document.querySelector('#curl').textContent.includes('diabetes')")
    settle(page)
    assert words(page)[0::2] == ["Known", "Steady"]
    assert "✓" not in page.locator("#answer").inner_text()  # how long an interval is too long, only people know


def test_how_sure_is_the_set_or_the_interval_that_the_api_answers(open_page: Open, shipped_server: str) -> None:
    page = open_page("#model=digits")
    page.click("#clear")
    draw(page, AMBIGUOUS["4 or 9"])
    settle(page)
    answer = httpx.post(f"{shipped_server}/predict", json=body(page)).json()["predictions"][0]
    assert answer["set"] == []
    assert words(page)[1] == "In doubt"
    assert f"gives “{answer['label']}” {100 * max(answer['probabilities'].values()):.1f}" in page.locator(
        "#sure"
    ).inner_text().replace("\u00a0", " ")
    page.select_option("#model", "diabetes")
    until(page, "document.querySelector('#curl').textContent.includes('diabetes')")
    settle(page)
    answer = httpx.post(f"{shipped_server}/predict", json=body(page)).json()["predictions"][0]
    ends = [float(end) for end in words(page)[1].split(" to ")]
    assert ends == pytest.approx(answer["interval"], rel=0.01)
    assert "90 of 100" in page.locator("#sure").inner_text()
