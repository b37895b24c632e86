"""Every refusal under `/v2`: its status, the protocol's one shape, and nothing of the request in it."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from chainzrule.service.api.problems import PROBLEMS, problem_of
from chainzrule.service.errors import ServiceError
from tests.artifacts import CLASSIFIER, MIXED, SLOW
from tests.service.api.oip.fuzzer import TOYS, fuzz
from tests.service.api.oip.messages import (
    LENGTH,
    OCTETS,
    Tensor,
    assert_error,
    features,
    floats,
    infer,
    inputs,
    message,
    post,
    read,
)
from tests.service.conftest import Serving, serve

pytestmark = pytest.mark.anyio
JSON = {"Content-Type": "application/json"}
GOOD = {"name": "features", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}


def changed(**members: Any) -> dict[str, Any]:
    """A request whose one tensor has other members; None takes one away."""
    tensor = {name: value for name, value in {**GOOD, **members}.items() if value is not None}
    return {"inputs": [tensor]}


def nested(levels: int) -> str:
    data = "[" * levels + "1" + "]" * levels
    return f'{{"inputs": [{{"name": "features", "shape": [2, 2], "datatype": "FP32", "data": {data}}}]}}'


# What is wrong, and a word of the answer.
BODIES: dict[str, tuple[Any, str]] = {
    "no JSON": ("s3cret", "body"),
    "empty": ("", "body"),
    "a list": ([GOOD], "body"),
    "a text": ('"s3cret"', "body"),
    "NaN": ('{"inputs": [{"name": "features", "data": [NaN]}]}', "JSON"),
    "no inputs": ({}, "inputs"),
    "inputs null": ({"inputs": None}, "inputs"),
    "inputs empty": ({"inputs": []}, "inputs"),
    "inputs an object": ({"inputs": GOOD}, "inputs"),
    "an input that is a text": ({"inputs": ["s3cret"]}, "inputs"),
    "an input that is a list": ({"inputs": [[GOOD]]}, "inputs"),
    "no name": (changed(name=None), "inputs"),
    "name a number": (changed(name=7), "inputs"),
    "unknown input": ({"inputs": [GOOD, {**GOOD, "name": "s3cret"}]}, "inputs"),
    "only unknown": (changed(name="s3cret"), "inputs"),
    "the same input twice": ({"inputs": [GOOD, GOOD]}, "twice"),
    "no datatype": (changed(datatype=None), "FP32"),
    "COMPLEX": (changed(datatype="COMPLEX"), "FP32"),
    "BYTES": (changed(datatype="BYTES"), "FP32"),
    "lower case": (changed(datatype="fp32"), "FP32"),
    "datatype s3cret": (changed(datatype="s3cret"), "FP32"),
    "datatype a list": (changed(datatype=["FP32"]), "FP32"),
    "no shape": (changed(shape=None), "shape"),
    "shape a number": (changed(shape=4), "shape"),
    "rank 1": (changed(shape=[4]), "shape"),
    "rank 3": (changed(shape=[2, 2, 1]), "shape"),
    "wrong width": (changed(shape=[1, 4]), "shape"),
    "negative": (changed(shape=[-1, 2]), "shape"),
    "both negative": (changed(shape=[-2, -2]), "shape"),
    "fraction": (changed(shape=[2.0, 2]), "shape"),
    "boolean": (changed(shape=[True, 2]), "shape"),
    "text": (changed(shape=["2", 2]), "shape"),
    "no rows": (changed(shape=[0, 2], data=[]), "at least one row"),
    "no data": (changed(data=None), "data"),
    "data a number": (changed(data=1), "data"),
    "data a text": (changed(data="s3cret"), "data"),
    "data an object": (changed(data={"s3cret": 1}), "data"),
    "too few": (changed(data=[1, 2, 3]), "data"),
    "too many": (changed(data=[1, 2, 3, 4, 5]), "data"),
    "nothing": (changed(data=[]), "data"),
    "ragged": (changed(data=[[1, 2], [3]]), "data"),
    "ragged, as many in all": (changed(data=[[1, 2, 3], [4]]), "data"),
    "list and numbers": (changed(data=[[1, 2], 3, 4]), "data"),
    "numbers and lists": (changed(data=[1, 2, [3], 4]), "numbers"),
    "too deep": (changed(data=[[[1], [2]], [[3], [4]]]), "numbers"),
    "turned": (changed(shape=[1, 2], data=[[1], [2]]), "data"),
    "a text in it": (changed(data=[1, 2, "s3cret", 4]), "numbers"),
    "a number as text": (changed(data=[1, 2, "3", 4]), "numbers"),
    "a boolean in it": (changed(data=[1, True, 3, 4]), "numbers"),
    "a boolean in a row": (changed(data=[[1, True], [3, 4]]), "numbers"),
    "null in it": (changed(data=[1, None, 3, 4]), "numbers"),
    "infinite as float32": (changed(data=[1, 1e39, 3, 4]), "finite"),
    "minus infinite as float32": (changed(data=[1, 2, -3.5e38, 4]), "finite"),
    "beyond any float": ('{"inputs": [{"name": "features", "data": [1e999]}]}', "float"),
    "a whole number beyond any float": (nested(1).replace("1]", "1" + "0" * 400 + "]"), ""),
    "nested 29 deep": (nested(29), ""),
    "nested 40 deep": (nested(40), "nested"),
    "nested 2000 deep": (nested(2000), "nested"),
    "a member twice": ('{"inputs": [], "inputs": []}', "twice"),
    "a member of a tensor twice": (
        '{"inputs": [{"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1, 2], "data": [3, 4]}]}',
        "twice",
    ),
    "a parameter twice": ('{"parameters": {"a": 1, "a": 2}, "inputs": []}', "twice"),
    "parameters a list": ({**changed(), "parameters": []}, "parameters"),
    "a parameter null": ({**changed(), "parameters": {"s3cret": None}}, "parameters"),
    "a parameter that is a list": ({**changed(), "parameters": {"s3cret": [1]}}, "parameters"),
    "an input's parameters": (changed(parameters={"s3cret": {}}), "parameters"),
    "binary_data_output a number": ({**changed(), "parameters": {"binary_data_output": 1}}, "binary_data_output"),
    "binary_data a text": (
        {**changed(), "outputs": [{"name": "label", "parameters": {"binary_data": "yes"}}]},
        "binary_data",
    ),
    "outputs an object": ({**changed(), "outputs": {"name": "label"}}, "outputs"),
    "an output that is a text": ({**changed(), "outputs": ["label"]}, "outputs"),
    "an output without a name": ({**changed(), "outputs": [{}]}, "outputs"),
    "the same output twice": ({**changed(), "outputs": [{"name": "label"}, {"name": "label"}]}, "twice"),
    "our own route's body": ({"instances": [[1, 2]]}, "inputs"),
}


@pytest.mark.parametrize(("body", "word"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", ["toy", "toy/versions/1"])
async def test_bodies_that_are_no_request(client: httpx.AsyncClient, path: str, body: Any, word: str) -> None:
    content = body.encode() if isinstance(body, str) else orjson.dumps(body)
    assert_error(await post(client, path, content, JSON), 400, word)


@pytest.mark.parametrize("missing", range(4))
async def test_every_input_is_needed(client: httpx.AsyncClient, missing: int) -> None:
    tensors = inputs(MIXED, MIXED.rows(2))
    name = tensors.pop(missing).name
    assert_error(await post(client, "mixed", *message(tensors)), 400, name, "missing")


async def test_levels_are_checked(client: httpx.AsyncClient) -> None:
    for values in (["north", "s3cret"], ["north", 1], ["north", None], ["north", True], ["north", ["south"]]):
        tensors = inputs(MIXED, MIXED.rows(2))
        tensors[3].data = values
        assert_error(await post(client, "mixed", *message(tensors)), 400, "site")
    tensors = inputs(MIXED, MIXED.rows(2))
    tensors[3] = Tensor("site", [2, 1], "FP32", [1, 2])
    assert_error(await post(client, "mixed", *message(tensors)), 400, "BYTES")


async def test_places_are_named_as_this_protocol_names_them(client: httpx.AsyncClient) -> None:
    tensors = inputs(MIXED, MIXED.rows(2))
    tensors[3].data = ["north", "west"]
    response = await post(client, "mixed", *message(tensors))
    assert "instances" not in assert_error(response, 400, "inputs[1].site")
    response = await post(client, "bent", *message([features([[1e30, 1]])]))
    assert "instances" not in assert_error(response, 400, "inputs[0]")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v2/models/s3cret/infer", 404),
        ("POST", "/v2/models/toy/versions/7/infer", 404),
        ("POST", "/v2/models/toy/versions/s3cret/infer", 404),
        ("POST", "/v2/models/toy/versions/01/infer", 404),
        ("POST", "/v2/models//infer", 404),
        ("POST", "/v2/models/infer", 405),
        ("POST", "/v2/models/toy/versions//infer", 404),
        ("POST", "/v2/models/toy/versions/infer", 405),
        ("POST", "/v2/models/toy/a/b/c/infer", 404),
        ("POST", "/v2/models/%2e%2e/infer", 404),
        ("POST", "/v2/models/toy%2fversions%2f1%2fx/infer", 404),
        ("POST", "/v2/models/toy/generate", 404),
        ("GET", "/v2/s3cret", 404),
        ("GET", "/v2//", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/v2/health", 404),
        ("GET", "/v2/models/toy/infer", 405),
        ("GET", "/v2/models/toy/versions/1/infer", 405),
        ("PUT", "/v2/models/toy/infer", 405),
        ("DELETE", "/v2/models/toy", 405),
        ("POST", "/v2", 405),
        ("POST", "/v2/", 405),
        ("POST", "/v2/health/ready", 405),
        ("GET", "/v2/repository/index", 405),
        ("S3CRET", "/v2/models/toy", 405),
    ],
)
async def test_what_is_not_there(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    body, headers = message([features([[1, 2]])])
    response = await client.request(method, path, content=body, headers=headers)
    assert_error(response, status)
    assert ("allow" in response.headers) == (status == 405)


async def test_heads_are_answered_like_gets(client: httpx.AsyncClient) -> None:
    for path in ("/v2", "/v2/health/ready", "/v2/models/toy/ready"):
        assert (await client.head(path)).status_code == 200


@pytest.mark.parametrize("media", ["text/plain", "multipart/form-data", "application/x-protobuf"])
async def test_other_media_are_415(client: httpx.AsyncClient, media: str) -> None:
    body, _ = message([features([[1, 2]])])
    assert_error(await post(client, "toy", body, {"Content-Type": media}), 415)
    assert_error(await post(client, "toy", body, {**JSON, "Content-Encoding": "br"}), 415)


async def test_damaged_compression_is_400(client: httpx.AsyncClient) -> None:
    assert_error(await post(client, "toy", b"s3cret", {**JSON, "Content-Encoding": "gzip"}), 400)


async def test_too_much_is_413(client: httpx.AsyncClient) -> None:
    assert_error(await post(client, "toy", *message([features(CLASSIFIER.rows(65))])), 413, "64")
    assert_error(await post(client, "toy", *message([features(CLASSIFIER.rows(65), binary=True)])), 413, "64")
    assert_error(await post(client, "toy", b" " * 65537, JSON), 413, "65536")
    await infer(client, "toy", [features(CLASSIFIER.rows(64), binary=True)])
    rows = [features(CLASSIFIER.rows(17))]
    assert_error(await post(client, "toy", *message(rows, outputs=[{"name": "jacobian"}])), 413, "16")
    await infer(client, "toy", rows, outputs=[{"name": "covariance"}])


@pytest.mark.parametrize("text", ["0", "-1", "nan", "s3cret", "1e999"])
async def test_a_timeout_is_a_positive_number(client: httpx.AsyncClient, text: str) -> None:
    body, headers = message([features([[1, 2]])])
    assert_error(await post(client, "toy", body, {**headers, "X-Request-Timeout": text}), 400, "X-Request-Timeout")


async def test_out_of_time_is_504(serving: Serving) -> None:
    async with serving(SLOW, inline_milliseconds=0) as client:
        body, headers = message([features([[1e6, 1]], binary=True)])
        response = await post(client, "slow", body, {**headers, "X-Request-Timeout": "0.02"})
        assert_error(response, 504)
        await infer(client, "slow", [features([[1, 1]])])  # once the run is over


async def test_a_full_queue_is_429(serving: Serving) -> None:
    async with serving(SLOW, inline_milliseconds=0, max_queue_rows=1, max_batch_rows=1) as client:
        body, headers = message([features([[2e5, 1]])])
        answers = await asyncio.gather(*(post(client, "slow", body, headers) for _ in range(8)))
        refused = [answer for answer in answers if answer.status_code != 200]
        assert refused
        assert len(refused) < 8
        for response in refused:
            assert_error(response, 429)
            assert int(response.headers["retry-after"]) >= 1


async def test_a_model_that_is_not_ready_is_503(serving: Serving) -> None:
    async with serving(CLASSIFIER.with_graph("model", b"no graph")) as client:
        for path in ("toy", "toy/versions/1"):
            response = await post(client, path, *message([features([[1, 2]])]))
            assert_error(response, 503)
            assert int(response.headers["retry-after"]) >= 1


async def test_without_the_token_it_is_401(serving: Serving, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret")
    async with serving(CLASSIFIER, token_file=token) as client:
        body, headers = message([features([[1, 2]])])
        assert_error(await post(client, "toy", body, headers), 401)
        assert_error(await client.post("/v2/repository/index"), 401)
        response = await post(client, "toy", body, {**headers, "Authorization": "Bearer s3cret"})
        assert response.status_code == 200


async def test_what_should_not_happen_is_500_and_tells_nothing(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(CLASSIFIER) as client:

        def fail(*arguments: object) -> None:
            raise RuntimeError("s3cret of the machine")

        monkeypatch.setattr(client.app.context.catalog, "resolve", fail)  # type: ignore[attr-defined]
        assert_error(await post(client, "toy", *message([features([[1, 2]])])), 500)
        assert_error(await client.get("/v2/models/toy"), 500)


@pytest.mark.parametrize("kind", list(PROBLEMS), ids=lambda kind: kind.__name__)
async def test_every_error_has_this_shape(kind: type[ServiceError]) -> None:
    response = problem_of(kind("what to do", "here"), oip=True)
    status = PROBLEMS[kind][0]
    assert response.status_code == (400 if status == 422 else status)
    assert orjson.loads(bytes(response.body)) == {"error": "here: what to do"}


async def test_malformed_requests_are_refused(client: httpx.AsyncClient) -> None:
    statuses = await fuzz(client, seed=1, cases=1500)
    assert statuses[400] > 500
    assert statuses[200] > 50  # some damage does no harm, and shows that the cases are near to good requests


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
async def test_malformed_requests_are_refused_for_long(tmp_path: Path, seed: int) -> None:
    async with serve(tmp_path, *TOYS, max_rows=64) as client:
        statuses = await fuzz(client, seed, 10_000)
        print(f"seed {seed}: {dict(statuses)}")
        assert statuses[400] > 5000


# The length of the JSON, and raw bodies.


@pytest.mark.parametrize("text", ["-1", "+1", "1.0", "1e1", " ", "x", "\u00b2", "1" * 30, "100000"])
async def test_a_length_of_json_is_a_whole_number_within_the_body(client: httpx.AsyncClient, text: str) -> None:
    body, headers = message([features([[1, 2]], binary=True)])
    refused = await post(client, "toy", body, {**headers, LENGTH: text.encode("latin-1")})  # type: ignore[dict-item]
    assert_error(refused, 400, "Inference-Header-Content-Length", "whole number of bytes")


async def test_a_length_of_json_may_begin_with_zeros_and_be_all_of_the_body(client: httpx.AsyncClient) -> None:
    body, headers = message([features([[1, 2]], binary=True)])
    padded = {**headers, LENGTH: headers[LENGTH].zfill(30)}
    expected = read(await post(client, "toy", body, headers)).document
    assert read(await post(client, "toy", body, padded)).document == expected
    whole, _ = message([features([[1, 2]])])
    assert read(await post(client, "toy", whole, {**JSON, LENGTH: str(len(whole))})).document == expected
    assert_error(await post(client, "toy", whole, {**JSON, LENGTH: str(len(whole) + 1)}), 400, "at most the body's")


@pytest.mark.parametrize("nothing", ["0", "000"])
async def test_a_body_without_json_is_one_row_of_the_only_input(client: httpx.AsyncClient, nothing: str) -> None:
    headers = {"Content-Type": OCTETS, LENGTH: nothing}
    answer = read(await post(client, "toy", floats([1.5, -2.0]), headers))
    expected = await infer(client, "toy", [features([[1.5, -2.0]])])
    assert answer.binary == set(expected.outputs)
    for name, values in expected.outputs.items():
        np.testing.assert_array_equal(answer.outputs[name], values)
    assert_error(await post(client, "toy", floats([1.5, -2.0, 3.0]), headers), 400, "features")
    assert_error(await post(client, "mixed", floats([1.5]), headers), 400, "only for a model with one input")
