"""Asks a server through stock tritonclient[http]; run in that client's environment, prints what it understood.

    python ask_triton.py HOST:PORT QUESTIONS

QUESTIONS is a JSON object: for each model a list of its inputs, `[name, datatype, rows of values]`.
"""

import json
import sys
from typing import Any

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

FURTHER = ("gradient_norm", "scores", "covariance", "jacobian")


def listed(values: np.ndarray) -> Any:
    """Texts come as bytes when they were binary."""
    return [[part.decode() if isinstance(part, bytes) else part for part in row] for row in values.tolist()]


def infer(client: InferenceServerClient, model: str, tensors: list[Any], binary: bool, **more: Any) -> Any:
    inputs = []
    for name, datatype, rows in tensors:
        values = np.array(rows, dtype=np.float32 if datatype == "FP32" else object)
        tensor = InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        inputs.append(tensor)
    names = [output["name"] for output in client.get_model_metadata(model)["outputs"]]
    outputs = [InferRequestedOutput(name, binary_data=binary) for name in (*names, *FURTHER)]
    answer = client.infer(model, inputs, outputs=outputs, request_id="ask", **more)
    said = answer.get_response()
    found = {output["name"]: listed(answer.as_numpy(output["name"])) for output in said["outputs"]}
    usual = client.infer(model, inputs)  # the client then asks for all outputs in binary
    assert [output["name"] for output in usual.get_response()["outputs"]] == names
    return {"id": said["id"], "version": said["model_version"], "outputs": found}


def main() -> None:
    client = InferenceServerClient(sys.argv[1])
    questions = json.loads(sys.argv[2])
    gzip = {"request_compression_algorithm": "gzip", "response_compression_algorithm": "gzip"}
    assert client.is_server_live()
    assert client.is_server_ready()
    answers: dict[str, Any] = {"server": client.get_server_metadata(), "index": client.get_model_repository_index()}
    for model, tensors in questions.items():
        assert client.is_model_ready(model)
        assert client.is_model_ready(model, "1")
        answers[model] = {
            "metadata": client.get_model_metadata(model, "1"),
            "binary": infer(client, model, tensors, binary=True),
            "json": infer(client, model, tensors, binary=False),
            "gzip": infer(client, model, tensors, binary=True, **gzip),
            "scaled": infer(client, model, tensors, True, model_version="1", parameters={"noise_scale": 2.0}),
            "statistics": client.get_inference_statistics(model),
        }
    answers["statistics"] = client.get_inference_statistics()
    assert not client.is_model_ready("nobody")
    refusals = []
    for ask in (
        lambda: client.get_model_metadata("nobody"),
        lambda: client.infer("breast-cancer", [InferInput("features", [1, 30], "FP32")]),
        lambda: client.unload_model("digits"),
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
    assert ["digits", "UNAVAILABLE"] in [[item["name"], item["state"]] for item in client.get_model_repository_index()]
    client.load_model("digits")
    assert client.is_model_ready("digits")
    print(json.dumps(client.get_model_repository_index()))


if __name__ == "__main__":
    main() if len(sys.argv) > 2 else administer()
