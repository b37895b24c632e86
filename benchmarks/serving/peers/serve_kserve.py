"""Serves the graph by KServe's Python server, asked in its V1 JSON and in V2's binary tensors."""

import os
from typing import Any

import numpy as np
import onnxruntime as ort
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class OnnxModel(Model):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.load()

    def load(self) -> bool:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["PEER_MODEL"], options, providers=["CPUExecutionProvider"])
        self.ready = True
        return True

    async def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        if isinstance(payload, InferRequest):
            (probabilities,) = self.session.run(["probabilities"], {"features": payload.inputs[0].as_numpy()})
            output = InferOutput("probabilities", list(probabilities.shape), "FP32")
            output.set_data_from_numpy(probabilities, binary_data=True)
            return InferResponse(payload.id, self.name, [output], use_binary_outputs=True)
        features = np.array(payload["instances"], dtype=np.float32)
        (probabilities,) = self.session.run(["probabilities"], {"features": features})
        return {"predictions": probabilities.tolist()}


if __name__ == "__main__":
    server = ModelServer(http_port=int(os.environ["PEER_PORT"]), workers=1, enable_grpc=False)
    server.start([OnnxModel("peer")])
