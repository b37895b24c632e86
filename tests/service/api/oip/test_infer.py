"""Inference in JSON: what comes back, for every kind of model, and that it is what the other routes say."""

import gzip
import json
import zlib
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainzrule.service.api.oip.infer import LARGE_ANSWER
from tests.artifacts import ALL, CLASSIFIER, IMAGE, MIXED, ORDINAL, REGRESSION, Toy
from tests.service.api.oip.messages import Tensor, assert_error, features, infer, inputs, message, post, read
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio

FURTHER = ["gradient_norm", "scores", "covariance", "jacobian"]
USUAL = {
    "classification": ["label", "probabilities", "volatility", "flip_probability", "verdict"],
    "ordinal": ["label", "value", "probabilities", "volatility", "flip_probability", "verdict"],
    "regression": ["value", "volatility", "verdict"],
}


def sent(toy: Toy, encoded: np.ndarray) -> list[list[Any]]:
    """Rows as our own routes take them."""
    if toy is not MIXED:
        return encoded.tolist()
    columns = [tensor.data for tensor in inputs(toy, encoded)]
    return [list(row) for row in zip(*columns, strict=True)]


@pytest.mark.parametrize("version", ["", "/versions/1"])
@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
async def test_the_usual_outputs_are_what_predict_says(client: httpx.AsyncClient, toy: Toy, version: str) -> None:
    encoded = toy.rows(5)
    answer = await infer(client, toy.name + version, inputs(toy, encoded))
    document = answer.document
    assert document.keys() == {"model_name", "model_version", "outputs"}
    assert (document["model_name"], document["model_version"]) == (toy.name, "1")
    metadata = (await client.get(f"/v2/models/{toy.name}{version}")).json()["outputs"]
    found = [{key: output[key] for key in ("name", "datatype", "shape")} for output in document["outputs"]]
    assert found == [{**output, "shape": [5, *output["shape"][1:]]} for output in metadata]
    assert [output["name"] for output in found] == USUAL[toy.task]

    response = await client.post("/predict", json={"model": toy.name, "instances": sent(toy, encoded)})
    for row, expected in enumerate(response.json()["predictions"]):
        values = {name: output[row].tolist() for name, output in answer.outputs.items()}
        stability = expected["stability"]
        assert values["volatility"] == pytest.approx([stability["volatility"]], rel=1e-6)
        assert values["verdict"] == [stability["verdict"]]
        if toy.task != "regression":
            assert values["label"] == [expected["label"]]
            assert values["probabilities"] == pytest.approx(list(expected["probabilities"].values()), rel=1e-6)
            assert values["flip_probability"] == pytest.approx([stability["flip_probability"]], rel=1e-6, abs=1e-37)
        if toy.task != "classification":
            assert values["value"] == pytest.approx([expected["value"]], rel=1e-6)


@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
async def test_diagnostics_on_request_are_those_of_the_model(client: httpx.AsyncClient, toy: Toy) -> None:
    encoded = toy.rows(4)
    answer = await infer(client, toy.name, inputs(toy, encoded), outputs=[{"name": name} for name in FURTHER])
    assert [output["name"] for output in answer.document["outputs"]] == FURTHER
    S, D = toy.scores_count, encoded.shape[1]
    outputs = answer.outputs
    assert outputs["scores"].shape == (4, S)
    assert outputs["covariance"].shape == (4, S, S)
    assert outputs["jacobian"].shape == (4, S, D)
    np.testing.assert_allclose(outputs["scores"], toy.scores(encoded), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs["covariance"], toy.covariance(encoded), rtol=1e-4, atol=1e-6)
    question = {"model": toy.name, "instances": sent(toy, encoded), "include": ["jacobian"]}
    said = (await client.post("/sensitivity", json=question)).json()["predictions"]
    np.testing.assert_array_equal(outputs["jacobian"], np.array([row["jacobian"] for row in said], dtype=np.float32))
    norms = [row["stability"]["gradient_norm"] for row in said]
    np.testing.assert_allclose(outputs["gradient_norm"][:, 0], norms, rtol=1e-6)


