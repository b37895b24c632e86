"""Tensors, in JSON and by the binary extension: every layout of a good one, and every way in which one can be wrong."""

import asyncio
import gzip
import json
import struct
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from chainzrule.service.api.bodies.steps import run_steps
from chainzrule.service.api.oip.tensors import STEP_VALUES, check_shape, flattened, written, written_in_steps
from chainzrule.service.errors import InvalidInput, TooLarge
from chainzrule.service.serving.tensors import TensorSpec
from tests.artifacts import CLASSIFIER, IMAGE, MIXED, Toy, categorical
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
    texts,
)
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio

BINARY_OUT = {"parameters": {"binary_data_output": True}}
ROWS = [[1.0, 2.0], [3.0, -4.0]]


def binary(content: bytes, shape: Any = (2, 2), size: Any = None, **more: Any) -> tuple[bytes, dict[str, str]]:
    """A request for `toy` whose tensor says what it is told to say."""
    tensor = {"name": "features", "shape": list(shape), "datatype": "FP32"}
    tensor["parameters"] = {"binary_data_size": len(content) if size is None else size}
    header = json.dumps({"inputs": [{**tensor, **more}]}).encode()
    return header + content, {"Content-Type": OCTETS, LENGTH: str(len(header))}


async def test_a_binary_request_is_answered_in_json(client: httpx.AsyncClient) -> None:
    answer = await infer(client, "toy", [features(ROWS, binary=True)])
    assert answer.binary == set()
    assert answer.document == (await infer(client, "toy", [features(ROWS)])).document


async def test_a_json_request_is_answered_in_binary(client: httpx.AsyncClient) -> None:
    answer = await infer(client, "toy", [features(ROWS)], **BINARY_OUT)
    assert answer.binary == {"label", "probabilities", "volatility", "flip_probability", "verdict"}
    assert int(answer.headers["content-length"]) > int(answer.headers[LENGTH]) > 0


async def test_an_outputs_own_word_counts_more_than_the_requests(client: httpx.AsyncClient) -> None:
    outputs = [
        {"name": "verdict", "parameters": {"binary_data": False}},
        {"name": "label", "parameters": {"binary_data": True}},
        {"name": "scores"},
    ]
    answer = await infer(client, "toy", [features(ROWS)], outputs=outputs, **BINARY_OUT)
    assert answer.binary == {"label", "scores"}
    assert (await infer(client, "toy", [features(ROWS)], outputs=outputs)).binary == {"label"}
    del outputs[1:]
    response = await post(client, "toy", *message([features(ROWS)], outputs=outputs, **BINARY_OUT))
    assert LENGTH not in response.headers
    assert read(response).binary == set()


@pytest.mark.parametrize("forms", [(True,), (True, False), (False, True), (False, False, True, True)])
async def test_json_and_binary_inputs_mix(client: httpx.AsyncClient, forms: tuple[bool, ...]) -> None:
    encoded = MIXED.rows(5)
    answer = await infer(client, "mixed", inputs(MIXED, encoded, forms))
    assert answer.document == (await infer(client, "mixed", inputs(MIXED, encoded))).document


async def test_tensors_lie_in_the_order_in_which_they_are_named(client: httpx.AsyncClient) -> None:
    tensors = inputs(MIXED, MIXED.rows(5), (True,))
    answer = await infer(client, "mixed", tensors[::-1])
    assert answer.document == (await infer(client, "mixed", tensors)).document


@pytest.mark.parametrize("indent", range(8))
async def test_tensors_begin_at_any_byte(client: httpx.AsyncClient, indent: int) -> None:
    encoded = IMAGE.rows(7)
    expected = await infer(client, "image", [features(encoded)])
    answer = await infer(client, "image", [features(encoded, binary=True)], indent=indent)
    assert answer.document == expected.document


