"""Serves the graph by BentoML: a service with one worker and one typed API."""

import os
from typing import Annotated

import bentoml
import numpy as np
import onnxruntime as ort
from bentoml.validators import DType


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Peer:
    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["PEER_MODEL"], options, providers=["CPUExecutionProvider"])

    @bentoml.api
    def predict(self, instances: Annotated[np.ndarray, DType("float32")]) -> np.ndarray:
        return self.session.run(["probabilities"], {"features": instances})[0]
