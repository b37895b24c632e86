"""Explanations: what JSON says of them."""

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest

from chainzrule.service.api.answers import prediction_rows
from chainzrule.service.api.bodies.steps import run_steps
from chainzrule.service.api.explanations import explanation_body
from chainzrule.service.artifact.evidence import Distribution
from chainzrule.service.policy.policy import Decision
from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.serving.explain import Explanation, explain
from chainzrule.service.serving.question import Allowance, Change, Question
from chainzrule.service.stability.link import link_of
from tests.artifacts import (
    CLASSIFIER,
    CUBIC,
    MIXED,
    ORDINAL,
    REGRESSION,
    Toy,
    numeric,
)
from tests.service.conftest import Serving
from tests.service.serving.bounded import bounded

AMPLE = Allowance(draws=10**6, measured_share=0.0, certificates=8, batch_rows=1024)


async def explained(serving: Serving, toy: Toy, rows: Any, **question: Any) -> tuple[dict[str, Any], Explanation]:
    """The body that answers a question for an explanation, beside what it was made of; other rows shared its run."""
    async with serving(toy) as client:
        served = client.app.context.catalog.resolve(toy.name, None)  # type: ignore[attr-defined]
        asked = Question(rows, **question)
        deadline = asyncio.get_running_loop().time() + 30
        found, _ = await asyncio.gather(
            explain(served, asked, AMPLE, deadline), explain(served, Question(rows[:1]), AMPLE, deadline)
        )
        content: dict[str, Any] = orjson.loads(run_steps(explanation_body(served, asked, found)))
    assert (content["model"], content["version"]) == (toy.name, "1")
    assert len(content["predictions"]) == len(rows)
    return content, found


@pytest.mark.anyio
@pytest.mark.parametrize("top", [None, 2])
async def test_an_explanation_says_what_was_found_of_each_row(serving: Serving, top: int | None) -> None:
    rows = [[3.0, "red", 1.0, "north"], [-2.0, "blue", 0.0, "south"], [None, "green", 0.5, "south"]]
    content, found = await explained(serving, MIXED, rows, top=top)
    assert content.keys() == {"model", "version", "confidence", "predictions"}
    assert content["confidence"] == 0.9
    encoder, given = RowEncoder(MIXED.card()), [rows[0], rows[1], [3.5, *rows[2][1:]]]
    predictions = prediction_rows(found.share.result, MIXED.names)[found.share.start : found.share.stop]
    for row, answer in enumerate(content["predictions"]):
        assert answer.keys() == {*predictions[row], "method", "sensitivities"}
        assert answer["label"] == predictions[row]["label"]
        assert answer["stability"]["verdict"] == predictions[row]["stability"]["verdict"]
        assert answer["method"] == "analytic"
        order = [encoder.names[place] for place in found.order(encoder, top)[row]]
        assert [entry["feature"] for entry in answer["sensitivities"]] == order
        for entry in answer["sensitivities"]:
            name = entry["feature"]
            assert entry["value"] == given[row][encoder.names.index(name)]
            at = encoder.start[name]
            if name in ("age", "dose"):
                assert entry.keys() == {"feature", "value", "gradient", "effect", "share"}
                for part in ("gradient", "effect", "share"):
                    assert entry[part] == getattr(found.sensitivity, part)[row, at]
            else:
                assert entry["gradient"] is entry["effect"] is entry["share"] is None
                changes = dict(zip(encoder.levels(name), found.switches[name][row].tolist(), strict=True))
                del changes[entry["value"]]
                assert entry["switch"] == changes


@pytest.mark.anyio
async def test_an_explanation_gives_jacobian_and_layers_where_asked_for(serving: Serving) -> None:
    rows = CUBIC.rows(3).tolist()
    content, found = await explained(serving, CUBIC, rows, include=frozenset(["jacobian", "layers"]))
    assert content["jacobian_axes"] == {"scores": list(CUBIC.names), "columns": ["height", "weight"]}
    assert content["layers"] == ["scores"]  # the toys have one layer
    assert "layer_reference" not in content
    for row, answer in enumerate(content["predictions"]):
        np.testing.assert_allclose(answer["jacobian"], found.jacobian[row], rtol=1e-6)
        np.testing.assert_allclose(answer["layer_norms"], found.layer_norms[row], rtol=1e-6)
        assert "layer_percentiles" not in answer


