"""Writes questions as the service's routes take them, and reads their answers, without any network."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from chainzrule.client.answers import Answers, Explanation, Prediction, Row, read_answers
from chainzrule.client.rows import index_of, rows_of

Result = TypeVar("Result")
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Reply:
    """Holds an answer as it was sent: its body, and its headers by their names in lower case."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> Any:
        """Returns the body's JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Question(Generic[Result]):
    """Holds what is sent, and how the answer is read."""

    method: str
    path: str
    read: Callable[[Reply], Result]
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def predictions(rows: Any, **members: Any) -> "Question[Answers[Prediction]]":
    """Returns a question for predictions."""
    return _about_rows("/predict", Prediction, rows, members)


def explanations(rows: Any, **members: Any) -> "Question[Answers[Explanation]]":
    """Returns a question for predictions with their sensitivities."""
    return _about_rows("/sensitivity", Explanation, rows, members)


def document(path: str) -> "Question[Any]":
    """Returns a question that is answered by a JSON document."""
    return Question("GET", path, Reply.document)


def models() -> "Question[Sequence[Mapping[str, Any]]]":
    """Returns a question for the models that are served."""
    return Question("GET", "/models", _read_models)


def about(model: str, part: str = "", version: str | None = None) -> "Question[Any]":
    """Returns a question about a model, or about one of its versions."""
    chosen = "" if version is None else f"?version={quote(version, safe='')}"
    return document(f"/models/{quote(model, safe='')}{part}{chosen}")


def ready() -> "Question[bool]":
    """Returns the question whether traffic is welcome."""
    return Question("GET", "/readyz", _read_ready)


def _about_rows(path: str, kind: type[Row], rows: Any, members: Mapping[str, Any]) -> "Question[Answers[Row]]":
    listed, index = rows_of(rows), index_of(rows)
    given = {name: value for name, value in members.items() if value is not None}
    body = json.dumps({"instances": listed, **given}, allow_nan=False, separators=(",", ":"), default=_plain)
    return Question("POST", path, lambda reply: read_answers(kind, reply.document(), index), body.encode(), JSON)


def _plain(value: Any) -> Any:
    """Returns numpy's numbers and arrays as JSON has them, such as those of a covariance."""
    if not hasattr(value, "tolist"):
        raise TypeError(f"a {type(value).__name__} cannot be sent")
    return value.tolist()


def _read_models(reply: Reply) -> Sequence[Mapping[str, Any]]:
    listed: Sequence[Mapping[str, Any]] = reply.document()["models"]
    return listed


def _read_ready(reply: Reply) -> bool:
    return bool(reply.document()["ready"])