async def test_requests_that_share_a_run_keep_their_own_rows(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        served = client.app.context.catalog.resolve("toy", None)  # type: ignore[attr-defined]
        rows = [CLASSIFIER.rows(count, seed=count) for count in range(1, 17)]
        runs = served.statistics.executions
        answers = await asyncio.gather(
            *(
                infer(client, "toy", [features(part, binary=at % 3 > 0)], indent=at % 4, outputs=[{"name": "scores"}])
                for at, part in enumerate(rows)
            )
        )
        assert served.statistics.executions - runs < len(rows)  # some were joined
        for part, answer in zip(rows, answers, strict=True):
            np.testing.assert_allclose(answer.outputs["scores"], CLASSIFIER.scores(part), rtol=1e-4, atol=1e-5)


async def test_a_bad_request_does_not_harm_those_beside_it(serving: Serving) -> None:
    bent = Toy(name="toy", cubic=0.1, seed=4)
    async with serving(bent) as client:
        good = [post(client, "toy", *binary(floats(bent.rows(2, seed=at)))) for at in range(4)]
        bad = post(client, "toy", *binary(floats([[1e30, 1.0], [1.0, 1.0]])))
        *answers, refused = await asyncio.gather(*good, bad)
        assert_error(refused, 400, "not finite")
        for at, answer in enumerate(answers):
            expected = bent.probabilities(bent.rows(2, seed=at))
            np.testing.assert_allclose(read(answer).outputs["probabilities"], expected, rtol=1e-3, atol=1e-6)


async def test_raw_mode_is_one_row_and_answers_in_binary(client: httpx.AsyncClient) -> None:
    for path, row in (("toy", [1.0, 2.0]), ("image/versions/1", IMAGE.rows(1)[0].tolist())):
        answer = read(await post(client, path, floats(row), {"Content-Type": OCTETS, LENGTH: "0"}))
        model = path.partition("/")[0]
        expected = await infer(client, model, [features([row])], **BINARY_OUT)
        assert answer.document == expected.document
        assert answer.binary == set(answer.outputs)
        assert "id" not in answer.document


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("toy", b""),
        ("toy", floats([1.0])),
        ("toy", floats([1.0, 2.0]) + b"\x00"),
        ("toy", floats(ROWS)),
        ("toy", orjson.dumps({"inputs": []})),
        ("toy", floats([1.0, np.nan])),
        ("mixed", floats([1.0])),
    ],
)
async def test_raw_mode_takes_exactly_one_row(client: httpx.AsyncClient, path: str, body: bytes) -> None:
    assert_error(await post(client, path, body, {"Content-Type": OCTETS, LENGTH: "0"}), 400)


async def test_raw_mode_of_a_text(serving: Serving) -> None:
    toy = Toy(features=(categorical("colour", "red", "gr\u00fcn"),))
    async with serving(toy) as client:
        raw = {"Content-Type": OCTETS, LENGTH: "0"}
        answer = read(await post(client, "toy", "gr\u00fcn".encode(), raw))
        np.testing.assert_allclose(answer.outputs["probabilities"], toy.probabilities(np.array([[0.0, 1.0]])), 1e-5)
        for body in (b"", b"gr\xfcn", b"s3cret", texts("red")):
            assert_error(await post(client, "toy", body, raw), 400)


async def test_the_length_is_that_of_the_json_after_decompression(client: httpx.AsyncClient) -> None:
    body, headers = binary(floats(ROWS))
    response = await post(client, "toy", gzip.compress(body), {**headers, "Content-Encoding": "gzip"})
    assert read(response).document == (await infer(client, "toy", [features(ROWS)])).document


async def test_a_compressed_request_is_bounded(client: httpx.AsyncClient) -> None:
    body, headers = binary(floats(ROWS) + bytes(10**6), size=16)
    response = await post(client, "toy", gzip.compress(body), {**headers, "Content-Encoding": "gzip"})
    assert_error(response, 413, "body")


async def test_json_and_a_length_without_any_tensor_behind_it(client: httpx.AsyncClient) -> None:
    body, headers = message([features(ROWS)])
    response = await post(client, "toy", body, {**headers, LENGTH: str(len(body))})
    assert read(response).document == (await infer(client, "toy", [features(ROWS)])).document
    response = await post(client, "toy", body, {**headers, LENGTH: f"{len(body):040}"})
    read(response)


