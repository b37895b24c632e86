"""Asks a server through the KServe SDK's InferenceRESTClient; run in that client's environment. See ask_triton.py."""

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput


def listed(values: np.ndarray) -> Any:
    rows = values.tolist()
    return [[part.decode() if isinstance(part, bytes) else part for part in row] for row in rows]


async def infer(client: InferenceRESTClient, address: str, model: str, tensors: list[Any], binary: bool) -> Any:
    inputs = []
    for name, datatype, rows in tensors:
        values = np.array(rows, dtype=np.float32 if datatype == "FP32" else object)
        tensor = InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        inputs.append(tensor)
    outputs = [RequestedOutput(name, {"binary_data": binary}) for name in ("verdict", "volatility", "covariance")]
    found = {}
    for wanted in (None, outputs):
        request = InferRequest(model, inputs, request_id="ask", request_outputs=wanted)
        answer = await client.infer(address, request, model_name=model)
        assert (answer.model_name, answer.id) == (model, "ask")
        found |= {output.name: listed(output.as_numpy()) for output in answer.outputs}
    return found


async def main() -> None:
    address, questions = f"http://{sys.argv[1]}", json.loads(sys.argv[2])
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_server_live(address)
        assert await client.is_server_ready(address)
        assert not await client.is_model_ready(address, "nobody")
        answers: dict[str, Any] = {}
        for model, tensors in questions.items():
            assert await client.is_model_ready(address, model)
            answers[model] = {
                "json": await infer(client, address, model, tensors, binary=False),
                "binary": await infer(client, address, model, tensors, binary=True),
            }
        try:
            await client.infer(address, {"inputs": []}, model_name="digits")
        except httpx.HTTPStatusError as error:
            answers["refusal"] = [error.response.status_code, str(error)]
    print(json.dumps(answers))


if __name__ == "__main__":
    asyncio.run(main())
