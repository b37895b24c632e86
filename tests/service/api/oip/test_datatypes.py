"""Each datatype of the table, in and out of JSON and of raw bytes; and what a further entry brings."""

from typing import Any, get_args

import httpx
import numpy as np
import pytest

from chainzrule.service.api.oip.datatypes import BYTES, DATATYPES, FP32, Datatype, Floats, Integers
from chainzrule.service.api.oip.schemas import InputTensor
from chainzrule.service.errors import InvalidInput
from tests.contract.regenerate import openapi
from tests.service.api.oip.messages import (
    LENGTH,
    OCTETS,
    Tensor,
    assert_error,
    features,
    floats,
    infer,
    message,
    post,
    texts,
)

pytestmark = pytest.mark.anyio

NUMBERS = np.array([[1.0, -2.5], [3.4e38, 1e-45]], dtype=np.float32)
TEXTS = ["", "red", "gr\u00fcn", "\U0001f600 \u2028", "a" * 300, "red"]
FP64 = DATATYPES["FP64"]
EVERY = pytest.mark.parametrize("datatype", DATATYPES.values(), ids=lambda datatype: datatype.name)
IN_JSON = pytest.mark.parametrize(
    "datatype", [one for one in DATATYPES.values() if one.contents is not None], ids=lambda datatype: datatype.name
)
SHORT = ("FP16", "BF16")  # whose JSON would not say what was meant


def sample(datatype: Datatype) -> tuple[Any, tuple[int, ...]]:
    """Values of a datatype, and their shape."""
    if datatype.holds == "texts":
        return TEXTS, (len(TEXTS), 1)
    exact = {"BOOL": [[0, 1], [1, 0]], "FP16": [[1.0, -2.5], [65504, 0.5]], "BF16": [[1.0, -2.5], [2.0**127, 0.5]]}
    values = NUMBERS
    if datatype.name in exact:
        values = np.array(exact[datatype.name], dtype=np.float32)
    elif isinstance(datatype, Integers):
        values = np.array([[0, 1], [7, 127]], dtype=np.float32)
    return values, values.shape


def same(found: Any, expected: Any) -> bool:
    return np.array_equal(found, expected) and isinstance(found, type(expected))


@IN_JSON
def test_json_comes_back_as_it_went(datatype: Datatype) -> None:
    values, shape = sample(datatype)
    written = datatype.to_json(values)
    flat = written.tolist() if isinstance(written, np.ndarray) else written
    assert len(flat) == np.prod(shape)
    assert same(datatype.from_json(flat, shape, "here"), values)


@EVERY
@pytest.mark.parametrize("offset", range(9))
def test_bytes_come_back_as_they_went_from_any_address(datatype: Datatype, offset: int) -> None:
    values, shape = sample(datatype)
    raw = datatype.to_bytes(values)
    found = datatype.from_bytes(memoryview(b"\x00" * offset + raw)[offset:], shape, "here")
    assert same(found, values)
    if isinstance(found, np.ndarray):
        assert found.flags.aligned
        assert found.dtype == np.float32


@EVERY
def test_more_or_fewer_bytes_are_refused(datatype: Datatype) -> None:
    values, shape = sample(datatype)
    raw = datatype.to_bytes(values)
    for wrong in (raw[:-1], raw + b"\x00", b"", raw * 2):
        with pytest.raises(InvalidInput) as caught:
            datatype.from_bytes(memoryview(wrong), shape, "here")
        assert caught.value.place == "here"


@IN_JSON
def test_values_of_another_kind_are_refused(datatype: Datatype) -> None:
    wrong: Any
    truth = (2, 0.5) if datatype.name == "BOOL" else (True,)
    for wrong in (None, *truth, [1], {}, *(("1",) if datatype.holds == "numbers" else (1, 1.5))):
        with pytest.raises(
            InvalidInput, match=r"must hold (whole numbers|numbers|texts|true and false) only"
        ) as caught:
            datatype.from_json([wrong], (1, 1), "here")
        assert caught.value.place == "here.data"


@pytest.mark.parametrize("name", SHORT)
def test_short_floats_are_raw_only(name: str) -> None:
    with pytest.raises(InvalidInput, match=f"as raw bytes, as {name}"):
        DATATYPES[name].from_json([1.0], (1, 1), "here")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(("INT8", wrong) for wrong in (128, -129, 1.5, 1e300)),
        *(("UINT8", wrong) for wrong in (-1, 256)),
        *(("UINT64", wrong) for wrong in (-1, 2**64)),
    ],
)
def test_what_no_such_number_is_is_refused(name: str, wrong: float) -> None:
    with pytest.raises(InvalidInput, match="must hold whole numbers only"):
        DATATYPES[name].from_json([1, wrong], (2, 1), "here")


@pytest.mark.parametrize("value", [2**24 + 1, 2**53 + 2, 2**63 - 1, -(2**24) - 1])
def test_whole_numbers_lose_nothing(value: int) -> None:
    datatype = DATATYPES["INT64"]
    for read in (
        lambda: datatype.from_json([value], (1, 1), "here"),
        lambda: datatype.from_bytes(memoryview(np.array([value], "<i8").tobytes()), (1, 1), "here"),
    ):
        with pytest.raises(InvalidInput, match="send FP64 to round them"):
            read()
    exact = [2**24, 2**25, -(2**40), 2.0]
    assert datatype.from_json(exact, (4, 1), "here").ravel().tolist() == exact


