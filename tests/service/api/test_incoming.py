"""Requests and answers as light as the hot routes need them."""

import asyncio
from typing import Any

import pytest

from chainzrule.service.api.bodies.reading import Reading
from chainzrule.service.api.incoming import CHARGE_ROWS, Answer, Incoming
from chainzrule.service.budget import Budget
from chainzrule.service.errors import ClientLimited
from chainzrule.service.protocol import ON_DISCONNECT
from chainzrule.service.whole import WHOLE_BODY

pytestmark = pytest.mark.anyio


async def receive() -> Any:
    raise AssertionError("nobody asked for the body")


def incoming(headers: list[tuple[bytes, bytes]] | None = None, **extensions: Any) -> Incoming:
    scope = {"type": "http", "method": "GET", "headers": headers or []}
    if extensions:
        scope["extensions"] = extensions
    return Incoming(scope, receive, Reading(Budget(2**20)))


def test_headers_are_found_by_their_lower_case_names() -> None:
    request = incoming([(b"content-type", b"a/b"), (b"x-odd", b"\xe9"), (b"twice", b"1"), (b"twice", b"2")])
    assert request.header(b"content-type") == "a/b"
    assert request.header(b"x-odd") == "\u00e9"
    assert request.header(b"twice") == "2"
    assert request.header(b"absent") is None
    assert request.headers["content-type"] == "a/b"  # Starlette's way, for whoever needs it


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"application/json", "application/json"),
        (b"application/octet-stream", "application/octet-stream"),
        (b" Application/JSON ; charset=utf-8", "application/json"),
        (b"text/\xe9", "text/\u00e9"),
        (b"", ""),
    ],
)
def test_the_content_type_is_read_without_its_parameters(header: bytes, found: str) -> None:
    assert incoming([(b"content-type", header)]).media_type == found
    assert incoming().media_type is None


def test_a_body_that_is_there_is_taken_whole() -> None:
    assert incoming(**{WHOLE_BODY: lambda: b"all of it"}).whole_body() == b"all of it"
    assert incoming(**{WHOLE_BODY: lambda: None}).whole_body() is None
    assert incoming().whole_body() is None  # of a server that does not offer it


async def test_a_client_that_leaves_ends_the_task_that_answers_it() -> None:
    watching: list[Any] = []
    request = incoming(**{ON_DISCONNECT: watching.append})

    async def answer() -> None:
        request.follow_client()
        await asyncio.sleep(60)

    task = asyncio.create_task(answer())
    await asyncio.sleep(0)
    (leave,) = watching
    assert not request.gone
    leave()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert request.gone


async def test_without_a_server_that_tells_nobody_is_followed() -> None:
    request = incoming()
    request.follow_client()
    assert not request.gone


async def test_an_answer_has_its_headers_as_they_are_sent() -> None:
    answer = Answer(b"{}", 503, headers=((b"retry-after", b"1"),))
    assert (answer.status_code, answer.body) == (503, b"{}")
    assert answer.raw_headers == [
        (b"content-length", b"2"),
        (b"content-type", b"application/json"),
        (b"retry-after", b"1"),
    ]
    plain = Answer(b"x" * 1000, content_type=b"text/plain")
    assert (plain.status_code, plain.headers["content-length"]) == (200, "1000")
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await plain({"type": "http"}, receive, send)  # as Starlette's own, which FastAPI sends
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[1]["body"] == plain.body


def test_rows_are_charged_to_a_limited_client_alone() -> None:
    incoming().charge_rows(3)
    charged: list[int] = []
    request = incoming()
    request.scope[CHARGE_ROWS] = charged.append
    request.charge_rows(3)
    assert charged == [3]

    def refuse(rows: int) -> None:
        raise ClientLimited("enough")

    request.scope[CHARGE_ROWS] = refuse
    with pytest.raises(ClientLimited):
        request.charge_rows(1)