async def test_exactly_the_outputs_that_are_asked_for_in_that_order(client: httpx.AsyncClient) -> None:
    wanted = ["verdict", "scores", "label"]
    answer = await infer(client, "toy", [features([[1, 2]])], outputs=[{"name": name} for name in wanted])
    assert [output["name"] for output in answer.document["outputs"]] == wanted


@pytest.mark.parametrize("outputs", [[], None])
async def test_no_outputs_asked_for_are_the_usual_ones(client: httpx.AsyncClient, outputs: Any) -> None:
    answer = await infer(client, "toy", [features([[1, 2]])], outputs=outputs)
    assert list(answer.outputs) == USUAL["classification"]


@pytest.mark.parametrize("name", ["s3cret", "", "value", "Label"])
async def test_an_unknown_output_is_refused(client: httpx.AsyncClient, name: str) -> None:
    response = await post(client, "toy", *message([features([[1, 2]])], outputs=[{"name": "label"}, {"name": name}]))
    assert_error(response, 400, "outputs")


async def test_regression_has_no_label(client: httpx.AsyncClient) -> None:
    for name in ("label", "probabilities", "flip_probability"):
        response = await post(client, "amount", *message([features([[1, 2]])], outputs=[{"name": name}]))
        assert_error(response, 400, "outputs")


@pytest.mark.parametrize("identity", ["", "7", "a" * 1000, 'quote " \\ \u00e9 \U0001f600 \u2028 <script>'])
async def test_the_id_comes_back_as_it_was(client: httpx.AsyncClient, identity: str) -> None:
    answer = await infer(client, "toy", [features([[1, 2]])], id=identity)
    assert answer.document["id"] == identity


async def test_no_id_is_no_member(client: httpx.AsyncClient) -> None:
    for members in ({}, {"id": None}):
        assert "id" not in (await infer(client, "toy", [features([[1, 2]])], **members)).document


@pytest.mark.parametrize("identity", [7, True, ["7"], {}])
async def test_an_id_is_a_text(client: httpx.AsyncClient, identity: Any) -> None:
    assert_error(await post(client, "toy", *message([features([[1, 2]])], id=identity)), 400, "id")


async def test_what_is_not_known_is_passed_over(client: httpx.AsyncClient) -> None:
    plain = await infer(client, "toy", [features([[1, 2]])])
    tensor = features([[1, 2]])
    tensor.more = {"comment": [1, {"a": None}], "parameters": {"content_type": "np", "x": 1.5}}
    members = {"model_name": "other", "s3cret": {"a": [None]}, "parameters": {"priority": 1, "z": True}}
    outputs = [{"name": name, "comment": 1, "parameters": {"format": 2}} for name in plain.outputs]
    answer = await infer(client, "toy", [tensor], outputs=outputs, **members)
    assert answer.document == plain.document


async def test_flat_and_nested_data_are_the_same(client: httpx.AsyncClient) -> None:
    rows = CLASSIFIER.rows(3)
    flat = await infer(client, "toy", [features(rows)])
    nested = Tensor("features", [3, 2], "FP32", rows.tolist())
    assert (await infer(client, "toy", [nested])).document == flat.document
    mixed = inputs(MIXED, MIXED.rows(3))
    found = await infer(client, "mixed", mixed)
    for tensor in mixed:
        tensor.data = [[value] for value in tensor.data]
    assert (await infer(client, "mixed", mixed)).document == found.document


async def test_inputs_come_in_any_order(client: httpx.AsyncClient) -> None:
    tensors = inputs(MIXED, MIXED.rows(3))
    found = await infer(client, "mixed", tensors)
    assert (await infer(client, "mixed", tensors[::-1])).document == found.document


