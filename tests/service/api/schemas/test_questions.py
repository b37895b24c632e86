"""The documented questions take and refuse what the routes do."""

from typing import Any

import httpx
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from chainzrule.service.api.schemas.questions import Prediction, SensitivityQuestion

pytestmark = pytest.mark.anyio

ROW = {"instances": [[1.0, 2.0]]}
PREDICT: list[dict[str, Any]] = [
    ROW,
    {"instances": [[1, 2], {"height": 1.5, "weight": 2}]},
    {**ROW, "model": "toy", "version": "1", "noise_scale": 100, "confidence": 0.5, "observe": False, "measure": True},
    {**ROW, "model": None, "version": None},
    {"instances": [[None, None, 1.0, "north"]], "model": "mixed"},
]
SENSITIVITY: list[dict[str, Any]] = [
    *PREDICT[:2],
    {**ROW, "top": 1, "include": ["layers", "jacobian"], "noise_scale": 0.5, "confidence": 0.999},
    {**ROW, "top": None, "include": []},
    {**ROW, "method": "monte_carlo", "draws": 2, "seed": 2**32 - 1},
    {**ROW, "method": "analytic", "radius": None, "box": None},
    {**ROW, "method": "monte_carlo", "draws": 3.0, "seed": 0.0, "top": 1.0},
    {**ROW, "include": ["attributions", "layers"], "baseline": [0.0, 1.0]},
    {**ROW, "include": ["attributions"], "baseline": {"height": 0.0, "weight": 1.0}},
    {**ROW, "include": [], "baseline": None, "counterfactual": None},
    {**ROW, "counterfactual": {}},
    {**ROW, "counterfactual": {"label": "yes", "frozen": ["height"], "integer": ["weight"], "sparse": True}},
    {**ROW, "counterfactual": {"label": None, "at_least": None, "at_most": None, "monotone": {"height": "decrease"}}},
    {**ROW, "model": "amount", "counterfactual": {"at_least": 1}},
]
WRONG: list[dict[str, Any]] = [
    {},
    {"instances": []},
    {"instances": None},
    {"instances": [1.0]},
    {"instances": [[[1.0]]]},
    {**ROW, "s3cret": 1},
    {**ROW, "model": 1},
    {**ROW, "version": 1},
    *({**ROW, "noise_scale": scale} for scale in (0, -1, 100.1, None)),
    *({**ROW, "confidence": confidence} for confidence in (0, 1, 95, None)),
]
WRONG_PREDICT: list[dict[str, Any]] = [
    *WRONG,
    {**ROW, "top": 1},
    {**ROW, "observe": None},
    {**ROW, "measure": None},
]
WRONG_SENSITIVITY: list[dict[str, Any]] = [
    *WRONG,
    {**ROW, "observe": True},
    *({**ROW, "top": top} for top in (0, -1, "many")),
    *({**ROW, "include": include} for include in ("layers", ["all"], None)),
    {**ROW, "method": "finite_difference"},
    *({**ROW, "method": "monte_carlo", "draws": draws} for draws in (0, 1, 2.5, 2**31 + 1, None)),
    *({**ROW, "method": "monte_carlo", "seed": seed} for seed in (-1, 2**32)),
    *({**ROW, "radius": radius} for radius in (0, -1, 1001)),
    *({**ROW, "box": box} for box in ({}, {"height": -1}, {"height": [1]}, [])),
    *({**ROW, "include": ["attributions"], "baseline": baseline} for baseline in (1, "mean", True)),
    *({**ROW, "counterfactual": change} for change in ([], True, {"s3cret": 1}, {"at_least": "much"})),
    *({**ROW, "counterfactual": {"frozen": names}} for names in ("height", [1], None)),
    *({**ROW, "counterfactual": {"monotone": ways}} for ways in (["height"], {"height": "up"}, None)),
    {**ROW, "counterfactual": {"sparse": None}},
]


def takes(schema: type[BaseModel], question: dict[str, Any]) -> bool:
    try:
        TypeAdapter(schema).validate_python(question)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("path", "schema", "good", "wrong"),
    [
        ("/predict", Prediction, PREDICT, WRONG_PREDICT),
        ("/sensitivity", SensitivityQuestion, SENSITIVITY, WRONG_SENSITIVITY),
    ],
)
async def test_the_document_takes_what_the_route_takes(
    client: httpx.AsyncClient,
    path: str,
    schema: type[BaseModel],
    good: list[dict[str, Any]],
    wrong: list[dict[str, Any]],
) -> None:
    for question in good:
        assert takes(schema, question), question
        assert (await client.post(path, json=question)).status_code == 200, question
    for question in wrong:
        assert not takes(schema, question), question
        assert (await client.post(path, json=question)).status_code == 422, question


async def test_what_is_left_out_is_as_the_document_says(client: httpx.AsyncClient) -> None:
    for path, schema in (("/predict", Prediction), ("/sensitivity", SensitivityQuestion)):
        whole = schema.model_validate(ROW).model_dump(mode="json")
        if schema is SensitivityQuestion:  # these go with monte_carlo alone
            del whole["draws"], whole["seed"]
        answers = [(await client.post(path, json=question)).json() for question in (ROW, whole)]
        assert answers[0] == answers[1]
