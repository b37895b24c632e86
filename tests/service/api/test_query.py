"""`GET /sensitivity`: what its query may say."""

import httpx
import pytest

from chainzrule.service.api.query import MAX_QUERY_BYTES, read_query, read_row
from chainzrule.service.errors import MalformedRequest, TooLarge
from chainzrule.service.serving.question import Question
from tests.artifacts import CLASSIFIER, MIXED, Toy, categorical, numeric
from tests.service.api.refusals import MARK, Case, assert_refused
from tests.service.api.test_exchange import call

pytestmark = pytest.mark.anyio


def asked(query: str, status: int, slug: str, place: str | None) -> Case:
    return Case(f"GET {query[:40]}", status, slug, None, "GET", f"/sensitivity?{query}", {}, place)


CASES = [
    asked("", 422, "invalid-input", "x"),
    asked("x=", 422, "invalid-input", "x"),
    asked("model=toy", 422, "invalid-input", "x"),
    asked("x", 400, "malformed-request", "query"),
    asked("&&", 400, "malformed-request", "query"),
    asked("x=1,2&x=1,2", 422, "invalid-input", "query"),
    asked(f"x=1,2&{MARK}=1", 422, "invalid-input", "query"),
    asked(f"x=1,{MARK}", 422, "invalid-input", "x.weight"),
    asked("x=1", 422, "invalid-input", "x"),
    asked("x=1,2,3", 422, "invalid-input", "x"),
    asked("x=1,", 422, "invalid-input", "x.weight"),
    asked("x=1,nan", 422, "invalid-input", "x.weight"),
    asked("x=1,inf", 422, "invalid-input", "x.weight"),
    asked("x=1,1e999", 422, "invalid-input", "x.weight"),
    asked("x=1,1_0", 422, "invalid-input", "x.weight"),
    asked("x=%ff,2", 400, "malformed-request", "query"),
    asked("x=%ed%a0%80,2", 400, "malformed-request", "query"),
    asked("x=[1,2", 400, "malformed-request", "x"),
    asked("x=[1,NaN]", 400, "malformed-request", "x"),
    asked("x=[1,1e999]", 422, "invalid-input", "x"),
    asked("x=" + "[" * 2000, 422, "invalid-input", "x"),
    asked('x={"height":1,"height":1,"weight":2}', 422, "invalid-input", "x"),
    asked('x={"height":1}', 422, "invalid-input", "x.weight"),
    asked(f'x=[1,"{MARK}"]', 422, "invalid-input", "x.weight"),
    asked("x=1,2&top=0", 422, "invalid-input", "top"),
    asked(f"x=1,2&top={MARK}", 422, "invalid-input", "top"),
    asked("x=1,2&top=-1", 422, "invalid-input", "top"),
    asked("x=1,2&top=99999999999", 422, "invalid-input", "top"),
    asked("x=1,2&noise_scale=0", 422, "invalid-input", "noise_scale"),
    asked("x=1,2&noise_scale=1e999", 422, "invalid-input", "noise_scale"),
    asked(f"x=1,2&noise_scale={MARK}", 422, "invalid-input", "noise_scale"),
    asked("x=1,2&confidence=1", 422, "invalid-input", "confidence"),
    asked("x=1,2&confidence=", 422, "invalid-input", "confidence"),
    asked(f"x=1,2&confidence={MARK}", 422, "invalid-input", "confidence"),
    asked(f"x=1,2&include={MARK}", 422, "invalid-input", "include"),
    asked(f"x=1,2&model={MARK}", 404, "unknown-model", "model"),
    asked("x=1,2&version=9", 404, "unknown-version", "version"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_every_failure_has_its_status_in_the_one_shape(client: httpx.AsyncClient, case: Case) -> None:
    await assert_refused(client, case)


async def test_a_query_beyond_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    app = client.app  # type: ignore[attr-defined]
    start = (await call(app, path="/sensitivity", query_string=b"x=" + b"1" * 70_000))[0]
    assert start["status"] == 413
    start = (await call(app, path="/sensitivity", query_string=b"x=1,\xff"))[0]
    assert start["status"] == 400


def test_exactly_the_limit_is_read() -> None:
    query = b"x=" + b"1" * (MAX_QUERY_BYTES - 2)
    assert read_query(query)[1] == "1" * (MAX_QUERY_BYTES - 2)
    with pytest.raises(TooLarge, match="use POST /sensitivity") as caught:
        read_query(query + b"1")
    assert caught.value.place == "query"


def test_a_query_says_what_it_says() -> None:
    assert read_query(b"x=1,2") == (Question(instances=[]), "1,2")
    question, row = read_query(
        b"x=%7B%7D&model=a%20b&version=&noise_scale=+2.5&confidence=.75&top=3&include=layers,jacobian,"
    )
    assert row == "{}"
    assert (question.model, question.version, question.noise_scale, question.top) == ("a b", "", 2.5, 3)
    assert question.confidence == 0.75
    assert question.include == {"layers", "jacobian"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5,red,-2,north", [1.5, "red", -2.0, "north"]),
        (" 1 , green , 2 , south ", [1.0, "green", 2.0, "south"]),
        (",,1,north", [None, None, 1.0, "north"]),
        ('[1, "red", 2, "north"]', [1, "red", 2, "north"]),
        (' {"age": 1}', {"age": 1}),
    ],
)
def test_a_row_is_values_in_the_cards_order_or_json(text: str, expected: object) -> None:
    assert read_row(text, MIXED.card()) == expected


def test_a_level_may_look_like_json_or_have_spaces() -> None:
    card = Toy(features=(categorical("kind", "[a", " b "), numeric("size"))).card()
    assert read_row("[a,1", card) == ["[a", 1.0]
    assert read_row(" b ,1", card) == [" b ", 1.0]
    with pytest.raises(MalformedRequest):
        read_row("[a,1,2", card)
    with pytest.raises(MalformedRequest):
        read_row("[1,2", CLASSIFIER.card())
