"""Every kind of model, and every kind of address."""

import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from chainzrule.service.artifact.features import CategoricalFeature, Layout
from chainzrule.training.data.noise import default_noise
from tests.artifacts import CLASSIFIER, IMAGE, MIXED, ORDINAL, REGRESSION, SILENT, Toy, numeric, probed
from tests.processes import ROOT, service
from tests.ui.conftest import Open, until
from tests.ui.page import body, counted, headline, settle, words

pytestmark = pytest.mark.ui


GRADES = Toy(
    task="ordinal",
    name="grades",
    labels=tuple(f"{count} stars of nine" for count in range(1, 10)),
    bias=np.linspace(3.0, -3.0, 8),
)
WIDE_IMAGE = Toy(
    name="wide-image",
    features=(numeric("pixel", mean=33.0, std=79.0, low=0.0, high=255.0, noise=8.0),),
    layout=Layout(height=64, width=64),
)
OTHERS = [probed(CLASSIFIER, "finite_difference"), probed(CLASSIFIER, "monte_carlo"), probed(REGRESSION, "monte_carlo")]
DESCRIBED = "node => document.getElementById(node.getAttribute('aria-describedby').split(' ')[0]).textContent"
MEETING = """() => [...document.querySelectorAll('#gauge text')].map((node) => node.getBoundingClientRect()).some(
    (a, k, all) => all.some((b, l) => l > k
        && a.left < b.right && b.left < a.right && a.top + 3 < b.bottom && b.top + 3 < a.bottom))"""


def test_every_kind_of_model(open_page: Open, tmp_path: Path) -> None:
    toys = (ORDINAL, MIXED, IMAGE, SILENT, GRADES, WIDE_IMAGE, *OTHERS)
    for toy in toys:
        toy.publish(tmp_path, check=lambda artifact: None)
    with service(tmp_path) as (address, _):
        page = open_page("#model=graded", server=address)
        for toy in toys:
            page.select_option("#model", toy.name)
            until(page, f"document.querySelector('#curl').textContent.includes('\"{toy.name}\"')")
            settle(page)
            assert page.locator("#problem").is_hidden(), toy.name
            assert not re.search("NaN|undefined|null|Infinity", page.locator("main").inner_text()), toy.name
            assert int(page.locator("#tally").get_attribute("data-copies")) > 0
            assert not page.evaluate(MEETING), toy.name
            if toy is ORDINAL:
                assert set(page.locator("#gauge text").all_text_contents()) > set(toy.names)
            if toy is SILENT:
                assert "No measurement noise moves this answer" in page.locator("#sentence").inner_text()
        page.close()  # it would ask on, and find nobody


@pytest.mark.parametrize("toy", OTHERS, ids=lambda toy: toy.name)
def test_models_without_derivatives_are_measured(open_page: Open, tmp_path: Path, toy: Toy) -> None:
    toy.publish(tmp_path, check=lambda artifact: None)
    with service(tmp_path, "--measured-share", "0") as (address, _):
        page = open_page("", server=address)
        page.locator("#field-0").fill("1.2")
        settle(page)
        answer = httpx.post(f"{address}/predict", json=body(page)).json()["predictions"][0]["stability"]
        assert page.locator(".verdict").inner_text().lower().endswith(answer["verdict"])
        found = counted(page)
        stated = float(found["stated"])
        if toy.names:
            error = math.sqrt(stated * (1 - stated) * (1 / 500 + 1 / 512))
            assert abs(int(found["flips"]) / 500 - stated) < 4 * error
            page.click("#keep")
            page.locator("#field-1").fill("-1.2")
            settle(page)
            assert "shakier" in page.locator("#shakier").inner_text()
            assert not re.search("out of reach|NaN", page.locator("#comparison").inner_text())
        else:
            assert float(found["spread"]) == pytest.approx(stated, rel=4 / math.sqrt(500))
        page.close()


def test_a_value_can_be_left_out_where_the_card_says_what_stands_for_it(open_page: Open, tmp_path: Path) -> None:
    MIXED.publish(tmp_path, check=lambda artifact: None)
    with service(tmp_path) as (address, _):
        page = open_page("", server=address)
        page.locator("#field-0").fill("")
        page.select_option("#field-1", "left out: as green")
        settle(page)
        assert "left out: as 3.5" in page.locator("#input").inner_text()
        assert body(page)["instances"] == [[None, None, 1, "north"]]
        said = subprocess.run(
            [sys.executable, "-c", page.locator("#python").text_content()], capture_output=True, timeout=30, text=True
        )
        assert page.locator(".verdict").inner_text().lower().endswith(said.stdout.split()[0])
        left_out = headline(page), page.locator("#tally").inner_text()
        link = page.evaluate("location.href")
        page.locator("#field-2").fill("")  # a gap that the card does not know
        assert "a number, please" in page.locator("#input").inner_text()
        assert body(page)["instances"] == [[None, None, 1, "north"]]
        again = open_page(link, server=address)
        settle(again)
        assert body(again)["instances"] == [[None, None, 1, "north"]]
        again.locator("#field-0").fill("3.5")
        again.select_option("#field-1", "green")
        settle(again)
        assert (headline(again), again.locator("#tally").inner_text()) == left_out
        page.close()
        again.close()


