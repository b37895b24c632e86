"""`GET /sensitivity`: what its query may say."""

import httpx
import pytest

from tests.service.api.refusals import MARK, Case, assert_refused

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
    asked(f"x=1,2&include={MARK}", 422, "invalid-input", "include"),
    asked(f"x=1,2&model={MARK}", 404, "unknown-model", "model"),
    asked("x=1,2&version=9", 404, "unknown-version", "version"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_every_failure_has_its_status_in_the_one_shape(client: httpx.AsyncClient, case: Case) -> None:
    await assert_refused(client, case)
