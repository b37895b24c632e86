"""A question has its time, its token, and only the retries that may help."""

import httpx
import pytest

from chainzrule.client import questions
from chainzrule.client.refusals import Refused, TimedOut, Unreachable
from chainzrule.client.retries import Budget, Retries
from chainzrule.client.sending import Attempts


def attempts(token: str | None = None, timeout: float = 30.0) -> Attempts:
    return Attempts(questions.predictions([[1, 2]]), token, timeout, Budget(Retries()))


def test_requests_have_the_token_and_the_time_that_is_left() -> None:
    with httpx.Client(base_url="http://localhost:1/prefix/") as client:
        request = attempts("s3cret").request(client)
        assert request.headers["authorization"] == "Bearer s3cret"
        assert 0 < float(request.headers["x-request-timeout"]) < 30
        assert str(request.url) == "http://localhost:1/prefix/predict"
        assert "authorization" not in attempts().request(client).headers
        with pytest.raises(TimedOut):
            attempts(timeout=0).request(client)


@pytest.mark.parametrize(("status", "again"), [(429, True), (503, True), (400, False), (401, False), (500, False)])
def test_only_what_was_not_done_is_asked_again(status: int, again: bool) -> None:
    asked = attempts()
    response = httpx.Response(status, json={"detail": "no"}, headers={"retry-after": "1", "x-request-id": "abc"})
    with pytest.raises(Refused) as caught:
        asked.result(response)
    assert (caught.value.status, caught.value.retry_after, caught.value.request_id) == (status, 1.0, "abc")
    if again:
        assert asked.wait(caught.value) >= 1.0
    else:
        with pytest.raises(Refused):
            asked.wait(caught.value)


@pytest.mark.parametrize(
    ("error", "named"),
    [(httpx.ReadError("x"), Unreachable), (httpx.ReadTimeout("x"), TimedOut), (httpx.WriteTimeout("x"), TimedOut)],
)
def test_what_may_have_been_done_is_not_asked_again(error: Exception, named: type[Exception]) -> None:
    with pytest.raises(named):
        attempts().wait(error)
    assert attempts().wait(httpx.ConnectError("x")) > 0


def test_pages_of_proxies_are_refusals_too() -> None:
    with pytest.raises(Refused, match="status 502 and no reason"):
        attempts().result(httpx.Response(502, html="<h1>Bad Gateway</h1>"))
    with pytest.raises(Refused, match="status 502 and no reason"):
        attempts().result(httpx.Response(502, content=b"{", headers={"content-type": "application/json"}))
