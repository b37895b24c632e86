"""A real headless Chromium, the system's own; every page is watched for errors and for requests to other hosts."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

Open = Callable[..., Any]


class Traffic:
    """What a page asks, but for the live window, which it asks for all the time."""

    QUIET = 0.4  # seconds; longer than anything on the page waits before it asks

    def __init__(self, page: Any) -> None:
        self._page = page
        self._open: set[Any] = set()
        self._last = time.monotonic()
        page.on("request", self._begin)
        page.on("requestfinished", self._end)
        page.on("requestfailed", self._end)

    def _begin(self, request: Any) -> None:
        if not request.url.endswith("/metrics") and "/stability" not in request.url:
            self._open.add(request)
            self._last = time.monotonic()

    def _end(self, request: Any) -> None:
        if request in self._open:
            self._open.remove(request)
            self._last = time.monotonic()

    def rest(self, seconds: float = 30) -> None:
        """Wait until nothing is under way and nothing new has been asked, since this was called too."""
        begin = time.monotonic()
        deadline = begin + seconds
        while self._open or time.monotonic() - max(begin, self._last) < self.QUIET:
            assert time.monotonic() < deadline, [request.url for request in self._open]
            self._page.wait_for_timeout(50)


def until(page: Any, condition: str, seconds: float = 30) -> None:
    """Wait until a condition holds; Playwright's own way would need the page's policy to allow `eval`."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(50)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is missing: `make test-ui` installs it")
    path = os.environ.get("CHROMIUM") or next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"there is no Chromium here: none of {', '.join(NAMES)} on the path, and CHROMIUM names none")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any, shipped_server: str) -> Iterator[Open]:
    """`open_page(hash, width=, height=, scheme=, server=, failing=)`: a page, once it has answered.

    `failing` says that the test makes requests fail, which Chromium writes to the console.
    """
    contexts = []
    found: list[str] = []

    def start(
        link: str = "",
        *,
        width: int = 1280,
        height: int = 900,
        scheme: str = "light",
        server: str = shipped_server,
        failing: bool = False,
        answered: bool = True,
    ) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            has_touch=width < 500,
            reduced_motion="reduce",
            locale="en-GB",
        )
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()
        page.traffic = Traffic(page)
        page.on("pageerror", lambda error: found.append(f"error: {error}"))
        page.on("console", lambda said: said.type in ("error", "warning") and not failing and found.append(said.text))
        host = urlsplit(server).netloc
        page.on("request", lambda asked: urlsplit(asked.url).netloc not in ("", host) and found.append(asked.url))
        page.goto(f"{server}/{link}" if link.startswith("#") or not link else link)
        if answered:
            page.wait_for_selector("#sentence:not(:empty)")
            until(page, "document.querySelector('#tally')?.dataset.copies > 0")
        return page

    yield start
    for context in contexts:
        context.close()
    assert not found


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of the page go: into docs/images with `make screenshots`."""
    given = os.environ.get("SCREENSHOTS")
    return Path(given) if given else tmp_path_factory.mktemp("screenshots")
