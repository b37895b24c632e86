"""Reads the question of `GET /sensitivity` from a query string."""

from typing import Any
from urllib.parse import parse_qsl

from chainzrule.service.api.bodies.document import parse_json
from chainzrule.service.api.members import parse_number, read_confidence, read_noise_scale, read_top
from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.artifact.features import CategoricalFeature, Feature
from chainzrule.service.errors import InvalidInput, MalformedRequest, TooLarge
from chainzrule.service.naming import hint
from chainzrule.service.serving.question import INCLUDES, Question
from chainzrule.service.stability.conformal import DEFAULT_CONFIDENCE

MAX_QUERY_BYTES = 64 * 2**10
PARAMETERS = ("x", "model", "version", "noise_scale", "confidence", "top", "include")


def read_query(query: bytes) -> tuple[Question, str]:
    """Returns the question in a query, which has no row yet, and the row's text `x`.

    Raises:
        TooLarge: the query is longer than `MAX_QUERY_BYTES`.
        MalformedRequest: the text is no query string.
        InvalidInput: a parameter is unknown, given twice, or not what it must be; or `x` is missing.
    """
    if len(query) > MAX_QUERY_BYTES:
        raise TooLarge(f"must be at most {MAX_QUERY_BYTES} bytes; use POST /sensitivity", "query")
    values = _parameters(query)
    if not values.get("x"):
        raise InvalidInput("is missing: give the row as x=1.5,2,... or x={...}, or use POST /sensitivity", "x")
    include = [part for part in values.get("include", "").split(",") if part]
    if any(part not in INCLUDES for part in include):
        raise InvalidInput(f"must be any of {', '.join(INCLUDES)}, separated by commas", "include")
    top = values.get("top")
    question = Question(
        instances=[],
        model=values.get("model"),
        version=values.get("version"),
        noise_scale=read_noise_scale(parse_number(values.get("noise_scale", "1"), "noise_scale")),
        confidence=read_confidence(parse_number(values.get("confidence", str(DEFAULT_CONFIDENCE)), "confidence")),
        top=None if top is None else read_top(int(top) if top.isdecimal() and len(top) < 9 else top),
        include=frozenset(include),
    )
    return question, values["x"]


def read_row(text: str, card: ModelCard) -> Any:
    """Returns the row in a query: a JSON list or object, or values separated by commas in the card's order.

    Raises:
        MalformedRequest: the text begins like JSON but is not valid JSON.
        InvalidInput: there are not as many values as the card has features, or one of them is no number.
    """
    parts = text.split(",")
    features = list(card.inputs())
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return parse_json(text.encode(), "x")
        except MalformedRequest:
            # A categorical feature's level may begin like JSON; a number cannot.
            if len(parts) != len(features) or not isinstance(features[0], CategoricalFeature):
                raise
    if len(parts) != len(features):
        raise InvalidInput(f"has {len(parts)} values where the model takes {len(features)}", "x")
    return [_value(part, feature) for part, feature in zip(parts, features, strict=True)]


def _parameters(query: bytes) -> dict[str, str]:
    try:
        text = query.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict") if text else []
    except ValueError:
        raise MalformedRequest("is not a query string; encode the parameters", "query") from None
    values = dict(pairs)
    if len(values) != len(pairs):
        raise InvalidInput("gives a parameter twice", "query")
    unknown = [name for name in values if name not in PARAMETERS]
    if unknown:
        suggestion = hint(unknown[0], PARAMETERS)
        takes = f"it takes {', '.join(PARAMETERS)}"
        raise InvalidInput(f"has parameters this route does not know{suggestion}; {takes}", "query")
    return values


def _value(part: str, feature: Feature) -> str | float | None:
    """Returns the value between two commas; an empty one is a gap."""
    if isinstance(feature, CategoricalFeature) and part in feature.levels:  # levels may begin or end with spaces
        return part
    part = part.strip()
    if part == "":
        return None
    return part if isinstance(feature, CategoricalFeature) else parse_number(part, f"x.{feature.name}")
