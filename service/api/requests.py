"""Reads questions to a model from JSON objects."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainzrule.service.api import misplaced
from chainzrule.service.api.bodies.extent import too_many_rows
from chainzrule.service.api.change import read_change
from chainzrule.service.api.members import (
    is_float32,
    parse_number,
    read_confidence,
    read_flag,
    read_noise_scale,
    read_text,
    read_top,
    read_whole,
)
from chainzrule.service.errors import InvalidInput
from chainzrule.service.serving.asked import AskedCovariance, AskedNoise
from chainzrule.service.serving.question import DEFAULT_DRAWS, INCLUDES, MAX_RADIUS, MAX_SEED, METHODS, Question
from chainzrule.service.stability.conformal import DEFAULT_CONFIDENCE

PREDICT_MEMBERS = ("instances", "model", "version", "noise_scale", "noise", "confidence", "observe", "measure")
SENSITIVITY_MEMBERS = (
    *("instances", "model", "version", "noise_scale", "noise", "confidence", "top", "include", "method", "draws"),
    *("seed", "radius", "box", "baseline", "counterfactual"),
)
_PLAIN_MEMBERS = frozenset(("instances", "model", "version"))


def read_request(
    document: dict[str, Any], members: tuple[str, ...], max_rows: int, path: Mapping[str, str] | None = None
) -> Question:
    """Returns the question in a JSON object, which may have these members; the model may be in the path instead.

    Raises:
        InvalidInput: a member is unknown or has an invalid value, or the path names another model.
        TooLarge: there are more than `max_rows` rows.
    """
    if path and document.setdefault("model", path["model"]) != path["model"]:
        raise InvalidInput("must be the model in the path, or be left out", "model")
    plain = document.keys() <= _PLAIN_MEMBERS
    if not plain and not all(name in members for name in document):
        raise misplaced.unknown_members(document, members)
    instances: Any = document.get("instances")
    if type(instances) not in (list, np.ndarray) or len(instances) == 0:
        raise misplaced.no_list(instances)
    if len(instances) > max_rows:
        raise misplaced.flat_row() if misplaced.is_flat(instances) else too_many_rows(max_rows)
    model, version = document.get("model"), document.get("version")
    if plain:
        return Question(instances, read_text(model, "model"), read_text(version, "version"))
    include = document.get("include", [])
    if type(include) is not list or any(item not in INCLUDES for item in include):
        raise InvalidInput(f"must be a list with any of {', '.join(INCLUDES)}", "include")
    return Question(
        instances=instances,
        observe=read_flag(document.get("observe", True), "observe"),
        measure=read_flag(document.get("measure", False), "measure"),
        model=read_text(model, "model"),
        version=read_text(version, "version"),
        noise_scale=read_noise_scale(document.get("noise_scale", 1.0)),
        noise=_noise(document),
        confidence=read_confidence(document.get("confidence", DEFAULT_CONFIDENCE)),
        top=read_top(document.get("top")),
        include=frozenset(include),
        draws=_draws(document),
        seed=read_whole(document.get("seed", 0), "seed", 0, MAX_SEED),
        radius=_radius(document),
        box=_box(document),
        baseline=_baseline(document, include),
        counterfactual=read_change(document.get("counterfactual")),
    )


def read_timeout(text: str | None) -> float | None:
    """Returns the seconds of an X-Request-Timeout header; None where there is none."""
    if text is None:
        return None
    seconds = parse_number(text, "X-Request-Timeout")
    if not 0 < seconds < math.inf:
        raise InvalidInput("must be a positive number of seconds", "X-Request-Timeout")
    return seconds


def _noise(document: Mapping[str, Any]) -> AskedNoise | None:
    """Returns the noise of some features that stands in place of the card's."""
    noise = document.get("noise")
    if noise is None:
        return None
    if type(noise) is not dict or not noise:
        raise InvalidInput(
            "must be an object of features and their standard deviations, or of features and a covariance", "noise"
        )
    if any(document.get(member) is not None for member in ("radius", "box", "counterfactual")):
        raise InvalidInput(
            "goes without a radius, a box or a counterfactual, which are in sigmas of the card's noise", "noise"
        )
    if type(noise.get("features")) is list:
        return _covariance(noise)
    for name, sd in noise.items():
        if not is_float32(sd) or sd < 0:
            raise InvalidInput("must be a standard deviation of at least 0, in the feature's unit", f"noise.{name}")
    return {name: float(sd) for name, sd in noise.items()}


def _covariance(noise: Mapping[str, Any]) -> AskedCovariance:
    features, rows = noise["features"], noise.get("covariance")
    if noise.keys() != {"features", "covariance"}:
        raise InvalidInput("with a list of features takes a covariance and nothing else", "noise")
    if not features or not all(type(name) is str for name in features):
        raise InvalidInput("must be a list of one or more features", "noise.features")
    if type(rows) is not list or not all(type(row) is list and all(map(is_float32, row)) for row in rows):
        raise InvalidInput("must be a list of rows, each a list of numbers", "noise.covariance")
    return AskedCovariance(features, rows)


def _draws(document: Mapping[str, Any]) -> int:
    """Returns the number of noise draws for each row; 0 where the method is another."""
    method = document.get("method", "analytic")
    if type(method) is not str or method not in METHODS:
        raise InvalidInput(f"must be one of {', '.join(METHODS)}", "method")
    if method == "monte_carlo":
        return read_whole(document.get("draws", DEFAULT_DRAWS), "draws", 2, 2**31)
    other = next((member for member in ("draws", "seed") if member in document), None)
    if other is not None:
        raise InvalidInput('goes with "method": "monte_carlo" only', other)
    return 0


def _radius(document: Mapping[str, Any]) -> float | None:
    """Returns the radius of the box to certify, in noise sigmas."""
    value = document.get("radius")
    if value is None:
        return None
    if document.get("box") is not None:
        raise InvalidInput("goes without a box; give one of both", "radius")
    if type(value) not in (int, float) or not 0 < value <= MAX_RADIUS:
        raise InvalidInput(f"must be a number of noise sigmas above 0, at most {MAX_RADIUS:g}", "radius")
    return float(value)


def _box(document: Mapping[str, Any]) -> dict[str, float | list[float]] | None:
    """Returns how far each feature of the box to certify may move."""
    box = document.get("box")
    if box is None:
        return None
    if type(box) is not dict or not box:
        raise InvalidInput("must be an object of features and how far each may move", "box")
    for name, reach in box.items():
        ends = reach if type(reach) is list else [0.0, reach]
        if len(ends) != 2 or not all(is_float32(end) for end in ends) or not ends[0] <= ends[1]:
            place = "box" if type(name) is not str else f"box.{name}"
            raise InvalidInput("must be a distance of at least 0 to both sides, or a list [least, largest]", place)
    return box


def _baseline(document: Mapping[str, Any], include: list[str]) -> list[Any] | dict[str, Any] | None:
    """Returns the row that attributions start from, as it was sent."""
    row: list[Any] | dict[str, Any] | None = document.get("baseline")
    if row is None:
        return None
    if "attributions" not in include:
        raise InvalidInput('goes with "include": ["attributions"] only', "baseline")
    if type(row) not in (list, dict):
        raise InvalidInput("must be a row, as a list or an object", "baseline")
    return row
