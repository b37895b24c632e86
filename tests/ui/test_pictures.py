"""The pictures in the README, taken by `make screenshots`."""

from pathlib import Path

import pytest

from tests.ui.conftest import Open
from tests.ui.page import SIZES, settle
from tests.ui.strokes import AMBIGUOUS, draw

pytestmark = pytest.mark.ui


@pytest.mark.parametrize(("name", "model", "size", "scheme"), [
    ("digits", "digits", "desktop", "light"), ("table", "breast-cancer", "desktop", "dark"),
    ("phone", "digits", "phone", "light"), ("whole-digits", "digits", "desktop", "dark"),
    ("whole-table", "diabetes", "desktop", "light"), ("whole-phone", "breast-cancer", "phone", "dark"),
])  # fmt: skip
def test_pictures(open_page: Open, screenshots: Path, name: str, model: str, size: str, scheme: str) -> None:
    width, height = SIZES[size]
    page = open_page(f"#model={model}&noise=3", width=width, height=height, scheme=scheme)
    if model == "digits":
        page.click("#clear")
        draw(page, AMBIGUOUS["4 or 9"])
    settle(page)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.wait_for_timeout(200)
    path = screenshots / f"playground-{name}.png"
    page.screenshot(path=path, full_page=name.startswith("whole"))
    assert path.stat().st_size > 10_000
