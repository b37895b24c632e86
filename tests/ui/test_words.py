"""What the page says of an answer in words, by the thresholds of its service."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from chainzrule.service.artifact.noise import NoiseModel
from tests.artifacts import CLASSIFIER
from tests.processes import service
from tests.ui.conftest import Open
from tests.ui.page import body, settle, words

pytestmark = pytest.mark.ui

AGAIN, CHANGES = "It would say so again", "It may change its mind"


def flip_probabilities(address: str, rows: list[list[float]]) -> list[float]:
    answer = httpx.post(f"{address}/predict", json={"instances": rows, "observe": False}, timeout=30).json()
    return [row["stability"]["flip_probability"] for row in answer["predictions"]]


def show(page: Any, row: list[float]) -> str:
    """Fill a row into the page; returns what it says of the answer."""
    for place, value in enumerate(row):
        page.locator(f"#field-{place}").fill(str(value))
    settle(page)
    assert body(page)["instances"] == [row]
    return str(page.locator("#sentence").inner_text())


@pytest.mark.parametrize(
    ("elevated", "said"),
    [
        pytest.param(None, (AGAIN, CHANGES), id="by default"),
        pytest.param("0.2", (AGAIN, AGAIN), id="later"),
        pytest.param("0.0001", (CHANGES, CHANGES), id="sooner"),
    ],
)
def test_a_change_of_mind_begins_where_the_service_says(
    open_page: Open, tmp_path: Path, elevated: str | None, said: tuple[str, str]
) -> None:
    CLASSIFIER.publish(tmp_path, check=lambda artifact: None)
    flags = () if elevated is None else ("--elevated-flip-probability", elevated, "--unstable-flip-probability", "0.5")
    with service(tmp_path, *flags) as (address, _):
        rows = [[round(step / 20, 2), -0.5] for step in range(-40, 40)]
        found = list(zip(flip_probabilities(address, rows), rows, strict=True))
        below = next(row for probability, row in found if 0.0002 < probability < 0.009)
        above = next(row for probability, row in found if 0.011 < probability < 0.19)
        page = open_page("", server=address)
        for row, expected in zip((below, above), said, strict=True):
            assert show(page, row).startswith(expected)
        page.close()


STEADY = {"verdict": "stable", "reasons": [], "out_of_range": [], "flip_probability": 0.0, "flip_distance": 9.0}
USUAL = {"percentile": 40.0, "features": []}
LABELLED = {"label": "b", "probabilities": {"a": 0.2, "b": 0.7, "c": 0.1}, "confidence": 0.8, "novelty": USUAL}
VALUED = {"value": 3.0, "confidence": 0.8, "novelty": USUAL}
NOISE = {"volatility": 0.1, "percentile": 50.0}


def unsteady(verdict: str, *reasons: str, **more: Any) -> dict[str, Any]:
    return {**STEADY, "verdict": verdict, "reasons": list(reasons), **more}


@pytest.mark.parametrize(("row", "words", "why"), [
    ({**LABELLED, "set": ["b"]}, ("Known", "Sure", "Steady"), "only “b” comes into question. The model gives “b” 70.0"),
    ({**LABELLED, "set": ["a", "b"]}, ("Known", "In doubt", "Steady"), "80\u00a0% confidence it may be “a” or “b”."),
    ({**LABELLED, "set": []}, ("Known", "In doubt", "Steady"), "No label is as likely as the true one was in 80 of"),
    ({**LABELLED, "set": None}, ("Known", "Not known for this model", "Steady"), ""),
    ({**VALUED, "interval": [1.0, 5.0]}, ("Known", "1 to 5", "Steady"), "true value in 80 of 100 cases"),
    ({**VALUED, "interval": [None, None]}, ("Known", "In doubt", "Steady"), "too few cases were kept apart"),
    ({**LABELLED, "set": ["b"], "novelty": None}, ("Not known for this model", "Sure", "Steady"), ""),
    ({**LABELLED, "set": ["b"], "novelty": {"percentile": 100.0, "features": ["height"]},
      "stability": unsteady("elevated", "novel")}, ("Unusual", "Sure", "Steady"),
     "than all cases it was tested on: height does not fit the rest"),
    ({**LABELLED, "set": ["b"], "stability": unsteady("elevated", "out_of_range", out_of_range=["age", "bmi"])},
     ("Unusual", "Sure", "Steady"), "age and bmi lie outside the training range"),
    ({**LABELLED, "set": ["b"], "stability": unsteady("elevated", "close_call")}, ("Known", "In doubt", "Steady"),
     "only “b” comes into question. A close call: of such cases fewer than 90 in 100 are answered rightly."),
    ({**LABELLED, "set": ["b"], "stability": unsteady("elevated", "volatility")}, ("Known", "Sure", "Less steady"), ""),
    ({**LABELLED, "set": ["b"], "stability": unsteady("unstable", "flip_probability", "novel", flip_probability=0.2)},
     ("Unusual", "Sure", "Unsteady"), "about 20 in 100"),
])  # fmt: skip
def test_three_answers_in_words(open_page: Open, row: dict[str, Any], words: tuple[str, ...], why: str) -> None:
    page = open_page("#model=diabetes")
    card = {"task": "regression" if "value" in row else "classification", "target": "t", "features": []}
    found = page.evaluate(
        """async ([card, row]) => (await import(new URL("ui/words.js", document.baseURI))).trust(card, row)""",
        [card, {**row, "stability": {**NOISE, "runner_up": "a", **row.get("stability", STEADY)}}],
    )
    assert tuple(one["word"] for one in found) == words
    assert why in " ".join(one["why"] for one in found)
    assert [one["level"] == "good" for one in found] == [one["word"] in ("Known", "Sure", "Steady") for one in found]


def test_what_nobody_can_measure_is_not_called_steady(open_page: Open, tmp_path: Path) -> None:
    heavy = replace(CLASSIFIER, changes={"noise": NoiseModel(law="t", degrees_of_freedom=3.0)})
    heavy.publish(tmp_path, check=lambda artifact: None)
    with service(tmp_path, "--max-draws", "0") as (address, _):
        page = open_page("", server=address)
        settle(page)
        assert words(page)[2] == "Not measurable"
        assert page.locator("#sentence").inner_text().startswith("So much noise moves it in ways")
        verdict = page.get_by_text("s verdict:").inner_text()
        assert "not_measurable, because the noise is bounded here, or of another kind than the normal" in verdict
        assert page.locator("#gauge").count() == 0
        page.close()
    with service(tmp_path) as (address, _):
        page = open_page("", server=address)
        settle(page)
        assert words(page)[2] != "Not measurable"
        assert "counted from draws" in page.locator("#gauge").get_attribute("aria-label")
        page.close()
