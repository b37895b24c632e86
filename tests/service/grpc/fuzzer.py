"""Malformed messages by the thousand: each is answered with a status that says what is wrong, never an internal one."""

import asyncio
import random
from collections import Counter
from typing import Any

from tests.artifacts import CLASSIFIER, IMAGE, ORDINAL, REGRESSION
from tests.damage import ODD, damaged_bytes, damaged_floats
from tests.service.grpc.calls import ANSWER, REQUEST, Caller, raw, typed

TOYS = (CLASSIFIER, ORDINAL, REGRESSION, IMAGE)
METHODS = (*["ModelInfer"] * 9, "ModelMetadata", "ModelReady", "ModelStatistics", "RepositoryIndex", "ModelConfig")
PARAMETERS = ("noise_scale", "confidence", "observe", "binary_data_output", "timeout", "priority", "\u2028", "")
AT_A_TIME = 16
ALLOWED = ("OK", "INVALID_ARGUMENT", "NOT_FOUND")


class Fuzzer:
    """Good requests, then damaged: in what they say, and in how it is written."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def request(self) -> tuple[str, bytes]:
        """A method and a message for it that may be wrong in several ways."""
        rng = self._random
        toy = rng.choice(TOYS)
        rows = toy.rows(rng.randint(1, 4), seed=rng.randint(0, 50))
        content = rng.choice((raw, typed))(toy.name, rows)
        for _ in range(rng.randint(0, 2)):
            self._change(content)
        text: bytes = REQUEST(**content).SerializeToString()
        for _ in range(rng.randint(0, 3)):
            text = damaged_bytes(rng, text)
        return rng.choice(METHODS), text

    def _change(self, content: dict[str, Any]) -> None:
        rng = self._random
        kind = rng.randrange(7)
        tensor = content["inputs"][0] if content["inputs"] else {}
        if kind == 0:
            tensor["shape"] = [rng.choice((-1, 0, 1, 2, 2**31, -(2**63), 2**63 - 1)) for _ in range(rng.randint(0, 4))]
        elif kind == 1:
            tensor["datatype"] = rng.choice(
                ("FP64", "FP16", "BF16", "INT64", "UINT8", "BOOL", "BYTES", "", "fp32", "X")
            )
        elif kind == 2 and "raw_input_contents" in content:
            content["raw_input_contents"] = [damaged_floats(rng, one) for one in content["raw_input_contents"]]
            content["raw_input_contents"] *= rng.randint(0, 2)
        elif kind == 3:
            content["inputs"] = content["inputs"] * rng.randint(0, 3)
        elif kind == 4:
            content["parameters"] = {rng.choice(PARAMETERS): self._parameter() for _ in range(rng.randint(1, 3))}
        elif kind == 5:
            content["outputs"] = [{"name": str(rng.choice(ODD))} for _ in range(rng.randint(1, 3))]
        else:
            content[rng.choice(("model_name", "model_version", "id"))] = str(rng.choice(ODD))

    def _parameter(self) -> dict[str, Any]:
        rng = self._random
        return rng.choice(
            (
                {"bool_param": rng.random() < 0.5},
                {"int64_param": rng.choice((0, -1, 2**63 - 1))},
                {"string_param": rng.choice(("", "true", "2", "\x00"))},
                {"double_param": rng.choice((float("nan"), float("inf"), -1.0, 0.5, 1e300))},
                {"uint64_param": 2**64 - 1},
                {},
            )
        )


async def fuzz(caller: Caller, seed: int, cases: int) -> Counter[str]:
    """Put the cases, some at a time; returns how often each status was answered."""
    import grpc

    fuzzer = Fuzzer(seed)
    statuses: Counter[str] = Counter()

    async def put(case: int, method: str, text: bytes) -> None:
        try:
            answer = await caller.send(text, method)
        except grpc.RpcError as error:
            status, details = error.code().name, error.details()
        else:
            status, details = "OK", ""
            if method == "ModelInfer":
                assert ANSWER.FromString(answer).outputs
        statuses[status] += 1
        assert status in ALLOWED, f"seed {seed}, case {case}: {details}, {text!r}"
        assert (status == "OK") != bool(details)

    for start in range(0, cases, AT_A_TIME):
        await asyncio.gather(*(put(case, *fuzzer.request()) for case in range(start, min(cases, start + AT_A_TIME))))
    assert (await caller.ask("ModelInfer", **raw("toy", CLASSIFIER.rows(2)))).outputs  # it still answers
    return statuses
