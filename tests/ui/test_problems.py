"""Whatever fails, the page says so, and goes on once it works again."""

import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.artifacts import CLASSIFIER
from tests.processes import ROOT, service
from tests.ui.conftest import Open, until
from tests.ui.page import body, headline, settle

pytestmark = pytest.mark.ui


GREY = "getComputedStyle(document.querySelector('.headline')).color"
EFFECTS_GREY = "getComputedStyle(document.querySelector('#tornado .name')).color"


def test_a_changed_input_greys_the_old_answer_out_until_the_new_one_is_there(open_page: Open) -> None:
    page = open_page("#model=diabetes")
    settle(page)
    full = page.evaluate(GREY)
    assert page.evaluate(EFFECTS_GREY) == full
    held: list[Any] = []
    page.route("**/predict", lambda route: held.append(route), times=1)
    page.locator('[data-feature="bmi"]').first.fill("321")
    assert page.evaluate(GREY) != full
    assert page.evaluate(EFFECTS_GREY) == page.evaluate(GREY)
    assert page.locator("#keep").get_attribute("aria-disabled") == "true"
    page.wait_for_selector("#age:not(:empty)")
    assert page.locator("#age").inner_text() == "Waiting for the answer. What stands here belongs to an earlier input."
    held[0].continue_()
    settle(page)
    assert page.evaluate(GREY) == page.evaluate(EFFECTS_GREY) == full
    assert page.locator("#age").inner_text() == ""
    assert body(page)["instances"][0][2] == 321


@pytest.mark.parametrize(("typed", "said"), [
    ("", "Refused: bmi is not a number."), ("1e300", "Refused: bmi: is not finite as a 32-bit float."),
])  # fmt: skip
def test_a_refused_input_greys_the_old_answer_out_and_says_so_beside_it(open_page: Open, typed: str, said: str) -> None:
    page = open_page("#model=diabetes", failing=True)
    settle(page)
    full, answer = page.evaluate(GREY), headline(page)
    page.locator('[data-feature="bmi"]').first.fill(typed)
    settle(page)
    assert page.locator("#age").inner_text() == f"{said} What stands here belongs to an earlier input."
    assert page.locator(".spoken").text_content() == page.locator("#age").inner_text()
    assert page.evaluate(GREY) == page.evaluate(EFFECTS_GREY) != full
    assert headline(page) == answer
    page.locator('[data-feature="bp"]').first.fill("100")  # the row as it stands is still refused
    settle(page)
    assert page.locator("#age").inner_text().startswith(said)
    page.locator('[data-feature="bmi"]').first.fill("30")
    settle(page)
    assert page.locator("#age").inner_text() == ""
    assert page.evaluate(GREY) == full
    assert body(page)["instances"][0][2:4] == [30, 100]


def test_an_answer_that_comes_after_its_input_was_cleared_stays_grey(open_page: Open) -> None:
    page = open_page("#model=diabetes", failing=True)
    settle(page)
    full, held = page.evaluate(GREY), []
    page.route("**/predict", lambda route: held.append(route), times=1)
    page.locator('[data-feature="bmi"]').first.fill("33")
    page.locator('[data-feature="bmi"]').first.fill("")
    settle(page)
    assert held
    assert page.evaluate(GREY) != full
    assert page.locator("#age").inner_text().startswith("Refused: bmi is not a number.")


@pytest.mark.parametrize("damage", ["not json", '{"predictions": []}', '{"predictions": [{}]}', "null", ""])
def test_damaged_answers_are_said_and_got_over(open_page: Open, damage: str) -> None:
    page = open_page("#model=diabetes", failing=True)
    page.route("**/predict", lambda route: route.fulfill(status=200, content_type="application/json", body=damage))
    page.locator('[data-feature="bmi"]').first.fill("33")
    page.wait_for_selector("#problem:not([hidden])")
    assert "Damaged answer" in page.locator("#problem").inner_text()
    page.unroute("**/predict")
    page.locator('[data-feature="bmi"]').first.fill("34")
    settle(page)
    assert page.locator("#problem").is_hidden()
    assert body(page)["instances"][0][2] == 34


def test_problems_are_shown_as_the_api_says_them(open_page: Open) -> None:
    page = open_page("#model=diabetes", failing=True)
    problem = {"title": "Too Many Requests", "status": 429, "detail": "the queue is full; ask later", "place": "model"}
    page.route("**/predict", lambda route: route.fulfill(status=429, body=json.dumps(problem)))
    page.locator('[data-feature="bmi"]').first.fill("33")
    page.wait_for_selector("#problem:not([hidden])")
    assert "Too Many Requests model: the queue is full; ask later" in page.locator("#problem").inner_text()
    page.unroute("**/predict")
    page.get_by_role("button", name="Try again").click()
    settle(page)
    assert page.locator("#problem").is_hidden()


def test_a_problem_is_seen_from_anywhere_on_the_page(open_page: Open) -> None:
    page = open_page("#model=diabetes", width=360, height=640, failing=True)
    page.locator('[data-feature="s6"]').first.fill("1e300")
    page.wait_for_selector("#problem:not([hidden])")
    assert page.evaluate("scrollY") > 200
    box = page.locator("#problem").bounding_box()
    assert 0 <= box["y"] < 640
    assert "s6: is not finite as a 32-bit float" in page.locator("#problem").inner_text()


def test_no_service_at_all(open_page: Open) -> None:
    page = open_page("#model=diabetes", failing=True)
    page.route(re.compile("/(predict|sensitivity|models)"), lambda route: route.abort())
    page.locator('[data-feature="bmi"]').first.fill("33")
    page.wait_for_selector("#problem:not([hidden])")
    assert "cannot be reached" in page.locator("#problem").inner_text()