BAD_LENGTHS = [
    "-1", "+5", "1.0", "1e2", "0x10", "", " ", "five", "1 2", "1_0", "\u00b2".encode("latin-1").decode("latin-1"),
    "999999", "9" * 30, "9" * 5000, "0" * 30 + "9" * 10, "0" * 5000 + "9" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("length", BAD_LENGTHS, ids=lambda length: length[:12])
async def test_a_length_is_a_whole_number_within_the_body(client: httpx.AsyncClient, length: str) -> None:
    body, _ = binary(floats(ROWS))
    raw = [(b"content-type", OCTETS.encode()), (b"inference-header-content-length", length.encode("latin-1"))]
    assert_error(await client.post("/v2/models/toy/infer", content=body, headers=raw), 400, LENGTH)


async def test_a_length_elsewhere_than_where_the_json_ends(client: httpx.AsyncClient) -> None:
    body, headers = binary(floats(ROWS), id="\u00e9")
    length = int(headers[LENGTH])
    read(await post(client, "toy", body, headers))
    for wrong in (1, length - 1, length + 1, len(body)):
        assert_error(await post(client, "toy", body, {**headers, LENGTH: str(wrong)}), 400, "body")


async def test_a_length_inside_a_character(client: httpx.AsyncClient) -> None:
    header = b'{"id": "\xc3\xa9"}'
    headers = {"Content-Type": OCTETS, LENGTH: str(header.index(b"\xa9"))}
    assert_error(await post(client, "toy", header, headers), 400, "JSON")


@pytest.mark.parametrize("size", [0, 1, 12, 15, 17, 20, 2**31, 2**63, 2**64, -1, -16, 16.0, True, "16"])
async def test_a_size_is_what_the_shape_needs_and_the_body_has(client: httpx.AsyncClient, size: Any) -> None:
    assert_error(await post(client, "toy", *binary(floats(ROWS), size=size)), 400)


@pytest.mark.parametrize("extra", [b"\x00", b"\x00" * 4, floats(ROWS), b"s3cret"])
async def test_bytes_behind_the_last_tensor_are_refused(client: httpx.AsyncClient, extra: bytes) -> None:
    body, headers = binary(floats(ROWS))
    assert_error(await post(client, "toy", body + extra, headers), 400, "body")


async def test_a_body_cut_off_anywhere_is_refused(client: httpx.AsyncClient) -> None:
    body, headers = message(inputs(MIXED, MIXED.rows(2), (True,)))
    read(await post(client, "mixed", body, headers))
    for end in range(len(body)):
        assert_error(await post(client, "mixed", body[:end], headers), 400)


@pytest.mark.parametrize(
    "shape",
    [[4], [2, 2, 1], [1, 4], [4, 1], [-1, 2], [2, -2], [2], [], [0, 2], [2.0, 2], ["2", 2], [True, 2], [None, 2]],
)
async def test_a_shape_that_does_not_fit_is_refused(client: httpx.AsyncClient, shape: Any) -> None:
    assert_error(await post(client, "toy", *binary(floats(ROWS), shape)), 400, "features")


async def test_huge_shapes_are_refused_before_anything_is_made(client: httpx.AsyncClient) -> None:
    for rows in (65, 2**31, 2**62, 2**64 - 1):
        assert_error(await post(client, "toy", *binary(floats(ROWS), (rows, 2))), 413, "features")
        sites = Tensor("site", [rows, 1], "BYTES", texts(*[""] * 65))
        tensors = [*inputs(MIXED, MIXED.rows(2), (True,))[:3], sites]
        assert_error(await post(client, "mixed", *message(tensors)), 413, "site")


async def test_data_and_bytes_exclude_each_other(client: httpx.AsyncClient) -> None:
    assert_error(await post(client, "toy", *binary(floats(ROWS), data=[1, 2, 3, 4])), 400, "features")


async def test_without_the_length_there_are_no_bytes(client: httpx.AsyncClient) -> None:
    header = orjson.dumps({"inputs": [features(ROWS, binary=True).describe()]})
    assert_error(await post(client, "toy", header, {"Content-Type": OCTETS}), 400, "binary_data_size")
    assert_error(await post(client, "toy", header + floats(ROWS), {"Content-Type": OCTETS}), 400, "JSON")


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, struct.unpack("<f", b"\x01\x00\xa0\x7f")[0]])
@pytest.mark.parametrize("place", range(4))
async def test_what_is_not_finite_is_refused_and_counted(client: httpx.AsyncClient, wrong: float, place: int) -> None:
    metrics = client.app.context.metrics.registry  # type: ignore[attr-defined]

    def rejected() -> float:
        found = metrics.get_sample_value("chainzrule_rejected_requests_total", {"reason": "invalid-input"})
        return float(found or 0.0)

    before = rejected()
    data = np.array(ROWS, dtype="<f4").ravel()
    data[place] = wrong
    error = assert_error(await post(client, "toy", *binary(data.tobytes())), 400, "finite")
    assert f"inputs[{place // 2}].{('height', 'weight')[place % 2]}" in error
    assert rejected() == before + 1
    tensors = inputs(MIXED, MIXED.rows(2), (True,))
    tensors[0].data = floats([1.0, wrong])
    assert_error(await post(client, "mixed", *message(tensors)), 400, "finite", "[1].age")