def test_truth_is_one_byte_of_zero_or_one() -> None:
    truth = DATATYPES["BOOL"]
    assert truth.from_json([True, False, 1], (3, 1), "here").ravel().tolist() == [1.0, 0.0, 1.0]
    with pytest.raises(InvalidInput, match="bytes 0 and 1"):
        truth.from_bytes(memoryview(b"\x02"), (1, 1), "here")


@pytest.mark.parametrize("datatype", [FP32, FP64], ids=lambda datatype: datatype.name)
def test_numbers_beyond_float32_become_infinite(datatype: Floats) -> None:
    assert datatype.from_json([1e39, -1e300, 1], (3,), "here").tolist() == [np.inf, -np.inf, 1.0]
    assert np.isnan(datatype.from_bytes(memoryview(datatype.to_bytes(np.float32([np.nan]))), (1,), "here")).all()
    wide = np.array([1e39, -1e300], dtype="<f8").tobytes()
    assert FP64.from_bytes(memoryview(wide), (2,), "here").tolist() == [np.inf, -np.inf]


def test_raw_forms_are_the_protocols() -> None:
    assert FP32.to_bytes(np.float32([1.0, -2.0])) == b"\x00\x00\x80\x3f\x00\x00\x00\xc0"
    assert FP64.to_bytes(np.float32([1.0])) == b"\x00\x00\x00\x00\x00\x00\xf0\x3f"
    assert BYTES.to_bytes(["a", "\u00fc"]) == b"\x01\x00\x00\x00a\x02\x00\x00\x00\xc3\xbc" == texts("a", "\u00fc")


def test_texts_have_lengths_of_four_bytes() -> None:
    for values in ([""], ["", ""], ["a", ""]):
        assert BYTES.from_bytes(memoryview(texts(*values)), (len(values), 1), "here") == values
    for wrong in (b"\x01\x00\x00\x01a", b"\x01\x00\x01\x00a", b"\x01\x01\x00\x00a", b"\x00\x00\x00"):
        with pytest.raises(InvalidInput, match="cut short"):
            BYTES.from_bytes(memoryview(wrong), (1, 1), "here")


def test_an_aligned_tensor_is_read_where_it_lies() -> None:
    raw = np.arange(4, dtype="<f4").tobytes()
    assert np.shares_memory(FP32.from_bytes(memoryview(raw), (2, 2), "here"), np.frombuffer(raw, dtype="<f4"))


def test_a_body_is_one_text_without_its_length() -> None:
    assert BYTES.from_body(memoryview(b"gr\xc3\xbcn"), (1, 1), "here") == ["gr\u00fcn"]
    with pytest.raises(InvalidInput, match="UTF-8"):
        BYTES.from_body(memoryview(b"gr\xfcn"), (1, 1), "here")
    assert FP32.from_body(memoryview(floats([1, 2])), (1, 2), "here").tolist() == [[1.0, 2.0]]


def test_the_documentation_lists_the_table() -> None:
    assert list(get_args(InputTensor.model_fields["datatype"].annotation)) == list(DATATYPES)
    schemas = openapi()["components"]["schemas"]
    for name in ("OutputTensor", "TensorMetadata"):
        assert schemas[name]["properties"]["datatype"]["enum"] == list(DATATYPES)
    assert list(DATATYPES) == [datatype.name for datatype in DATATYPES.values()]


@pytest.mark.parametrize(
    "datatype", [one for one in DATATYPES.values() if one.holds == "numbers"], ids=lambda one: one.name
)
async def test_a_model_takes_numbers_of_every_datatype(client: httpx.AsyncClient, datatype: Datatype) -> None:
    rows = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    expected = (await infer(client, "toy", [features(rows)])).document
    ways: list[Any] = [datatype.to_bytes(rows)]
    if datatype.contents is not None:
        flat = [bool(value) if datatype.name == "BOOL" else float(value) for value in rows.ravel()]
        ways += [flat, [flat[:2], flat[2:]]]
    for data in ways:
        assert (await infer(client, "toy", [Tensor("features", [2, 2], datatype.name, data)])).document == expected


async def test_other_datatypes_are_checked_like_the_models_own(client: httpx.AsyncClient) -> None:
    response = await post(client, "toy", *message([Tensor("features", [2, 2], "COMPLEX", [1, 2, 3, 4])]))
    assert_error(response, 400, "must have the datatype FP32 or FP64")
    beyond = Tensor("features", [1, 2], "FP64", np.array([[1.0, 1e39]], dtype="<f8").tobytes())
    assert_error(await post(client, "toy", *message([beyond])), 400, "finite", "inputs[0].weight")
    raw = {"Content-Type": OCTETS, LENGTH: "0"}  # a body without JSON names no datatype: it is the model's own
    assert_error(await post(client, "toy", np.ones(2, "<f8").tobytes(), raw), 400)
    metadata = (await client.get("/v2/models/toy")).json()
    assert metadata["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 2]}]