@pytest.mark.anyio
async def test_layers_are_ranked_where_the_card_knows_them(serving: Serving) -> None:
    known = Distribution(mean=0.5, quantiles=tuple(np.linspace(0.0, 1.0, 101)))
    toy = replace(CUBIC, changes={"reference": CUBIC.card().reference.model_copy(update={"layer_norms": (known,)})})
    content, found = await explained(serving, toy, toy.rows(2).tolist(), include=frozenset(["layers"]))
    quantiles = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    assert content["layer_reference"] == [pytest.approx({"mean": 0.5, **quantiles})]
    for row, answer in enumerate(content["predictions"]):
        expected = min(100.0, 100.0 * float(found.layer_norms[row, 0]))
        assert answer["layer_percentiles"] == [pytest.approx(expected, rel=1e-4)]


@pytest.mark.anyio
@pytest.mark.parametrize("toy", [CLASSIFIER, REGRESSION], ids=lambda toy: toy.name)
async def test_draws_are_answered_with_their_intervals(serving: Serving, toy: Toy) -> None:
    content, found = await explained(serving, toy, toy.rows(2).tolist(), draws=40, seed=3)
    assert found.counted is not None
    for counted, answer in zip(found.counted, content["predictions"], strict=True):
        expected = {"draws": 40, "seed": 3}
        for name, estimate in counted._asdict().items():
            if estimate is not None:
                expected |= {name: estimate.value, f"{name}_interval": [estimate.low, estimate.high]}
        assert answer["monte_carlo"] == expected
        assert ("flip_probability" in expected) == bool(toy.names)


@pytest.mark.anyio
@pytest.mark.parametrize("toy", [CLASSIFIER, ORDINAL, REGRESSION], ids=lambda toy: toy.name)
async def test_certificates_are_answered_by_name(serving: Serving, toy: Toy) -> None:
    content, found = await explained(serving, bounded(toy), toy.rows(2).tolist(), radius=2.0)
    assert found.certificates is not None
    bounds, conclusions, largest, flips = found.certificates
    names = link_of(toy.task, toy.scores_count).names(toy.names, "target")
    for row, answer in enumerate(content["predictions"]):
        given = answer["certificate"]
        expected: dict[str, Any] = {}
        expected["scores"] = {name: [bounds.lower[row, k], bounds.upper[row, k]] for k, name in enumerate(names)}
        if conclusions.certain is not None:
            expected["label_is_certain"] = bool(conclusions.certain[row])
        if largest is not None:
            expected["largest"] = largest[row]
        assert (flips is None) == (largest is None)
        if flips is not None:
            expected["flip_probability_bound"] = flips[row]
        if conclusions.probabilities is not None:
            low, high = conclusions.probabilities
            expected["probabilities"] = {name: [low[row, k], high[row, k]] for k, name in enumerate(toy.names)}
        if conclusions.value is not None:
            expected["value"] = [end[row] for end in conclusions.value]
        if conclusions.levels is not None:
            first, last = (int(end[row]) for end in conclusions.levels)
            expected["labels"] = [toy.names[level] for level in range(first, last + 1)]
        # What the card's errors add to the box: see `test_predictions`.
        regions = found.share.result.regions_within(conclusions, slice(found.share.start, found.share.stop))
        region = regions[row]
        assert region is not None
        if toy.names:
            expected["set"] = [toy.names[label] for label in region]
            assert set(answer["set"]) <= set(expected["set"])
        else:
            expected["interval"] = region
            assert region[0] < answer["interval"][0] < answer["interval"][1] < region[1]
        assert given == expected


@pytest.mark.anyio
@pytest.mark.parametrize("top", [None, 1])
async def test_attributions_are_answered_strongest_first_and_add_up(serving: Serving, top: int | None) -> None:
    rows = [[3.0, "red", 1.0, "north"], [-2.0, "blue", 0.0, "south"]]
    content, found = await explained(serving, MIXED, rows, top=top, include=frozenset(["attributions"]))
    parts = found.attributions
    assert parts is not None
    for row, answer in enumerate(content["predictions"]):
        given = answer["attributions"]
        likely = sorted(answer["probabilities"], key=lambda name: -answer["probabilities"][name])
        assert (given["of"], given["over"]) == ("lead", likely[1])
        assert given["value"] == parts.value[row]
        assert (given["baseline_value"], given["gap"]) == (parts.baseline_value[row], parts.gap[row])
        assert given["nodes"] == 2
        assert len(given["features"]) == (top or 4)
        listed = [entry["attribution"] for entry in given["features"]]
        assert listed == sorted(listed, key=abs, reverse=True)
        assert sum(listed) + given["rest"] == pytest.approx(given["value"] - given["baseline_value"], abs=1e-5)
        for entry in given["features"]:
            at = ["age", "colour", "dose", "site"].index(entry["feature"])
            assert entry["value"] == rows[row][at]
            assert entry["baseline"] == [1.0, None, 1.0, None][at]
            assert entry["attribution"] == parts.features[row, at]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("toy", "of"), [(ORDINAL, "position"), (REGRESSION, "value")], ids=lambda part: getattr(part, "name", part)
)
async def test_attributions_say_what_they_are_of(serving: Serving, toy: Toy, of: str) -> None:
    given = {"baseline": [0.5, 0.25], "include": frozenset(["attributions"])}
    content, _ = await explained(serving, toy, toy.rows(1).tolist(), **given)
    parts = content["predictions"][0]["attributions"]
    assert (parts["of"], parts["over"]) == (of, None)
    assert {entry["feature"]: entry["baseline"] for entry in parts["features"]} == {"height": 0.5, "weight": 0.25}
    if of == "value":
        assert parts["value"] == pytest.approx(content["predictions"][0]["value"])


