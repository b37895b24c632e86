"""What callers may ask of a model, read from a JSON object or a query string."""

import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from chainzrule.service.api.body import parse_json
from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.artifact.features import CategoricalFeature, Feature
from chainzrule.service.errors import InvalidInput, MalformedRequest, TooLarge
from chainzrule.service.serving.question import (
    DEFAULT_DRAWS,
    INCLUDES,
    MAX_NOISE_SCALE,
    MAX_RADIUS,
    MAX_SEED,
    METHODS,
    Question,
)

MAX_QUERY_BYTES = 64 * 2**10
PREDICT_MEMBERS = ("instances", "model", "version", "noise_scale", "observe", "measure")
SENSITIVITY_MEMBERS = (
    *("instances", "model", "version", "noise_scale", "top", "include", "method", "draws", "seed"),
    *("radius", "box"),
)
_PLAIN_MEMBERS = frozenset(("instances", "model", "version"))
MAX_FLOAT32 = 3.4028234e38
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def read_request(document: Mapping[str, Any], members: tuple[str, ...], max_rows: int) -> Question:
    """Check a JSON object's members and their kinds; unknown ones are refused."""
    plain = document.keys() <= _PLAIN_MEMBERS
    if not plain and not all(name in members for name in document):
        raise InvalidInput(f"has members this route does not know; it takes {', '.join(members)}", "body")
    instances: Any = document.get("instances")
    if type(instances) not in (list, np.ndarray) or len(instances) == 0:
        raise InvalidInput("must be a list of at least one row", "instances")
    if len(instances) > max_rows:
        raise TooLarge(f"must be at most {max_rows} rows; send several requests", "instances")
    if plain:
        return Question(instances, _text(document, "model"), _text(document, "version"))
    include = document.get("include", [])
    if type(include) is not list or any(item not in INCLUDES for item in include):
        raise InvalidInput(f"must be a list with any of {', '.join(INCLUDES)}", "include")
    observe = document.get("observe", True)
    if type(observe) is not bool:
        raise InvalidInput("must be true or false", "observe")
    measure = document.get("measure", False)
    if type(measure) is not bool:
        raise InvalidInput("must be true or false", "measure")
    return Question(
        instances=instances,
        model=_text(document, "model"),
        version=_text(document, "version"),
        noise_scale=_noise_scale(document.get("noise_scale", 1.0)),
        observe=observe,
        measure=measure,
        top=_top(document.get("top")),
        include=frozenset(include),
        draws=_draws(document),
        seed=_whole(document.get("seed", 0), "seed", 0, MAX_SEED),
        radius=_radius(document),
        box=_box(document),
    )


def read_query(query: bytes) -> tuple[Question, str]:
    """Check the query of `GET /sensitivity`; returns the request, still without its row, and the row's text `x`."""
    if len(query) > MAX_QUERY_BYTES:
        raise TooLarge(f"must be at most {MAX_QUERY_BYTES} bytes; use POST /sensitivity", "query")
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError:
        pairs = [] if query == b"" else _malformed_query()
    values = dict(pairs)
    known = ("x", "model", "version", "noise_scale", "top", "include")
    if len(values) != len(pairs):
        raise InvalidInput("gives a parameter twice", "query")
    if not values.keys() <= set(known):
        raise InvalidInput(f"has parameters this route does not know; it takes {', '.join(known)}", "query")
    if not values.get("x"):
        raise InvalidInput("is missing: give the row as x=1.5,2,... or x={...}, or use POST /sensitivity", "x")
    include = [part for part in values.get("include", "").split(",") if part]
    if any(part not in INCLUDES for part in include):
        raise InvalidInput(f"must be any of {', '.join(INCLUDES)}, separated by commas", "include")
    top = values.get("top")
    request = Question(
        instances=[],
        model=values.get("model"),
        version=values.get("version"),
        noise_scale=_noise_scale(_number(values["noise_scale"], "noise_scale")) if "noise_scale" in values else 1.0,
        top=None if top is None else _top(int(top) if top.isdecimal() and len(top) < 9 else top),
        include=frozenset(include),
    )
    return request, values["x"]


