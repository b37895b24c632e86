"""Asks a server through stock tritonclient[grpc]; run in that client's environment. See ask_triton.py."""

import json
import queue
import sys
from typing import Any

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

FURTHER = ("gradient_norm", "scores", "covariance", "jacobian")


def listed(values: np.ndarray) -> Any:
    return [[part.decode() if isinstance(part, bytes) else part for part in row] for row in values.tolist()]


def asked(tensors: list[Any]) -> list[InferInput]:
    inputs = []
    for name, datatype, rows in tensors:
        values = np.array(rows, dtype=np.float32 if datatype == "FP32" else object)
        tensor = InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values)
        inputs.append(tensor)
    return inputs


def understood(answer: Any) -> dict[str, Any]:
    said = answer.get_response()
    outputs = {output.name: listed(answer.as_numpy(output.name)) for output in said.outputs}
    return {"id": said.id, "version": said.model_version, "outputs": outputs}


def infer(client: InferenceServerClient, model: str, tensors: list[Any], **more: Any) -> Any:
    names = [output.name for output in client.get_model_metadata(model).outputs]
    outputs = [InferRequestedOutput(name) for name in (*names, *FURTHER)]
    return understood(client.infer(model, asked(tensors), outputs=outputs, request_id="ask", **more))


def streamed(client: InferenceServerClient, model: str, tensors: list[Any]) -> list[Any]:
    """Three requests in one stream, the second of which is refused."""
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    client.async_stream_infer(model, asked(tensors), request_id="first")
    client.async_stream_infer("nobody", asked(tensors), request_id="second")
    client.async_stream_infer(model, asked(tensors), request_id="third")
    found = []
    for _ in range(3):
        result, error = answers.get(timeout=60)
        found.append(error.message() if error else understood(result))
    client.stop_stream()
    return found


def main() -> None:
    client = InferenceServerClient(sys.argv[1])
    questions = json.loads(sys.argv[2])
    assert client.is_server_live()
    assert client.is_server_ready()
    metadata = client.get_server_metadata(as_json=True)
    answers: dict[str, Any] = {"server": metadata, "index": client.get_model_repository_index(as_json=True)["models"]}
    for model, tensors in questions.items():
        assert client.is_model_ready(model)
        assert client.is_model_ready(model, "1")
        answers[model] = {
            "metadata": client.get_model_metadata(model, "1", as_json=True),
            "config": client.get_model_config(model, as_json=True)["config"],
            "raw": infer(client, model, tensors),
            "scaled": infer(client, model, tensors, model_version="1", parameters={"noise_scale": 2.0}),
            "streamed": streamed(client, model, tensors),
            "statistics": client.get_inference_statistics(model, as_json=True),
        }
    assert not client.is_model_ready("nobody")
    refusals = []
    for ask in (
        lambda: client.get_model_metadata("nobody"),
        lambda: client.infer("breast-cancer", [InferInput("features", [1, 30], "FP32")]),
    ):
        try:
            ask()
        except InferenceServerException as error:
            refusals.append([error.status(), error.message()])
    answers["refusals"] = refusals
    print(json.dumps(answers))


def administer() -> None:
    """Unload a model and load it again."""
    client = InferenceServerClient(sys.argv[1])
    client.unload_model("digits")
    assert not client.is_model_ready("digits")
    client.load_model("digits")
    assert client.is_model_ready("digits")
    print(json.dumps(client.get_model_repository_index(as_json=True)["models"]))


if __name__ == "__main__":
    main() if len(sys.argv) > 2 else administer()