@pytest.mark.anyio
@pytest.mark.parametrize("toy", [CLASSIFIER, ORDINAL, REGRESSION], ids=lambda toy: toy.name)
async def test_counterfactuals_are_answered_with_what_the_model_says_of_them(serving: Serving, toy: Toy) -> None:
    rows = toy.rows(3)
    change = Change() if toy.names else Change(at_least=float(toy.scores(rows).max()) + 0.1)
    content, found = await explained(serving, bounded(toy), rows.tolist(), counterfactual=change, noise_scale=2.0)
    assert found.counterfactuals is not None
    assert any(one.point is not None for one in found.counterfactuals.found)
    for row, answer in enumerate(content["predictions"]):
        one, given = found.counterfactuals.found[row], answer["counterfactual"]
        assert (given["distance"], given["certified"], given["reason"]) == (one.distance, one.certified, one.reason)
        if one.point is None:
            assert (given["changes"], given["prediction"]) == ([], None)
            continue
        at = found.counterfactuals.share.start + row
        (asked,) = prediction_rows(found.counterfactuals.share.result, toy.names)[at : at + 1]
        assert given["prediction"] == {
            name: asked[name] for name in ("label", "value", "probabilities") if name in asked
        }
        sigmas = [abs(change["sigmas"]) for change in given["changes"]]
        assert sigmas == sorted(sigmas, reverse=True)
        assert sigmas[0] == pytest.approx(one.distance, rel=1e-5)
        for entry in given["changes"]:
            at = ["height", "weight"].index(entry["feature"])
            assert entry["value"] == rows[row, at]
            assert entry["to"] == one.point[at]
            assert entry["sigmas"] == pytest.approx((entry["to"] - entry["value"]) / toy.columns[2][at] / 2.0)


@pytest.mark.anyio
async def test_what_would_tell_a_withheld_answer_is_withheld_too(serving: Serving) -> None:
    rows = CLASSIFIER.rows(2).tolist()
    asked = Question(rows, include=frozenset(["attributions"]), counterfactual=Change())
    async with serving(CLASSIFIER) as client:
        served = client.app.context.catalog.resolve(CLASSIFIER.name, None)  # type: ignore[attr-defined]
        found = await explain(served, asked, AMPLE, asyncio.get_running_loop().time() + 30)
        body = run_steps(explanation_body(served, asked, found, [Decision("abstain"), Decision("answer")]))
    first, second = orjson.loads(body)["predictions"]
    assert (first["label"], first["attributions"], first["counterfactual"]) == (None, None, None)
    assert second["label"] is not None
    assert second["attributions"]["features"]
    assert second["counterfactual"]["certified"] is None


@pytest.mark.anyio
async def test_a_switched_level_is_named(serving: Serving) -> None:
    weights = np.array([[0.0, 3.0, -3.0, 3.0, 0.0, 0.0, 0.0], [0.0, -3.0, 3.0, -3.0, 0.0, 0.0, 0.0]])
    toy = replace(MIXED, labels=("no", "yes"), weights=weights)
    content, _ = await explained(serving, toy, [[3.0, "red", 1.0, "north"]], counterfactual=Change())
    given = content["predictions"][0]["counterfactual"]
    assert given["changes"] == [{"feature": "colour", "value": "red", "to": "green", "sigmas": None}]
    assert (given["distance"], given["certified"], given["prediction"]["label"]) == (0.0, None, "yes")


@pytest.mark.anyio
async def test_violations_are_answered_where_effects_are_declared(serving: Serving) -> None:
    features = (numeric("height", monotone="increasing"), numeric("weight", monotone="decreasing"))
    toy = replace(REGRESSION, features=features, weights=np.array([[-1.0, -1.0]]))
    content, _ = await explained(serving, toy, toy.rows(2).tolist())
    broken = [{"feature": "height", "declared": "increasing"}]
    assert [answer["violations"] for answer in content["predictions"]] == [broken, broken]
