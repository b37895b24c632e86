"""What a question may say: its members, its rows and its headers; everything else is refused where it stands."""

import random
from typing import Any

import httpx
import orjson
import pytest

from chainzrule.service.api.requests import PREDICT_MEMBERS, SENSITIVITY_MEMBERS, read_request, read_timeout
from chainzrule.service.errors import InvalidInput, TooLarge
from chainzrule.service.serving.question import DEFAULT_DRAWS, MAX_RADIUS, MAX_SEED, Question
from tests.service.api.refusals import JSON, MARK, NAME, Case, assert_refused, invalid, question

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
    invalid("unknown member", question(**{NAME: MARK}), "body"),
    invalid("sensitivity's member", question(top=1), "body"),
    invalid("model is a number", question(model=1), "model"),
    invalid("model is a list", question(model=[MARK]), "model"),
    invalid("version is a number", question(version=1), "version"),
    *(
        invalid(f"noise_scale {scale!r}", question(noise_scale=scale), "noise_scale")
        for scale in (0, -1, 100.1, True, MARK, None, [])
    ),
    *(
        invalid(f"confidence {confidence!r}", question(confidence=confidence), "confidence")
        for confidence in (0, 1, -0.5, 90, True, MARK, "0.9", None, [0.9])
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
    invalid("unknown feature", {"instances": [{"height": 1, "weight": 2, NAME: MARK}]}, "instances[0]"),
    invalid("unknown for known", {"instances": [{"height": 1, NAME: MARK}]}, "instances[0].weight"),
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
            ("top", 1.5, "top"),
            ("top", True, "top"),
            ("top", MARK, "top"),
            ("include", MARK, "include"),
            ("include", [MARK], "include"),
            ("include", [["layers"]], "include"),
            ("include", None, "include"),
            ("baseline", [1.0, 2.0], "baseline"),
            ("counterfactual", MARK, "counterfactual"),
            ("counterfactual", {"sparse": MARK}, "counterfactual.sparse"),
            ("counterfactual", {"frozen": [NAME]}, "counterfactual.frozen"),
            ("counterfactual", {"at_least": 1}, "counterfactual"),
            ("observe", False, "body"),
            ("noise_scale", 0, "noise_scale"),
            ("confidence", 1, "confidence"),
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


@pytest.mark.parametrize(
    ("body", "place", "said"),
    [
        ({"data": [[1, 2]]}, "body", """has 'data'; this route takes the rows as "instances": [...]"""),
        (
            {"inputs": [[1, 2]], "model": "toy"},
            "body",
            """has 'inputs'; this route takes the rows as "instances": [...]""",
        ),
        ({"instence": [[1, 2]]}, "body", "has no instances, but 'instence' (did you mean instances?)"),
        ({"height": 1, "weight": 2}, "body", """is wrapped as "instances": [...]"""),
        ({"instances": [[1, 2]], "nois_scale": 1}, "body", "did you mean noise_scale?"),
        ({"instances": [[1, 2]], "Model": "toy"}, "body", "did you mean model?"),
        ({"instances": [[1, 2]], "made\u202eup": 1}, "body", "has one whose name cannot be shown"),
        ({"instances": {"height": 1, "weight": 2}}, "instances", """is wrapped in a list too: "instances": [...]"""),
        ({"instances": [1, 2]}, "instances[0]", """is wrapped in a list too: "instances": [[...]]"""),
        ({"instances": list(range(65))}, "instances", """is wrapped in a list too: "instances": [[...]]"""),
        ([{"height": 1, "weight": 2}], "body", """the list is wrapped in one: {"instances": [...]}"""),
        ('{"instances": [[1, NaN]]}', "body", "send null for a gap"),
        ('{"instances": [[1, -Infinity]]}', "body", "send null for a gap"),
        ('{"instances": [[1, None]]}', "body", "JSON writes null, true and false"),
        ("{'instances': [[1, 2]]}", "body", "JSON takes double quotation marks"),
        ({"instances": [{"Height": 1, "weight": 2}]}, "instances[0].height", "has 'Height': did you mean height?"),
        ({"instances": [{"height": 1, "weight": 2, "patient_id": 3}]}, "instances[0]", "has 'patient_id', which"),
        (
            {"instances": [[1, "2"]]},
            "instances[0].weight",
            "must be a number, not text; write it without quotation marks",
        ),
        ({"instances": [[1, None]]}, "instances[0].weight", "must be a number, not null: training saw no gaps here"),
        (question(model="mixd"), "model", "did you mean mixed?"),
        (question(model="toy", version="9"), "version", "it has 1"),
    ],
    ids=str,
)
async def test_a_mistake_is_named_with_the_way_out(client: httpx.AsyncClient, body: Any, place: str, said: str) -> None:
    content = body if isinstance(body, str) else orjson.dumps(body)
    problem = (await client.post("/predict", content=content, headers=JSON)).json()
    assert problem["place"] == place
    assert said in problem["detail"]


def anything(rng: random.Random, depth: int = 0) -> Any:
    """Some JSON value, of the kinds and members that requests have."""
    numbers = (0, 1, -1, 0.5, 1e-320, 1e12, 1e20, 3.4e38, 1e39, 2**63, rng.gauss(0, 1), 10 ** rng.uniform(-30, 30))
    texts = ("", "red", "north", "toy", "bent", "mixed", "1", "layers", MARK)
    if depth > 3 or rng.random() < 0.6:
        return rng.choice((*numbers, *numbers, *texts, None, True))
    if rng.random() < 0.6:
        return [anything(rng, depth + 1) for _ in range(rng.randint(0, 4))]
    names = ("instances", "model", "noise_scale", "confidence", "height", "weight", "colour", NAME)
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
            document[rng.choice(["noise_scale", "confidence", "version", "top", "instances", "observe", "include"])] = (
                anything(rng)
            )
        response = await client.post(path, content=orjson.dumps(document), headers=JSON)
        statuses.add(response.status_code)
        assert response.status_code in (200, 404, 413, 422), document
        assert MARK not in response.text
        assert "NaN" not in response.text
    assert {200, 422} <= statuses


# The question that comes of it.


def asked(**members: Any) -> Question:
    return read_request(question(**members), SENSITIVITY_MEMBERS, max_rows=2)


def test_what_is_left_out_is_the_usual() -> None:
    usual = Question([[1.0, 2.0]])
    assert read_request(question(), PREDICT_MEMBERS, 1) == usual == asked()
    said = {
        "noise_scale": 1.0,
        "confidence": 0.9,
        "top": None,
        "include": [],
        "method": "analytic",
        "radius": None,
        "box": None,
    }
    assert asked(**said, model=None, version=None) == usual
    assert read_request(question(observe=True, measure=False), PREDICT_MEMBERS, 1) == usual
    assert asked(method="monte_carlo") == usual._replace(draws=DEFAULT_DRAWS, seed=0)


def test_what_is_said_is_asked() -> None:
    found = read_request(
        question(model="a", version="2", noise_scale=3, confidence=0.5, observe=False, measure=True), PREDICT_MEMBERS, 1
    )
    assert found == Question([[1.0, 2.0]], "a", "2", 3.0, 0.5, observe=False, measure=True)
    found = asked(top=2, include=["layers"], method="monte_carlo", draws=2, seed=MAX_SEED, radius=MAX_RADIUS)
    assert (found.top, found.include, found.draws, found.seed) == (2, {"layers"}, 2, MAX_SEED)
    assert (found.radius, found.box) == (MAX_RADIUS, None)
    assert asked(method="monte_carlo", draws=2**31).draws == 2**31
    assert asked(method="monte_carlo", draws=3.0, seed=4.0).draws == 3
    box = {"height": 0, "weight": 0.5, "a": [-1, 1.5], "b": [2, 2]}
    assert asked(box=box).box == box


@pytest.mark.parametrize(
    ("members", "place", "said"),
    [
        *(
            ({"method": method}, "method", "one of analytic, monte_carlo")
            for method in ("s3cret", None, 1, ["analytic"])
        ),
        *(({"method": "monte_carlo", "draws": draws}, "draws", "from 2 to") for draws in (1, 2**31 + 1, 2.5, True)),
        *(({"method": "monte_carlo", "seed": seed}, "seed", "from 0 to") for seed in (-1, MAX_SEED + 1, 0.5, None)),
        ({"draws": 10}, "draws", "goes with"),
        ({"seed": 1}, "seed", "goes with"),
        ({"method": "analytic", "seed": 1, "draws": 1}, "draws", "goes with"),
        *(({"radius": radius}, "radius", "above 0") for radius in (0, -1, 1001, True, "1", [])),
        ({"radius": 1, "box": {"height": 1}}, "radius", "give one of both"),
        ({"noise": {"height": 1}, "counterfactual": {}}, "noise", "goes without"),
        ({"noise": {"height": 1}, "radius": 1}, "noise", "goes without"),
        *(({"box": box}, "box", "object of features") for box in ({}, [], "all", 1)),
        *(
            ({"box": {"weight": 1, "height": reach}}, "box.height", "least, largest")
            for reach in (-1, True, "1", None, 3.5e38, [1], [], [2, 1], [0, 1, 2], [0, "1"], [None, 1], [-3.5e38, 0])
        ),
    ],
)
def test_what_cannot_be_asked_is_refused_where_it_stands(members: dict[str, Any], place: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        asked(**members)
    assert caught.value.place == place


def test_as_many_rows_as_may_be_are_taken() -> None:
    rows = {"instances": [[1.0, 2.0]] * 2}
    assert len(read_request(rows, PREDICT_MEMBERS, 2).instances) == 2
    with pytest.raises(TooLarge) as caught:
        read_request(rows, PREDICT_MEMBERS, 1)
    assert caught.value.place == "instances"


@pytest.mark.parametrize(("text", "seconds"), [(None, None), ("1", 1.0), ("0.25", 0.25), ("1e-9", 1e-9)])
def test_a_timeout_is_a_number_of_seconds(text: str | None, seconds: float | None) -> None:
    assert read_timeout(text) == seconds