def read_row(text: str, card: ModelCard) -> Any:
    """The row of a query: a JSON list or object, or values separated by commas in the card's order."""
    parts = text.split(",")
    features = list(card.inputs())
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return parse_json(text.encode(), "x")
        except MalformedRequest:
            # A level may begin as JSON does; a number cannot.
            if len(parts) != len(features) or not isinstance(features[0], CategoricalFeature):
                raise
    if len(parts) != len(features):
        raise InvalidInput(f"has {len(parts)} values where the model takes {len(features)}", "x")
    return [_value(part, feature) for part, feature in zip(parts, features, strict=True)]


def read_timeout(text: str | None) -> float | None:
    """The seconds of an X-Request-Timeout header."""
    if text is None:
        return None
    seconds = _number(text, "X-Request-Timeout")
    if not 0 < seconds < math.inf:
        raise InvalidInput("must be a positive number of seconds", "X-Request-Timeout")
    return seconds


def _value(part: str, feature: Feature) -> str | float | None:
    if isinstance(feature, CategoricalFeature) and part in feature.levels:  # spaces and all
        return part
    part = part.strip()
    if part == "":
        return None
    return part if isinstance(feature, CategoricalFeature) else _number(part, f"x.{feature.name}")


def _text(document: Mapping[str, Any], member: str) -> str | None:
    value = document.get(member)
    if value is not None and type(value) is not str:
        raise InvalidInput("must be text", member)
    return value


def _noise_scale(value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value <= MAX_NOISE_SCALE:
        raise InvalidInput(f"must be a number above 0, at most {MAX_NOISE_SCALE:g}", "noise_scale")
    return float(value)


def _top(value: Any) -> int | None:
    if value is not None and (type(value) is not int or value < 1):
        raise InvalidInput("must be a whole number of at least 1", "top")
    return value


def _draws(document: Mapping[str, Any]) -> int:
    method = document.get("method", "analytic")
    if type(method) is not str or method not in METHODS:
        raise InvalidInput(f"must be one of {', '.join(METHODS)}", "method")
    if method == "monte_carlo":
        return _whole(document.get("draws", DEFAULT_DRAWS), "draws", 2, 2**31)
    other = next((member for member in ("draws", "seed") if member in document), None)
    if other is not None:
        raise InvalidInput('goes with "method": "monte_carlo" only', other)
    return 0


def _radius(document: Mapping[str, Any]) -> float | None:
    value = document.get("radius")
    if value is None:
        return None
    if document.get("box") is not None:
        raise InvalidInput("goes without a box; give one of both", "radius")
    if type(value) not in (int, float) or not 0 < value <= MAX_RADIUS:
        raise InvalidInput(f"must be a number of noise sigmas above 0, at most {MAX_RADIUS:g}", "radius")
    return float(value)


def _box(document: Mapping[str, Any]) -> dict[str, float | list[float]] | None:
    box = document.get("box")
    if box is None:
        return None
    if type(box) is not dict or not box:
        raise InvalidInput("must be an object of features and how far each may move", "box")
    for name, reach in box.items():
        ends = reach if type(reach) is list else [0.0, reach]
        if len(ends) != 2 or not all(_is_number(end) for end in ends) or not ends[0] <= ends[1]:
            place = "box" if type(name) is not str else f"box.{name}"
            raise InvalidInput("must be a distance of at least 0 to both sides, or a list [least, largest]", place)
    return box


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= MAX_FLOAT32


def _whole(value: Any, place: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise InvalidInput(f"must be a whole number from {low} to {high}", place)
    return value


def _number(text: str, place: str) -> float:
    if not _NUMBER.fullmatch(text.strip()):
        raise InvalidInput("must be a number", place)
    return float(text)


def _malformed_query() -> list[tuple[str, str]]:
    raise MalformedRequest("is not a query string; encode the parameters", "query")
