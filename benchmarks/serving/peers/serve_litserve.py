"""Serves the graph by LitServe: a `LitAPI` with one worker on the CPU, with defaults otherwise."""

import os
from typing import Any

import litserve as ls
import numpy as np
import onnxruntime as ort


class OnnxAPI(ls.LitAPI):
    def setup(self, device: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["PEER_MODEL"], options, providers=["CPUExecutionProvider"])

    def decode_request(self, request: dict[str, Any]) -> Any:
        return np.array(request["instances"], dtype=np.float32)

    def predict(self, features: Any) -> Any:
        return self.session.run(["probabilities"], {"features": features})[0]

    def encode_response(self, probabilities: Any) -> dict[str, Any]:
        return {"predictions": probabilities.tolist()}


if __name__ == "__main__":
    server = ls.LitServer(OnnxAPI(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(os.environ["PEER_PORT"]), generate_client_file=False, log_level="error")
