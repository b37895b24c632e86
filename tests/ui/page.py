"""What tests do with an open page, and read off it."""

import json
import shlex
from typing import Any

from tests.ui.conftest import until

MODELS = ("digits", "breast-cancer", "diabetes")
SIZES = {"desktop": (1280, 900), "phone": (360, 780)}


def settle(page: Any) -> None:
    """Wait until everything that follows from what was done has been asked and answered."""
    page.traffic.rest()


def headline(page: Any) -> str:
    return str(page.locator(".headline").inner_text())


def words(page: Any) -> list[str]:
    """The three words of the answer: does the model know such inputs, how sure may one be, how steady is it."""
    found: list[str] = page.locator("#trust .word > span:last-child").all_inner_texts()
    return found


def counted(page: Any) -> dict[str, str]:
    """What the experiment has counted so far, once it has counted anything of this input."""
    until(page, "document.querySelector('#tally').dataset.copies > 0")
    settle(page)
    found: dict[str, str] = page.locator("#tally").evaluate("node => ({...node.dataset})")
    return found


def body(page: Any) -> Any:
    """What the page's command line sends."""
    command = shlex.split(page.locator("#curl").text_content().replace("\\\n", " "))
    return json.loads(command[command.index("-d") + 1])
