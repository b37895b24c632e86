"""Messages are bounded before they are read, and become what the API reads."""

import contextlib
import random
from typing import Any

import pytest

from chainzrule.service.errors import InvalidInput, MalformedRequest, ServiceError, TooLarge

pytest.importorskip("grpc")

from google.protobuf.message import DecodeError

from chainzrule.service.grpc.messages import message
from chainzrule.service.grpc.question import MOST_FIELDS, PARSED_BYTES, document_of, parsed_bytes

REQUEST = message("inference.ModelInferRequest")


def tensor(datatype: str, shape: tuple[int, ...] = (1, 2), **contents: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"name": "features", "datatype": datatype, "shape": shape}
    return {**found, "contents": contents} if contents else found


def test_raw_tensors_are_kept_as_they_are_and_all_else_grows() -> None:
    small = REQUEST(model_name="toy", inputs=[tensor("FP32")])
    text = small.SerializeToString()
    assert parsed_bytes(text) == len(text) * PARSED_BYTES
    small.raw_input_contents.append(bytes(1000))
    assert parsed_bytes(small.SerializeToString()) == 1000 + (len(text) + 3) * PARSED_BYTES
    assert parsed_bytes(b"") == 0


@pytest.mark.parametrize(
    "text",
    [b"\x0a", b"\x0a\x05abc", b"\x0b", b"\x0f", b"\xff" * 11, b"\x08", b"\x09abc", b"\x0d", b"\x80"],
    ids=lambda text: text.hex(),
)
def test_what_is_no_message_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedRequest):
        parsed_bytes(text)


def test_messages_of_very_many_fields_are_refused() -> None:
    assert parsed_bytes(b"\x3a\x00" * MOST_FIELDS) == 2 * MOST_FIELDS * PARSED_BYTES
    with pytest.raises(TooLarge, match="fields"):
        parsed_bytes(b"\x3a\x00" * (MOST_FIELDS + 1))


def test_what_protobuf_reads_is_bounded_too() -> None:
    rng = random.Random(5)
    good = REQUEST(model_name="toy", id="7", inputs=[tensor("FP32")], raw_input_contents=[bytes(8)]).SerializeToString()
    for _ in range(3000):
        text = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            text[rng.randrange(len(text))] = rng.randrange(256)
        try:
            parsed_bytes(bytes(text))
        except ServiceError:
            continue
        with contextlib.suppress(DecodeError, InvalidInput):
            document_of(REQUEST.FromString(bytes(text)))


def test_a_message_becomes_the_json_that_says_the_same() -> None:
    asked = REQUEST(
        id="seven",
        parameters={"noise_scale": {"double_param": 2.0}, "observe": {"bool_param": False}, "empty": {}},
        inputs=[tensor("FP32", fp32_contents=[1.5, 2.0])],
        outputs=[{"name": "verdict"}],
    )
    document, raw, is_raw = document_of(asked)
    assert document == {
        "id": "seven",
        "parameters": {"noise_scale": 2.0, "observe": False},
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 2], "parameters": {}, "data": [1.5, 2.0]}],
        "outputs": [{"name": "verdict", "parameters": {}}],
    }
    assert (bytes(raw), is_raw) == (b"", False)


def test_raw_tensors_follow_one_another() -> None:
    asked = REQUEST(inputs=[tensor("FP32"), tensor("BYTES")], raw_input_contents=[b"abcd", b"ef"])
    document, raw, is_raw = document_of(asked)
    assert [one["parameters"] for one in document["inputs"]] == [{"binary_data_size": 4}, {"binary_data_size": 2}]
    assert (bytes(raw), is_raw) == (b"abcdef", True)


@pytest.mark.parametrize(
    ("datatype", "field", "values"),
    [
        ("FP32", "fp32_contents", [1.5]),
        ("FP64", "fp64_contents", [0.1]),
        ("INT8", "int_contents", [-1]),
        ("INT64", "int64_contents", [-(2**40)]),
        ("UINT16", "uint_contents", [7]),
        ("UINT64", "uint64_contents", [2**40]),
        ("BOOL", "bool_contents", [True]),
        ("BYTES", "bytes_contents", [b"red"]),
    ],
)
def test_typed_contents_are_taken_from_the_datatypes_own_field(datatype: str, field: str, values: list[Any]) -> None:
    document, _, _ = document_of(REQUEST(inputs=[tensor(datatype, **{field: values})]))
    assert document["inputs"][0]["data"] == (["red"] if datatype == "BYTES" else values)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"inputs": [tensor("FP16", fp32_contents=[1.0])]}, "raw_input_contents as FP16"),
        ({"inputs": [tensor("FP32", int_contents=[1])]}, "must have its data in fp32_contents"),
        ({"inputs": [tensor("BYTES", bytes_contents=[b"\xff"])]}, "UTF-8"),
        ({"inputs": [tensor("FP32", fp32_contents=[1])], "raw_input_contents": [b"abcd"]}, "both"),
        ({"inputs": [tensor("FP32")], "raw_input_contents": [b"", b""]}, "as many as the inputs"),
    ],
)
def test_data_in_the_wrong_place_are_refused(content: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        document_of(REQUEST(**content))
