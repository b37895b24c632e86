"""Rows for review reach their destination, and what cannot reach it is counted."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainzrule.service.policy import reviews
from chainzrule.service.policy.policies import Destination
from chainzrule.service.policy.reviews import Reviews
from tests.processes import until


class Desk(http.server.BaseHTTPRequestHandler):
    """Takes what is posted, after as many refusals as are wanted."""

    taken: list[dict[str, int]]
    refusals: list[int]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        status = self.refusals.pop(0) if self.refusals else 204
        if status == 204:
            assert self.headers["content-type"] == "application/x-ndjson"
            self.taken.extend(map(json.loads, body.splitlines()))
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def desk() -> Iterator[tuple[str, type[Desk]]]:
    handler = type("Handler", (Desk,), {"taken": [], "refusals": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/rows", handler
        server.shutdown()


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews, "PAUSES", (0.01, 0.01))


def to(place: Path | str, inputs: bool = False) -> Reviews:
    found = Reviews()
    file, webhook = (place, None) if isinstance(place, Path) else (None, place)
    found.send_to(Destination(file, webhook, inputs))
    return found


def read(path: Path) -> list[dict[str, int]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_are_appended_to_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    first = to(path)
    first.add({"row": 1})
    first.close()
    second = to(path)
    second.add({"row": 2})
    second.close()
    assert read(path) == [{"row": 1}, {"row": 2}]
    assert path.stat().st_mode & 0o777 == 0o600
    assert (first.lost, second.lost) == (0, 0)


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = to(path)
    rows.add({"row": 1})
    until(path.exists)
    until(lambda: bool(path.read_text()))
    path.rename(tmp_path / "old.jsonl")
    rows.add({"row": 2})
    rows.close()
    assert read(path) == [{"row": 2}]


def test_rows_that_cannot_be_written_are_counted(tmp_path: Path) -> None:
    rows = to(tmp_path / "nowhere" / "rows.jsonl")
    rows.add({"row": 1})
    rows.add({"row": 2})
    rows.close()
    assert rows.lost == 2


def test_rows_are_posted(desk: tuple[str, type[Desk]]) -> None:
    address, handler = desk
    rows = to(address)
    rows.add({"row": 1})
    rows.add({"row": 2})
    rows.close()
    assert handler.taken == [{"row": 1}, {"row": 2}]
    assert rows.lost == 0


def test_posting_is_tried_again_where_that_may_help(desk: tuple[str, type[Desk]]) -> None:
    address, handler = desk
    handler.refusals += [503, 429]
    rows = to(address)
    rows.add({"row": 1})
    rows.close()
    assert handler.taken == [{"row": 1}]


@pytest.mark.parametrize("refusals", [[503, 503, 503], [403]])
def test_what_is_refused_for_good_is_lost_and_counted(desk: tuple[str, type[Desk]], refusals: list[int]) -> None:
    address, handler = desk
    handler.refusals += refusals
    rows = to(address)
    rows.add({"row": 1})
    rows.close()
    assert (handler.taken, handler.refusals, rows.lost) == ([], [], 1)


def test_another_destination_takes_what_comes_from_then_on(tmp_path: Path) -> None:
    rows = to(tmp_path / "one")
    rows.add({"row": 1})
    until((tmp_path / "one").exists)
    rows.send_to(Destination(tmp_path / "two", None, True))
    assert rows.takes_inputs
    rows.add({"row": 2})
    rows.close()
    assert (read(tmp_path / "one"), read(tmp_path / "two")) == ([{"row": 1}], [{"row": 2}])


def test_without_a_destination_nothing_is_sent() -> None:
    rows = Reviews()
    rows.add({"row": 1})
    rows.close()
    assert (rows.lost, rows.takes_inputs) == (0, False)


def test_what_json_cannot_write_is_lost_and_counted(tmp_path: Path) -> None:
    rows = to(tmp_path / "rows.jsonl", inputs=True)
    rows.add({"inputs": {"age": 2**70}})
    rows.add({"row": 2})
    rows.close()
    assert (read(tmp_path / "rows.jsonl"), rows.lost) == ([{"row": 2}], 1)