async def test_whole_numbers_are_numbers(client: httpx.AsyncClient) -> None:
    tensor = Tensor("features", [2, 2], "FP32", [1, 2, -0, 10])
    found = await infer(client, "toy", [tensor])
    tensor.data = [1.0, 2.0, 0.0, 10.0]
    assert (await infer(client, "toy", [tensor])).document == found.document


async def test_noise_scale_means_what_it_means_in_predict(client: httpx.AsyncClient) -> None:
    for toy in (CLASSIFIER, ORDINAL, REGRESSION):
        encoded = toy.rows(3)
        answer = await infer(client, toy.name, inputs(toy, encoded), parameters={"noise_scale": 2.5})
        question = {"model": toy.name, "instances": encoded.tolist(), "noise_scale": 2.5}
        said = (await client.post("/predict", json=question)).json()["predictions"]
        expected = [row["stability"]["volatility"] for row in said]
        np.testing.assert_allclose(answer.outputs["volatility"][:, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("value", [0, -1, 101, True, "1"])
async def test_noise_scale_has_its_bounds(client: httpx.AsyncClient, value: Any) -> None:
    response = await post(client, "toy", *message([features([[1, 2]])], parameters={"noise_scale": value}))
    assert_error(response, 400, "noise_scale")


@pytest.mark.parametrize("value", [0, 1, 95, True, "0.9"])
async def test_confidence_has_its_bounds(client: httpx.AsyncClient, value: Any) -> None:
    response = await post(client, "toy", *message([features([[1, 2]])], parameters={"confidence": value}))
    assert_error(response, 400, "parameters.confidence", "between 0 and 1")


@pytest.mark.parametrize("parameters", [{}, {"confidence": 0.6}, {"confidence": 0.995}])
@pytest.mark.parametrize("toy", [CLASSIFIER, ORDINAL, REGRESSION, MIXED], ids=lambda toy: toy.name)
async def test_regions_by_name_are_what_predict_says(
    client: httpx.AsyncClient, toy: Toy, parameters: dict[str, Any]
) -> None:
    encoded, name = toy.rows(6), "set" if toy.names else "interval"
    answer = await infer(client, toy.name, inputs(toy, encoded), outputs=[{"name": name}], parameters=parameters)
    question = {"model": toy.name, "instances": sent(toy, encoded), **parameters}
    said = (await client.post("/predict", json=question)).json()["predictions"]
    for row, found in zip(said, answer.outputs[name].tolist(), strict=True):
        if toy.names:
            assert found == [float(label in row["set"]) for label in toy.names]
        else:
            most = float(np.finfo(np.float32).max)  # stands for no end
            ends = [end or none for end, none in zip(row["interval"], (-most, most), strict=True)]
            assert found == pytest.approx(ends, rel=1e-6)


async def test_experiments_are_not_observed(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        served = client.app.context.catalog.resolve("toy", None)  # type: ignore[attr-defined]
        for parameters in ({"observe": False}, {"noise_scale": 2}, {"noise_scale": 2, "observe": True}):
            await infer(client, "toy", [features([[1, 2]])], parameters=parameters)
        assert served.window.samples == 0
        await infer(client, "toy", [features([[1, 2], [3, 4]])], parameters={"observe": True, "noise_scale": 1})
        assert served.window.samples == 2
        response = await post(client, "toy", *message([features([[1, 2]])], parameters={"observe": 1}))
        assert_error(response, 400, "observe")


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_compressed_requests_are_read(client: httpx.AsyncClient, pack: Any) -> None:
    encoding = "gzip" if pack is gzip.compress else "deflate"
    body, headers = message([features([[1, 2]])])
    response = await post(client, "toy", pack(body), {**headers, "Content-Encoding": encoding})
    assert read(response).document == (await infer(client, "toy", [features([[1, 2]])])).document


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "application/octet-stream", "Application/JSON"])
async def test_json_by_any_of_its_names(client: httpx.AsyncClient, media: str) -> None:
    body, _ = message([features([[1, 2]])])
    read(await post(client, "toy", body, {"Content-Type": media}))
    read(await post(client, "toy", body, {}))


async def test_a_model_of_several_versions_says_which_answered(serving: Serving) -> None:
    other = Toy(seed=9)
    async with serving(CLASSIFIER, other) as client:
        rows = CLASSIFIER.rows(2)
        for path, toy, version in (("toy", other, "2"), ("toy/versions/1", CLASSIFIER, "1")):
            answer = await infer(client, path, [features(rows)])
            assert answer.document["model_version"] == version
            np.testing.assert_allclose(answer.outputs["probabilities"], toy.probabilities(rows), rtol=1e-4)


async def test_while_draining_requests_are_answered(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        client.app.context.drain()  # type: ignore[attr-defined]
        answer = await infer(client, "toy", [features([[1, 2]])])
        assert answer.headers["connection"] == "close"


async def test_a_feature_may_be_named_as_the_matrix_is(serving: Serving) -> None:
    columns = (MIXED.features[0].model_copy(update={"name": "features"}), *MIXED.features[1:])
    toy = Toy(name="mixed", features=columns, seed=5)
    async with serving(toy) as client:
        tensors = inputs(MIXED, MIXED.rows(3))
        tensors[0].name = "features"
        answer = await infer(client, "mixed", tensors)
        np.testing.assert_allclose(answer.outputs["probabilities"], toy.probabilities(MIXED.rows(3)), rtol=1e-4)


async def test_large_json_is_answered_like_small(serving: Serving) -> None:
    rows = IMAGE.rows(3)
    async with serving(IMAGE) as client:
        body, headers = message([features(rows)])
        found = read(await post(client, "image", body, headers))
        assert read(await post(client, "image", body + b" " * 2**20, headers)).document == found.document


@st.composite
def questions(draw: st.DrawFn) -> tuple[Toy, int, list[tuple[str, bool | None]], list[bool], dict[str, Any], int]:
    """A model, a seed for its rows, outputs with what they say of their form, inputs' forms, parameters, padding."""
    toy = draw(st.sampled_from([CLASSIFIER, ORDINAL, REGRESSION, MIXED, IMAGE]))
    names = draw(st.lists(st.sampled_from([*USUAL[toy.task], *FURTHER]), unique=True, max_size=4))
    outputs = [(name, draw(st.sampled_from([True, False, None]))) for name in names]
    parameters = {"binary_data_output": draw(st.booleans()), "noise_scale": draw(st.floats(0.01, 100.0))}
    binary = [draw(st.booleans()) for _ in range(4)]
    return toy, draw(st.integers(1, 9)), outputs, binary, parameters, draw(st.integers(0, 7))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(question=questions())
async def test_binary_answers_are_the_json_ones(client: httpx.AsyncClient, question: Any) -> None:
    toy, rows, wanted, binary, parameters, indent = question
    encoded = toy.rows(rows, seed=rows)
    scale = {"noise_scale": parameters["noise_scale"]}
    plain = [{"name": name} for name, _ in wanted]
    expected = await infer(client, toy.name, inputs(toy, encoded), outputs=plain, parameters=scale)
    outputs = [
        {"name": name} if form is None else {"name": name, "parameters": {"binary_data": form}} for name, form in wanted
    ]
    answer = await infer(
        client, toy.name, inputs(toy, encoded, binary), indent=indent, outputs=outputs, parameters=parameters
    )
    assert list(answer.outputs) == list(expected.outputs)
    for name, values in expected.outputs.items():
        assert answer.outputs[name].tolist() == values.tolist(), name
    default = parameters["binary_data_output"]
    forms = dict(wanted) if wanted else dict.fromkeys(USUAL[toy.task])
    assert answer.binary == {name for name, form in forms.items() if (default if form is None else form)}
    json.dumps(answer.document, allow_nan=False)


async def test_many_values_are_answered_as_few(serving: Serving) -> None:
    encoded = IMAGE.rows(LARGE_ANSWER // IMAGE.scores_count**2 + 1)
    wanted = ["label", "covariance", "verdict"]
    async with serving(IMAGE) as client:
        for as_bytes in (False, True):
            outputs = [{"name": name, "parameters": {"binary_data": as_bytes and name != "label"}} for name in wanted]
            whole = await infer(client, "image", inputs(IMAGE, encoded), outputs=outputs)
            assert whole.outputs["covariance"].size > LARGE_ANSWER
            assert whole.binary == ({"covariance", "verdict"} if as_bytes else set())
            few = await infer(client, "image", inputs(IMAGE, encoded[:2]), outputs=outputs)
            for name in ("label", "verdict"):
                assert whole.outputs[name][:2].tolist() == few.outputs[name].tolist()
            np.testing.assert_allclose(whole.outputs["covariance"][:2], few.outputs["covariance"], rtol=1e-5)
            assert {len(output) for output in whole.outputs.values()} == {len(encoded)}


async def test_classes_in_place_of_numbers(client: httpx.AsyncClient) -> None:
    rows = CLASSIFIER.rows(3)
    plain = (await infer(client, "toy", [features(rows)])).outputs["probabilities"]
    for binary in (False, True):
        wanted = {"name": "probabilities", "parameters": {"classification": 2, "binary_data": binary}}
        answer = await infer(client, "toy", [features(rows)], outputs=[wanted, {"name": "label"}])
        (first, _) = answer.document["outputs"]
        assert (first["datatype"], first["shape"]) == ("BYTES", [3, 2])
        for row, found in enumerate(np.reshape(answer.outputs["probabilities"], (3, 2)).tolist()):
            best = np.argsort(-plain[row])[:2]
            assert found == [f"{plain[row][at]:f}:{at}:{CLASSIFIER.names[at]}" for at in best]
    for model, name, classes in (("toy", "volatility", 1), ("amount", "value", 1), ("toy", "probabilities", -1)):
        wanted = {"name": name, "parameters": {"classification": classes}}
        assert_error(await post(client, model, *message([features([[1, 2]])], outputs=[wanted])), 400, "outputs")


@pytest.mark.parametrize("timeout", [1, 10])
async def test_the_callers_timeout_is_in_microseconds(client: httpx.AsyncClient, timeout: int) -> None:
    slow = message([features([[2e6, 1.0]] * 8)], parameters={"timeout": timeout})
    assert_error(await post(client, "slow", *slow), 504, "time")
    quick = message([features([[1, 2]])], parameters={"timeout": 30_000_000, "priority": 1})
    assert (await post(client, "toy", *quick)).status_code == 200


@pytest.mark.parametrize(
    ("place", "parameters"),
    [
        ("timeout", {"timeout": -1}),
        ("timeout", {"timeout": 1.5}),
        ("sequence_id", {"sequence_id": 7}),
        ("sequence_start", {"sequence_start": True}),
    ],
)
async def test_parameters_that_would_mean_another_answer_are_refused(
    client: httpx.AsyncClient, place: str, parameters: dict[str, Any]
) -> None:
    response = await post(client, "toy", *message([features([[1, 2]])], parameters=parameters))
    assert_error(response, 400, f"parameters.{place}")
    unset = dict.fromkeys(("sequence_id", "timeout"), 0)
    assert (await post(client, "toy", *message([features([[1, 2]])], parameters=unset))).status_code == 200


async def test_there_is_no_shared_memory(client: httpx.AsyncClient) -> None:
    tensor = features([[1, 2]])
    tensor.more["parameters"] = {"shared_memory_region": "mine"}
    assert_error(await post(client, "toy", *message([tensor])), 400, "shared memory")
    wanted = {"name": "label", "parameters": {"shared_memory_region": "mine"}}
    assert_error(await post(client, "toy", *message([features([[1, 2]])], outputs=[wanted])), 400, "shared memory")
