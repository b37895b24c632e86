"""Logs: one JSON object a line, with the request's id."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from chainzrule.service.telemetry import logs
from chainzrule.service.telemetry.logs import configure_logs, request_id


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    kept = root.handlers, root.level
    stream = io.StringIO()
    monkeypatch.setattr(logs.sys, "stderr", stream)
    configure_logs("info")
    yield stream
    root.handlers, root.level = kept


def lines(output: io.StringIO) -> list[dict[str, object]]:
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


def test_less_severe_lines_are_left_out(output: io.StringIO) -> None:
    configure_logs("error")
    logging.getLogger("service").warning("odd")
    logging.getLogger("uvicorn.error").info("Started")
    assert lines(output) == []


def test_uvicorns_lines_go_the_same_way(output: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").info("Started", extra={"color_message": "\x1b[36mStarted"})
    (line,) = lines(output)
    assert line["message"] == "Started"
    assert "color_message" not in line
