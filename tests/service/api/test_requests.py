"""What a question may say: its members, its rows and its headers; everything else is refused where it stands."""

import random
from typing import Any

import httpx
import orjson
import pytest

from tests.service.api.refusals import JSON, MARK, Case, assert_refused, invalid, question

pytestmark = pytest.mark.anyio


CASES = [
    # 413.
    Case("too many rows", 413, "too-large", {"instances": [[1.0, 2.0]] * 65}, place="instances"),
    Case("too many rows of nonsense", 413, "too-large", {"instances": [MARK] * 65}, place="instances"),
    Case(
        "too many rows to explain",
        413,
        "too-large",
        {"instances": [[1.0, 2.0]] * 17},
        path="/sensitivity",
        place="instances",
    ),
    # Members.
    invalid("no instances", "{}", "instances"),
    invalid("empty instances", {"instances": []}, "instances"),
    invalid("instances are an object", {"instances": {MARK: 1}}, "instances"),
    invalid("instances are null", {"instances": None}, "instances"),
    invalid("instances are text", {"instances": MARK}, "instances"),
    invalid("unknown member", question(**{MARK: 1}), "body"),
    invalid("sensitivity's member", question(top=1), "body"),
    invalid("model is a number", question(model=1), "model"),
    invalid("model is a list", question(model=[MARK]), "model"),
    invalid("version is a number", question(version=1), "version"),
    *(
        invalid(f"noise_scale {scale!r}", question(noise_scale=scale), "noise_scale")
        for scale in (0, -1, 100.1, True, MARK, None, [])
    ),
    *(invalid(f"observe {observe!r}", question(observe=observe), "observe") for observe in (0, 1, MARK, None)),
    # Rows.
    invalid("row is empty", {"instances": [[]]}, "instances[0]"),
    invalid("row is null", {"instances": [[1, 2], None]}, "instances[1]"),
    invalid("row is text", {"instances": [MARK]}, "instances[0]"),
    invalid("row is a number", {"instances": [1.0, 2.0]}, "instances[0]"),
    invalid("short row", {"instances": [[1, 2], [1]]}, "instances[1]"),
    invalid("long row", {"instances": [[1, 2, 3]]}, "instances[0]"),
    invalid("ragged rows", {"instances": [[1], [2, 3, 4]]}, "instances[0]"),
    invalid("nested row", {"instances": [[[1, 2]]]}, "instances[0]"),
    invalid("text for a number", {"instances": [[1, MARK]]}, "instances[0].weight"),
    invalid("text of a number", {"instances": [[1, "2"]]}, "instances[0].weight"),
    invalid("boolean for a number", {"instances": [[1, 2], [True, 2]]}, "instances[1].height"),
    invalid("null for a number", {"instances": [[1, None]]}, "instances[0].weight"),
    invalid("list for a number", {"instances": [[1, [MARK]]]}, "instances[0].weight"),
    invalid("object for a number", {"instances": [{"height": {MARK: 1}, "weight": 1}]}, "instances[0].height"),
    invalid("1e39", {"instances": [[1, 2], [1, 1e39]]}, "instances[1].weight"),
    invalid("300 digits", '{"instances": [[1.0, ' + "9" * 300 + "]]}", "instances[0].weight"),
    invalid("missing feature", {"instances": [{"height": 1}]}, "instances[0].weight"),
    invalid("unknown feature", {"instances": [{"height": 1, "weight": 2, MARK: 3}]}, "instances[0]"),
    invalid("unknown for known", {"instances": [{"height": 1, MARK: 3}]}, "instances[0].weight"),
    invalid("other case", {"instances": [{"Height": 1, "weight": 3}]}, "instances[0].height"),
    invalid("unknown level", question(model="mixed", instances=[[1, MARK, 1, "north"]]), "instances[0].colour"),
    invalid("number for a level", question(model="mixed", instances=[[1, 1, 1, "north"]]), "instances[0].colour"),
    invalid("gap without fill", question(model="mixed", instances=[[1, "red", 1, None]]), "instances[0].site"),
    invalid("not finite", question(model="bent", instances=[[1e20, 1]]), "instances[0]", "non-finite-output"),
    # Headers.
    *(
        Case(
            f"timeout {text!r}",
            422,
            "invalid-input",
            question(),
            headers={**JSON, "X-Request-Timeout": text},
            place="X-Request-Timeout",
        )
        for text in ("", "0", "-1", "nan", "inf", "1e999", MARK, "1s", "1_0", "0x1")
    ),
    Case("timeout too short", 504, "deadline-exceeded", question(), headers={**JSON, "X-Request-Timeout": "1e-9"}),
    # `POST /sensitivity`.
    *(
        Case(
            f"sensitivity {name}={value!r}",
            422,
            "invalid-input",
            question(**{name: value}),
            path="/sensitivity",
            place=place,
        )
        for name, value, place in (
            ("top", 0, "top"),
            ("top", 1.0, "top"),
            ("top", True, "top"),
            ("top", MARK, "top"),
            ("include", MARK, "include"),
            ("include", [MARK], "include"),
            ("include", [["layers"]], "include"),
            ("include", None, "include"),
            ("observe", False, "body"),
            ("noise_scale", 0, "noise_scale"),
        )
    ),
    Case(
        "sensitivity not finite",
        422,
        "non-finite-output",
        question(model="bent", instances=[[1e20, 1]]),
        path="/sensitivity",
        place="instances[0]",
    ),
    Case(
        "derivatives not finite",
        422,
        "non-finite-output",
        question(model="bent", instances=[[1e12, 1]]),
        path="/sensitivity",
        place="instances[0]",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_every_failure_has_its_status_in_the_one_shape(client: httpx.AsyncClient, case: Case) -> None:
    await assert_refused(client, case)


def anything(rng: random.Random, depth: int = 0) -> Any:
    """Some JSON value, of the kinds and members that requests have."""
    numbers = (0, 1, -1, 0.5, 1e-320, 1e12, 1e20, 3.4e38, 1e39, 2**63, rng.gauss(0, 1), 10 ** rng.uniform(-30, 30))
    texts = ("", "red", "north", "toy", "bent", "mixed", "1", "layers", MARK)
    if depth > 3 or rng.random() < 0.6:
        return rng.choice((*numbers, *numbers, *texts, None, True))
    if rng.random() < 0.6:
        return [anything(rng, depth + 1) for _ in range(rng.randint(0, 4))]
    names = ("instances", "model", "noise_scale", "height", "weight", "colour", MARK)
    return {name: anything(rng, depth + 1) for name in rng.sample(names, rng.randint(0, 4))}


@pytest.mark.parametrize("path", ["/predict", "/sensitivity"])
async def test_any_document_is_never_a_5xx(client: httpx.AsyncClient, path: str) -> None:
    rng = random.Random(7)
    statuses = set()
    for _ in range(400):
        model = rng.choice(["toy", "bent", "mixed", "graded", "amount", "silent"])
        row = [anything(rng, 4), rng.choice(["red", anything(rng)]), anything(rng, 4), "north"]
        document = {"instances": [row if model == "mixed" else [anything(rng, 4), anything(rng, 4)]], "model": model}
        if rng.random() < 0.5:
            document[rng.choice(["noise_scale", "version", "top", "instances", "observe", "include"])] = anything(rng)
        response = await client.post(path, content=orjson.dumps(document), headers=JSON)
        statuses.add(response.status_code)
        assert response.status_code in (200, 404, 413, 422), document
        assert MARK not in response.text
        assert "NaN" not in response.text
    assert {200, 422} <= statuses
