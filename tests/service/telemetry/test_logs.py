"""Logs: one JSON object a line, with the request's id; floods are limited, and nobody waits for a reader."""

import io
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator

import pytest

from chainzrule.service.telemetry import logs
from chainzrule.service.telemetry.logs import configure_logs, lost_lines, request_id
from chainzrule.service.telemetry.repeats import MOST
from tests.processes import ROOT


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    kept = root.handlers, root.level
    stream = io.StringIO()
    monkeypatch.setattr(logs.sys, "stderr", stream)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(logs, "_handler", None)
    configure_logs("info")
    yield stream
    root.handlers[0].close()
    root.handlers, root.level = kept


def lines(output: io.StringIO) -> list[dict[str, object]]:
    logging.getLogger().handlers[0].flush()
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_one_object_a_line(output: io.StringIO) -> None:
    logging.getLogger("service.x").info("model ready", extra={"model": "a\nb", "version": "1"})
    (line,) = lines(output)
    assert (line["level"], line["logger"], line["message"]) == ("INFO", "service.x", "model ready")
    assert (line["model"], line["version"]) == ("a\nb", "1")
    assert "request_id" not in line
    assert str(line["time"]).startswith("2")


def test_the_request_id_is_in_it(output: io.StringIO) -> None:
    token = request_id.set("abc")
    try:
        logging.getLogger("service").warning("odd")
    finally:
        request_id.reset(token)
    assert lines(output)[0]["request_id"] == "abc"


def test_errors_carry_their_traceback(output: io.StringIO) -> None:
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        logging.getLogger("service").exception("unexpected error")
    assert "RuntimeError: broken" in str(lines(output)[0]["exc_info"])


def said(program: str, level: str = "info") -> list[dict[str, object]]:
    """The lines of a process of its own."""
    begin = f"import logging\nfrom chainzrule.service.telemetry.logs import configure_logs\nconfigure_logs('{level}')\n"
    command = [sys.executable, "-c", begin + program]
    found = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, check=True, timeout=60)
    return [json.loads(line) for line in found.stderr.splitlines()]


def test_less_severe_lines_are_left_out() -> None:
    both = "for name in ('x', 'uvicorn.error'): logging.getLogger(name)"
    program = f"{both}.warning('odd')\n{both}.error('wrong')"
    assert [line["message"] for line in said(program, "error")] == ["wrong", "wrong"]


def test_uvicorns_lines_go_the_same_way(output: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").info("Started", extra={"color_message": "\x1b[36mStarted"})
    (line,) = lines(output)
    assert line["message"] == "Started"
    assert "color_message" not in line


def test_pythons_warnings_are_lines() -> None:
    (line,) = said("import numpy as np\nnp.float64(1e308) * np.float64(10)")
    assert (line["level"], line["logger"], line["category"]) == ("WARNING", "py.warnings", "RuntimeWarning")
    assert "overflow" in str(line["message"])
    assert line["place"] == "<string>:5"


def test_a_flood_of_one_warning_is_cut_and_counted(output: io.StringIO) -> None:
    for number in range(MOST + 5):
        logging.getLogger("service.x").warning("odd %d", number)
        logging.getLogger("service.x").info("even")
    logging.getLogger("service.x").warning("else")
    found = lines(output)
    assert [line["message"] for line in found if line["level"] == "WARNING"] == [
        *(f"odd {number}" for number in range(MOST)),
        "else",
    ]
    assert sum(line["message"] == "even" for line in found) == MOST + 5
    assert lost_lines() == {"unread": 0, "repeated": 5}
    logging.getLogger().handlers[0].close()
    last = json.loads(output.getvalue().splitlines()[-1])
    assert (last["level"], last["warning"], last["lines"]) == ("WARNING", "odd %d", 5)


def test_a_line_that_cannot_be_made_does_no_harm() -> None:
    program = "logging.raiseExceptions = False\nlog = logging.getLogger('x')\n"
    program += "log.info('%d', 'no number')\nlog.info('\\udcff')\nlog.info('last', extra={'odd': object()})"
    assert [line["message"] for line in said(program)] == ["\udcff", "last"]


PROGRAM = """
import logging, sys
from chainzrule.service.telemetry.logs import configure_logs, lost_lines
configure_logs("info")
for number in range(100_000):
    logging.getLogger("x").info("a line of some length that nobody reads")
print(lost_lines()["unread"] > 0, flush=True)
"""


def test_a_process_whose_log_nobody_reads_goes_on_and_ends() -> None:
    reader, end = os.pipe()
    try:
        found = subprocess.run(
            [sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, stderr=end, check=True, timeout=60
        )
    finally:
        os.close(reader)
        os.close(end)
    assert found.stdout == b"True\n"


@pytest.mark.parametrize("closing", ["2>&-", "2>/dev/full"])
def test_a_process_without_a_log_goes_on_and_ends(closing: str) -> None:
    command = ["sh", "-c", f"{sys.executable} -c '{PROGRAM}' {closing}"]
    subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=60)


def test_the_last_lines_before_the_end_are_written() -> None:
    assert [line["message"] for line in said("logging.getLogger('x').info('last')")] == ["last"]