def test_a_newer_input_does_not_wait_for_a_slow_answer(open_page: Open) -> None:
    page = open_page("#model=diabetes", failing=True)
    page.route("**/predict", lambda route: None)  # never answered
    page.locator('[data-feature="bmi"]').first.fill("33")
    page.wait_for_selector("#age:not(:empty)")
    page.wait_for_timeout(1000)
    page.unroute("**/predict")
    page.locator('[data-feature="bmi"]').first.fill("35")
    until(page, "document.querySelector('#curl').textContent.includes(',35,')")
    assert page.locator("#problem").is_hidden()


def test_nor_does_a_second_one_that_comes_at_once(open_page: Open) -> None:
    page = open_page("#model=diabetes", failing=True)
    page.route("**/predict", lambda route: None, times=1)  # never answered
    page.locator('[data-feature="bmi"]').first.fill("33")
    page.locator('[data-feature="bmi"]').first.fill("35")
    until(page, "document.querySelector('#curl').textContent.includes(',35,')", seconds=5)


def test_a_model_picked_later_wins_over_a_slow_one(open_page: Open) -> None:
    page = open_page("#model=diabetes")
    held: list[Any] = []
    page.route("**/models/digits?*", lambda route: held.append(route))
    page.select_option("#model", "digits")
    page.select_option("#model", "breast-cancer")
    until(page, "document.querySelector('#curl').textContent.includes('breast-cancer')")
    held[0].continue_()
    settle(page)
    assert page.locator("#model").input_value() == "breast-cancer"
    assert body(page)["model"] == "breast-cancer"


def test_what_could_not_be_opened_is_tried_again(open_page: Open) -> None:
    page = open_page("#model=diabetes", failing=True)
    problem = {"title": "Service Unavailable", "detail": "the service is draining"}
    page.route("**/models/digits?*", lambda route: route.fulfill(status=503, body=json.dumps(problem)))
    page.select_option("#model", "digits")
    page.wait_for_selector("#problem:not([hidden])")
    page.unroute("**/models/digits?*")
    page.get_by_role("button", name="Try again").click()
    until(page, "document.querySelector('#curl')?.textContent.includes('digits')")
    assert page.locator("#problem").is_hidden()


def test_without_a_model_nothing_is_left_standing(open_page: Open) -> None:
    page = open_page("#model=diabetes", failing=True)
    page.route("**/models", lambda route: route.fulfill(body='{"models": []}'))
    page.reload()
    page.wait_for_selector("#problem:not([hidden])")
    assert "No model is ready" in page.locator("#problem").inner_text()
    assert page.locator(".panel:visible").count() == 0
    page.unroute("**/models")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector("#sentence:not(:empty)")
    settle(page)
    assert page.locator(".panel:visible").count() == 8


def test_closed_metrics_leave_the_live_window(open_page: Open) -> None:
    page = open_page("#model=diabetes", failing=True)
    page.route("**/metrics", lambda route: route.fulfill(status=403, body="not for you"))
    until(page, "document.querySelector('#outside').textContent.includes('cannot be read from here')")
    assert "window" in page.locator("#live-state").inner_text() or "traffic" in page.locator("#live-state").inner_text()


def test_versions_that_come_and_go_while_it_is_open(open_page: Open, tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path)
    with service(tmp_path, "--reload-seconds", "0.5") as (address, _):
        page = open_page("", server=address, failing=True)
        CLASSIFIER.publish(tmp_path)
        until(page, "document.querySelectorAll('#version option').length === 2")
        assert page.locator("#version").input_value() == "1"
        page.locator("#field-0").fill("2.5")
        settle(page)
        page.select_option("#version", "2")
        until(page, "document.querySelector('#curl').textContent.includes('\"version\":\"2\"')")
        settle(page)
        assert body(page)["instances"] == [[2.5, -1]]
        for _ in range(2):  # two versions are kept
            CLASSIFIER.publish(tmp_path)
        deadline = time.monotonic() + 30
        while httpx.get(f"{address}/models/toy?version=2").status_code == 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        page.locator("#field-0").fill("3.5")
        page.wait_for_selector("#problem:not([hidden])")
        assert "version" in page.locator("#problem").inner_text()
        page.get_by_role("button", name="Try again").click()
        until(page, "document.querySelector('#curl').textContent.includes('\"version\":\"4\"')")
        settle(page)
        assert body(page)["instances"] == [[3.5, -1]]
        assert page.locator("#problem").is_hidden()
        page.close()  # it would ask on, and find nobody


def test_an_answer_that_the_policy_withholds_is_said_to_be_withheld(open_page: Open, tmp_path: Path) -> None:
    (policies := tmp_path / "policies.toml").write_text('[models.diabetes]\nout_of_range = "abstain"')
    with service(ROOT / "models", "--policies", str(policies)) as (address, _):
        page = open_page("#model=diabetes", server=address)
        settle(page)
        answer = headline(page)
        page.locator('[data-feature="bmi"]').first.fill("300")
        said = "The service's policy withholds this answer (out of range)."
        until(page, f"document.querySelector('#age').textContent.startsWith({json.dumps(said)})")
        assert page.locator("#age").inner_text() == f"{said} What stands here belongs to an earlier input."
        assert headline(page) == answer
        page.locator('[data-feature="bmi"]').first.fill("30")
        settle(page)
        assert page.locator("#age").inner_text() == ""
