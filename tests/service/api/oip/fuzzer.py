"""Malformed requests by the thousand: each is answered, in the protocol's shape, and never with a 5xx."""

import random
from collections import Counter
from typing import Any

import httpx
import numpy as np

from tests.artifacts import CLASSIFIER, IMAGE, MIXED, ORDINAL, REGRESSION, Toy
from tests.damage import damaged_bytes, damaged_document, damaged_floats
from tests.service.api.oip.messages import LENGTH, OCTETS, assert_error, inputs, message, post, read

TOYS = (CLASSIFIER, ORDINAL, REGRESSION, MIXED, IMAGE)


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
                header = damaged_document(rng, header)
                headers = {"Content-Type": OCTETS, LENGTH: str(len(header))}
            elif kind == 1:
                header = damaged_bytes(rng, header)
            elif kind == 2:
                raw = damaged_bytes(rng, raw)
            elif kind == 3:
                raw = damaged_floats(rng, raw)
            else:
                headers = {**headers, LENGTH: self._length(len(header), len(header) + len(raw))}
        return toy.name, header + raw, headers

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
