"""Says how questions are sent, whichever client sends them: headers, time and retries."""

import json
import time
from typing import Any

import httpx

from chainzrule.client.questions import Question, Reply, Result
from chainzrule.client.refusals import ClientError, Refused, TimedOut, Unreachable, refused
from chainzrule.client.retries import RETRIED, Budget, seconds_of

# An idle connection may be closed just as a question is sent on it. These happen before the service has read it.
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.RemoteProtocolError)
OWN_TIME = 0.05  # seconds that the way back may take


class Attempts:
    """Follows one question through its attempts.

    Args:
        question: the question.
        token: the bearer token; None where the service asks for none.
        timeout: the seconds for all attempts together.
        budget: the retries that are left to all questions.
    """

    def __init__(self, question: Question[Result], token: str | None, timeout: float, budget: Budget) -> None:
        self._question = question
        self._token = token
        self._budget = budget
        self._end = time.monotonic() + timeout
        self._attempt = 0
        budget.asked()

    @property
    def left(self) -> float:
        """Returns the seconds that are left."""
        return self._end - time.monotonic()

    def request(self, client: "httpx.Client | httpx.AsyncClient") -> httpx.Request:
        """Returns the next attempt's request; raises `TimedOut` where there is no time left."""
        left = self.left
        if left <= 0:
            raise TimedOut("the time that the question may take ran out")
        self._attempt += 1
        headers = dict(self._question.headers)
        headers["X-Request-Timeout"] = f"{max(left - OWN_TIME, 0.001):.3f}"  # nobody waits for the answer after it
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        return client.build_request(
            self._question.method,
            self._question.path,
            content=self._question.body,
            headers=headers,
            timeout=httpx.Timeout(left),
        )

    def result(self, response: httpx.Response) -> Any:
        """Returns the result of an answer; raises `Refused` where the service refused."""
        document = None
        if response.status_code == 200 or (response.status_code == 503 and self._question.path == "/readyz"):
            return self._question.read(Reply(response.content, response.headers))
        if "json" in response.headers.get("content-type", ""):
            document = _json(response.content)
        headers = response.headers
        raise refused(
            response.status_code, document, headers.get("x-request-id"), seconds_of(headers.get("retry-after"))
        )

    def wait(self, error: Exception) -> float:
        """Returns the seconds to wait after a failed attempt; raises the error where the question is not put again."""
        if isinstance(error, Refused):
            again, retry_after = error.status in RETRIED, error.retry_after
        else:
            again, retry_after = isinstance(error, UNSENT), None
        seconds = self._budget.wait(self._attempt, retry_after, self.left) if again else None
        if seconds is None:
            raise _named(error) from error
        return seconds


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _named(error: Exception) -> Exception:
    if isinstance(error, ClientError):
        return error
    if isinstance(error, httpx.TimeoutException):
        return TimedOut("the time that the question may take ran out")
    return Unreachable(f"the service cannot be reached: {error or type(error).__name__}")
