"""What cannot be read and what is passed over is said once, and not at every look."""

import logging

import pytest

from chainzrule.service.serving import notices
from chainzrule.service.serving.notices import Notices


def test_what_cannot_be_looked_at_is_said_when_it_is_news(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(notices.time, "monotonic", lambda: now)
    found = Notices()

    def said() -> list[tuple[str, str]]:
        records = [(record.levelname, getattr(record, "place", "")) for record in caplog.records]
        caplog.clear()
        return records

    with caplog.at_level(logging.INFO):
        for _ in range(3):
            found.cannot_look({"a": "Permission denied"})
        assert said() == [("ERROR", "a")]
        assert found.unreadable == {"a": "Permission denied"}
        found.cannot_look({"a": "Permission denied", "b/1": "Input/output error"})
        assert said() == [("ERROR", "a"), ("ERROR", "b/1")]
        now = 601.0
        found.cannot_look({"a": "Permission denied", "b/1": "Input/output error"})
        assert len(said()) == 2  # again, after ten minutes
        for _ in range(2):
            found.cannot_look({})
        assert said() == [("INFO", "")]
        assert found.unreadable == {}
        found.cannot_look({"a": "Permission denied"})
        assert said() == [("ERROR", "a")]


def test_what_is_passed_over_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    found = Notices()
    for _ in range(3):
        found.passed_over({"a/v1": "is no number"})
    found.passed_over({"a/v1": "is no number", "b/01": "is no number"})
    assert [record.place for record in caplog.records] == ["a/v1", "b/01"]  # type: ignore[attr-defined]
    found.passed_over({})
    found.passed_over({"a/v1": "is no number"})  # it was gone, and came again
    assert len(caplog.records) == 3
