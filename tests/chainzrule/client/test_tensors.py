"""Tensors are sent as JSON where they are few, else raw; the answers are the same."""

import json
from typing import Any

import numpy as np
import pytest

from chainzrule.client.questions import Reply
from chainzrule.client.tensors import LARGE, LENGTH, inference


def test_few_values_are_json() -> None:
    asked = inference([[1, 2]], "toy", None, ["scores"], {"noise_scale": 2.0})
    assert asked.path == "/v2/models/toy/infer"
    document = json.loads(asked.body or b"")
    assert document["inputs"] == [{"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}]
    assert document["outputs"] == [{"name": "scores"}]
    assert document["parameters"] == {"noise_scale": 2.0, "binary_data_output": False}


def test_many_values_are_raw() -> None:
    rows = np.arange(2 * LARGE, dtype=np.float64).reshape(-1, 2)
    asked = inference({"features": rows, "colour": ["red"] * LARGE}, "a/b", "1", None, {})
    assert asked.path == "/v2/models/a%2Fb/versions/1/infer"
    length = int(asked.headers[LENGTH])
    body = asked.body or b""
    first, second = json.loads(body[:length])["inputs"]
    assert first["parameters"] == {"binary_data_size": rows.size * 4}
    np.testing.assert_array_equal(np.frombuffer(body, "<f4", rows.size, length), rows.ravel())
    assert second["shape"] == [LARGE, 1]
    assert body.endswith(b"\x03\x00\x00\x00red")


@pytest.mark.parametrize("raw", [False, True])
def test_answers_become_arrays(raw: bool) -> None:
    parts: list[dict[str, Any]] = [
        {"name": "label", "shape": [2, 1], "datatype": "BYTES"},
        {"name": "scores", "shape": [2, 2], "datatype": "FP32"},
    ]
    texts, numbers = b"\x01\x00\x00\x00a\x02\x00\x00\x00\xc3\xbc", np.arange(4, dtype="<f4").tobytes()
    if raw:
        for part, content in zip(parts, (texts, numbers), strict=True):
            part["parameters"] = {"binary_data_size": len(content)}
    else:
        parts[0]["data"], parts[1]["data"] = ["a", "\u00fc"], [0, 1, 2, 3]
    header = json.dumps({"outputs": parts}).encode()
    reply = Reply(header + texts + numbers, {LENGTH: str(len(header))}) if raw else Reply(header)
    found = inference([[1, 2]], "toy", None, None, {}).read(reply)
    assert found["label"].tolist() == [["a"], ["\u00fc"]]
    np.testing.assert_array_equal(found["scores"], [[0, 1], [2, 3]])
