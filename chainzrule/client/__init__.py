"""Asks a running service: `Client`, and `AsyncClient` for event loops. It needs the extra `client` alone.

from chainzrule.client import Client

with Client("http://localhost:8000") as client:
    for prediction in client.predict(rows, model="diabetes"):
        print(prediction.value, prediction.stability.verdict)
"""

try:
    import httpx  # noqa: F401 - so that what is missing is said here
except ImportError as error:
    from chainzrule.extras import advice

    raise ImportError(f"chainzrule.client cannot be imported: {advice(error)}") from error

from chainzrule.client.answers import (
    Answers,
    Certificate,
    Decision,
    Explanation,
    Novelty,
    Prediction,
    Sensitivity,
    Stability,
)
from chainzrule.client.asynchronous import AsyncClient
from chainzrule.client.client import Client
from chainzrule.client.refusals import ClientError, Refused, TimedOut, Unreachable
from chainzrule.client.retries import Retries

__all__ = [
    "Answers",
    "AsyncClient",
    "Certificate",
    "Client",
    "ClientError",
    "Decision",
    "Explanation",
    "Novelty",
    "Prediction",
    "Refused",
    "Retries",
    "Sensitivity",
    "Stability",
    "TimedOut",
    "Unreachable",
]