async def test_outputs_that_are_not_finite_are_refused_and_counted(client: httpx.AsyncClient) -> None:
    metrics = client.app.context.metrics.registry  # type: ignore[attr-defined]

    def counted() -> tuple[float, float]:
        labels = {"model": "bent", "version": "1"}
        rows = metrics.get_sample_value("chainzrule_nonfinite_outputs_total", labels)
        requests = metrics.get_sample_value("chainzrule_rejected_requests_total", {"reason": "non-finite-output"})
        return float(rows or 0.0), float(requests or 0.0)

    before = counted()
    for body in (binary(floats([[1.0, 1.0], [1e30, 1.0]])), message([features([[1.0, 1.0], [1e30, 1.0]])])):
        error = assert_error(await post(client, "bent", *body), 400, "not finite")
        assert "[1]" in error
    assert counted() == (before[0] + 2, before[1] + 2)


async def test_derivatives_that_are_not_finite_are_refused(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        served = client.app.context.catalog.resolve("toy", None)  # type: ignore[attr-defined]

        def broken(matrix: Any) -> Any:
            return np.full((len(matrix), 3, 2), np.nan, dtype=np.float32)

        served._derivatives._run = broken
        tensors = [features(ROWS)]
        response = await post(client, "toy", *message(tensors, outputs=[{"name": "jacobian"}]))
        assert_error(response, 400, "not finite")
        await infer(client, "toy", tensors)


BAD_TEXTS = {
    "cut short": texts("north", "south")[:-1],
    "length cut short": texts("north") + b"\x05\x00",
    "one too few": texts("north"),
    "one too many": texts("north", "south", "north"),
    "length beyond": texts("north") + struct.pack("<I", 2**32 - 1) + b"south",
    "length of the rest": texts("north") + struct.pack("<I", 6) + b"south",
    "big-endian": struct.pack(">I", 5) + b"north" + struct.pack(">I", 5) + b"south",
    "not UTF-8": texts("north", b"so\xffth"),
    "overlong UTF-8": texts("north", b"\xc0\xaf"),
    "unknown level": texts("north", "s3cret"),
    "empty level": texts("north", ""),
    "null byte": texts("north", "south\x00"),
    "nothing": b"",
}


@pytest.mark.parametrize("data", BAD_TEXTS.values(), ids=BAD_TEXTS)
async def test_texts_are_lengths_and_utf_8(client: httpx.AsyncClient, data: bytes) -> None:
    tensors = inputs(MIXED, MIXED.rows(2), (True,))
    tensors[3].data = data
    assert_error(await post(client, "mixed", *message(tensors)), 400, "site" if data else "")


async def test_rows_are_counted_alike_in_all_inputs(client: httpx.AsyncClient) -> None:
    tensors = inputs(MIXED, MIXED.rows(3), (True,))
    tensors[2] = Tensor("dose", [2, 1], "FP32", floats([1, 2]))
    assert_error(await post(client, "mixed", *message(tensors)), 400, "same number of rows")


# What a tensor must look like.

SPEC = TensorSpec("features", "FP32", (-1, 2))


@pytest.mark.parametrize("name", ["COMPLEX", "INT128", "fp32", "", None, 7, ["FP32"], {}])
async def test_a_datatype_that_is_not_in_the_table_is_refused(client: httpx.AsyncClient, name: Any) -> None:
    tensor = Tensor("features", [1, 2], name, [1, 2])
    assert_error(await post(client, "toy", *message([tensor])), 400, "must have the datatype FP32", "features")


async def test_a_datatype_that_holds_something_else_is_refused(client: httpx.AsyncClient) -> None:
    tensor = Tensor("features", [1, 2], "BYTES", ["1", "2"])
    assert_error(await post(client, "toy", *message([tensor])), 400, "must have the datatype FP32", "features")


def test_shapes_fit_where_nothing_but_the_rows_varies() -> None:
    assert check_shape(SPEC, [7, 2], max_rows=7) == (7, 2)
    assert check_shape(SPEC, [0, 2], max_rows=7) == (0, 2)
    with pytest.raises(TooLarge, match="at most 7 rows"):
        check_shape(SPEC, [8, 2], max_rows=7)
    for wrong in ([7, 3], [7], [7, 2, 1], [], [-1, 2], [7.0, 2], [True, 2], None, "7", {}):
        with pytest.raises(InvalidInput) as caught:
            check_shape(SPEC, wrong, max_rows=7)
        assert caught.value.place == "inputs.features"


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        ([1, 2, 3, 4], (2, 2)),
        ([[1, 2], [3, 4]], (2, 2)),
        ([[[1], [2]], [[3], [4]]], (2, 2, 1)),
        ([[1, 2, 3, 4]], (1, 4)),
        ([[1], [2], [3], [4]], (4, 1)),
        ([1, 2, 3, 4], (4, 1)),
    ],
)
def test_data_may_be_flat_or_nested(data: Any, shape: tuple[int, ...]) -> None:
    assert flattened(data, shape, "here") == [1, 2, 3, 4]


