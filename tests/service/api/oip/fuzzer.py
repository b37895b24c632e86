"""Malformed requests by the thousand: each is answered, in the protocol's shape, and never with a 5xx."""

import json
import random
import struct
from collections import Counter
from typing import Any

import httpx
import numpy as np

from tests.artifacts import CLASSIFIER, IMAGE, MIXED, ORDINAL, REGRESSION, Toy
from tests.service.api.oip.messages import LENGTH, OCTETS, assert_error, inputs, message, post, read

TOYS = (CLASSIFIER, ORDINAL, REGRESSION, MIXED, IMAGE)
ODD = [
    None, True, False, 0, 1, -1, 2, 3, 16, 2**31, 2**32, 2**63, 2**64 - 1, 2**64, -(2**63), 1e39, 0.5, 1e-320, "", "x",
    "FP32", "BYTES", "INT64", "features", "label", "jacobian", [], [0], [[]], [1, 2], [-1, 2], {},
    {"binary_data_size": 8},
]  # fmt: skip
INTERESTING = (b"\x00", b"\xff", b"\x7f\xc0\x00\x00", struct.pack("<I", 2**32 - 1), b'"', b"{", b"}", b"[", b",", b"\\")


class Fuzzer:
    """Good requests, then damaged."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def request(self) -> tuple[str, bytes, dict[str, str]]:
        """A model and a request for it that may be wrong in several ways."""
        rng = self._random
        toy: Toy = rng.choice(TOYS)
        encoded = toy.rows(rng.randint(1, 4), seed=rng.randint(0, 50))
        tensors = inputs(toy, encoded, [rng.random() < 0.7 for _ in range(4)])
        members: dict[str, Any] = {}
        if rng.random() < 0.3:
            members["parameters"] = {"binary_data_output": rng.random() < 0.5}
        if rng.random() < 0.3:
            members["outputs"] = [{"name": rng.choice(["label", "value", "verdict", "scores", "jacobian"])}]
        header, headers = message(tensors, rng.randint(0, 3), **members)
        length = int(headers.get(LENGTH, len(header)))
        header, raw = header[:length], header[length:]
        for _ in range(rng.randint(1, 3)):
            kind = rng.randrange(5)
            if kind == 0:
                header = self._document(header)
                headers = {"Content-Type": OCTETS, LENGTH: str(len(header))}
            elif kind == 1:
                header = self._bytes(header)
            elif kind == 2:
                raw = self._bytes(raw)
            elif kind == 3:
                raw = self._floats(raw)
            else:
                headers = {**headers, LENGTH: self._length(len(header), len(header) + len(raw))}
        return toy.name, header + raw, headers

    def _bytes(self, content: bytes) -> bytes:
        """Bytes flipped, put in, taken out, repeated or cut off."""
        rng = self._random
        at = rng.randint(0, len(content))
        until = rng.randint(at, min(len(content), at + rng.choice((1, 4, 64))))
        new = rng.choice((b"", rng.choice(INTERESTING), rng.randbytes(rng.randint(1, 8)), content[at:until] * 2))
        return content[:at] + new if rng.random() < 0.2 else content[:at] + new + content[until:]

    def _floats(self, raw: bytes) -> bytes:
        """A number that is odd, where there may be one."""
        if len(raw) < 4:
            return raw
        at = self._random.randrange(0, len(raw) - 3, 4)
        value = self._random.choice((np.nan, np.inf, -np.inf, 3.4e38, 1e-45, -0.0))
        return raw[:at] + struct.pack("<f", value) + raw[at + 4 :]

    def _document(self, header: bytes) -> bytes:
        """A member of the JSON changed, taken away, added or doubled."""
        rng = self._random
        try:
            document = json.loads(header)
        except ValueError:
            return header
        node: Any = document
        while rng.random() < 0.85:
            children = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
            children = [child for child in children if isinstance(child, dict | list) and child]
            if not children:
                break
            node = rng.choice(children)
        if isinstance(node, dict) and node:
            key = rng.choice([*node, "data", "parameters", "binary_data_size", "shape"])
            if rng.random() < 0.3:
                node.pop(key, None)
            else:
                node[key] = rng.choice(ODD)
        elif isinstance(node, list) and node:
            at = rng.randrange(len(node))
            node[at : at + rng.randint(0, 1)] = rng.choice(([rng.choice(ODD)], [], [node[at], node[at]]))
        return json.dumps(document).encode()

    def _length(self, length: int, size: int) -> str:
        rng = self._random
        near = (length + rng.randint(-9, 9), rng.randint(-1, size + 2))
        numbers = (*near, 0, size, size + 1, 2**63, 10 ** rng.randint(1, 60))
        return rng.choice((str(rng.choice(numbers)), f"{rng.choice(numbers):050}", "", "x", "1.5", "\u00b9", " 7"))


async def fuzz(client: httpx.AsyncClient, seed: int, cases: int) -> Counter[int]:
    """Put the cases; returns how often each status was answered."""
    fuzzer = Fuzzer(seed)
    statuses: Counter[int] = Counter()
    for case in range(cases):
        model, body, headers = fuzzer.request()
        raw = {name: value.encode("latin-1") for name, value in headers.items()}
        try:
            response = await post(client, model, body, raw)  # type: ignore[arg-type]
            statuses[response.status_code] += 1
            if response.status_code == 200:
                read(response)
            else:
                assert response.status_code in (400, 413)
                assert_error(response, response.status_code)
        except BaseException as error:
            error.add_note(f"seed {seed}, case {case}: {model}, {headers}, {body[:2000]!r}")
            raise
    # It still answers.
    rows = CLASSIFIER.rows(2)
    answer = read(await post(client, "toy", *message(inputs(CLASSIFIER, rows, [True]))))
    np.testing.assert_allclose(answer.outputs["probabilities"], CLASSIFIER.probabilities(rows), rtol=1e-4)
    return statuses
