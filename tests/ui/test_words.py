"""What the page says of an answer in words, by the thresholds of its service."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.artifacts import CLASSIFIER
from tests.processes import service
from tests.ui.conftest import Open
from tests.ui.page import body, settle

pytestmark = pytest.mark.ui

SURE, UNSURE = "It would say so again", "It may change its mind"


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
        pytest.param(None, (SURE, UNSURE), id="by default"),
        pytest.param("0.2", (SURE, SURE), id="later"),
        pytest.param("0.0001", (UNSURE, UNSURE), id="sooner"),
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