def test_no_data_are_flat_and_nested() -> None:
    assert flattened([], (0, 2), "here") == []
    assert flattened([[1, 2]], (1, 2), "here") == [1, 2]


@pytest.mark.parametrize(
    ("data", "place"),
    [
        *((data, "here") for data in (None, 1, "1234", {"a": 1})),
        *((data, "here.data") for data in ([1, 2, 3], [1, 2, 3, 4, 5], [[1, 2], [3]], [[1, 2], 3, 4], [[1, 2], "34"])),
        *((data, "here.data") for data in ([], [[]], [[1, 2, 3], [4]], [[1], [2], [3], [4]], [[1, 2, 3, 4]])),
    ],
)
def test_data_of_another_shape_are_refused(data: Any, place: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        flattened(data, (2, 2), "here")
    assert caught.value.place == place


def test_outputs_are_written_in_json_or_behind_it() -> None:
    raw: list[bytes] = [b"before"]
    values = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
    found = written(SPEC, values, False, raw)
    assert (found.pop("data").tolist(), raw) == ([1.0, 2.0, 3.0, 4.0], [b"before"])
    assert found == {"name": "features", "datatype": "FP32", "shape": [2, 2]}
    found["parameters"] = {"binary_data_size": 16}
    assert written(SPEC, values, True, raw) == found
    assert raw == [b"before", floats(values)]
    label = TensorSpec("label", "BYTES", (-1, 1))
    assert written(label, ["a", "bc"], False, raw)["data"] == ["a", "bc"]
    assert written(label, ["a", "bc"], True, raw)["parameters"] == {"binary_data_size": 11}
    assert raw[-1] == texts("a", "bc")


@pytest.mark.parametrize("rows", [1, STEP_VALUES // 4, STEP_VALUES])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_large_tensor_is_written_in_steps_as_it_is_at_once(rows: int, as_bytes: bool) -> None:
    cube = np.random.default_rng(0).normal(size=(rows, 2, 3)).astype(np.float32)
    names = ["a", 'b"\u00e9'] * rows
    for spec, values, size in (
        (TensorSpec("covariance", "FP32", (-1, 2, 3)), cube, 6 * rows),
        (TensorSpec("label", "BYTES", (-1, 1)), names, 2 * rows),
    ):
        at_once, in_steps = list[bytes](), list[bytes]()
        expected = written(spec, values, as_bytes, at_once)
        found = run_steps(written_in_steps(spec, values, as_bytes, in_steps))
        assert orjson.dumps(found) == orjson.dumps(expected, option=orjson.OPT_SERIALIZE_NUMPY)
        assert in_steps == at_once
        if not as_bytes:
            assert sum(1 for _ in written_in_steps(spec, values, as_bytes, [])) == -(-size // STEP_VALUES)