def test_what_the_card_says_of_columns_and_levels_is_shown(open_page: Open, tmp_path: Path) -> None:
    site = CategoricalFeature(
        name="site", description="where it was measured", levels=("1", "2"), meanings={"2": "the other clinic"}
    )
    age = numeric("age").model_copy(update={"description": "at the first visit", "unit": "years"})
    features = (age, numeric("dose"), site)
    replace(CLASSIFIER, name="told", features=features).publish(tmp_path, check=lambda artifact: None)
    with service(tmp_path) as (address, _):
        page = open_page("", server=address)
        settle(page)
        assert "at the first visit" in page.locator("#input").inner_text()
        assert page.locator("#field-0").evaluate(DESCRIBED) == "at the first visit"
        assert page.locator("#field-2").evaluate(DESCRIBED) == "where it was measured"
        assert page.locator("#field-2 option").all_inner_texts() == ["1", "2: the other clinic"]
        page.select_option("#field-2", "2: the other clinic")
        settle(page)
        assert body(page)["instances"][0][2] == "2"
        page.locator("#card summary").click()
        assert page.locator("#card td:nth-of-type(1)").all_inner_texts() == [
            "at the first visit",
            "\u2013",
            "where it was measured",
        ]
        assert "1, 2: the other clinic" in page.locator("#card").inner_text()
        page.close()


def test_features_are_found_by_name_and_by_what_they_are(open_page: Open) -> None:
    page = open_page("#model=breast-cancer")
    settle(page)
    shown = page.locator(".field:visible label")
    assert shown.count() == 30
    page.locator("#find").fill("symm")
    assert shown.all_inner_texts() == ["mean symmetry", "symmetry error", "worst symmetry"]
    assert "3 of 30 features" in page.locator("#input").inner_text()
    page.locator("#find").fill("coastline; standard")
    assert shown.all_inner_texts() == []
    page.locator("#find").fill("COASTLINE")
    assert shown.count() == 3
    page.locator("#find").fill("")
    assert shown.count() == 30
    assert open_page("#model=diabetes").locator("#find").count() == 0


def test_examples_are_called_what_they_were_chosen_for(open_page: Open, shipped_server: str) -> None:
    page = open_page("#model=breast-cancer")
    settle(page)
    examples = httpx.get(f"{shipped_server}/models/breast-cancer").json()["card"]["examples"]
    assert body(page)["instances"] == [examples[0]["features"]]
    names = page.locator(".examples button").all_inner_texts()
    assert names[0] == "Average values"
    assert [name.split(":")[0] for name in names[1:]] == ["Typical"] * 4 + ["Borderline", "Unusual"]
    assert len(set(names)) == 7
    page.locator(".examples button").nth(6).click()
    settle(page)
    assert body(page)["instances"] == [examples[5]["features"]]
    assert words(page)[0] == "Unusual"
    page.locator(".examples button").nth(5).click()
    settle(page)
    assert words(page) != ["Known", "Sure", "Steady"]


def test_noise_that_nobody_measured_is_called_so(open_page: Open, tmp_path: Path) -> None:
    assumed = numeric("assumed", noise=default_noise(2.0, distinct=10))
    declared = numeric("declared", noise=0.3)
    for name, features in {"both": (assumed, declared), "neither": (declared, numeric("too", noise=0.1))}.items():
        replace(CLASSIFIER, name=name, features=features).publish(tmp_path, check=lambda artifact: None)
    with service(tmp_path) as (address, _):
        page = open_page("#model=both", server=address)
        settle(page)
        said = "default, not measured, for 1 of 2 features"
        for part in ("#sentence", "#effects", "#experiment"):
            assert said in page.locator(part).inner_text()
        steps = page.locator("#tornado .name").all_inner_texts()
        assert sorted(steps) == ["assumed ±0.2, default", "declared ±0.3"]
        page.locator("#card summary").click()
        assert page.locator("#card td:last-child").all_inner_texts() == ["0.2, default, not measured", "0.3"]
        page.select_option("#model", "neither")
        until(page, "document.querySelector('#curl').textContent.includes('neither')")
        settle(page)
        assert "default" not in page.locator("main").inner_text()
        page.close()


@pytest.mark.parametrize("path", ["/deep/down", "/deep/down/"])
def test_behind_a_path_prefix(open_page: Open, path: str) -> None:
    with service(ROOT / "models", "--root-path", "/deep/down") as (address, _):
        page = open_page(f"{address}{path}#model=diabetes", server=address)
        assert headline(page)
        assert f"{address}/deep/down/predict" in page.locator("#curl").text_content()
        page.close()


def test_a_token_is_asked_for(open_page: Open, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("open-sesame")
    with service(ROOT / "models", "--token-file", str(token)) as (address, _):
        page = open_page("#model=diabetes", server=address, failing=True, answered=False)
        page.get_by_label("Token").fill("open-sesame")
        page.keyboard.press("Enter")
        page.wait_for_selector("#sentence:not(:empty)")
        settle(page)
        for command in (["bash", "-c", page.locator("#curl").text_content()],
                        [sys.executable, "-c", page.locator("#python").text_content()]):  # fmt: skip
            environment = {**os.environ, "TOKEN": "open-sesame"}
            said = subprocess.run(command, capture_output=True, check=True, timeout=30, text=True, env=environment)
            assert page.locator(".verdict").inner_text().split()[-1].lower() in said.stdout
        page.close()
