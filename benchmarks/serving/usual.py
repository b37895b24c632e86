"""Serves by FastAPI and pydantic around ONNX Runtime, as tutorials write it, without diagnostics."""

import os

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI
from pydantic import BaseModel

options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(os.environ["USUAL_MODEL"], options, providers=["CPUExecutionProvider"])


class Request(BaseModel):
    instances: list[list[float]]


class Prediction(BaseModel):
    label: int
    probabilities: list[float]


class Answer(BaseModel):
    predictions: list[Prediction]


app = FastAPI()


@app.post("/predict")
def predict(request: Request) -> Answer:
    features = np.array(request.instances, dtype=np.float32)
    scores, probabilities = session.run(["scores", "probabilities"], {"features": features})
    return Answer(
        predictions=[
            Prediction(label=int(label), probabilities=row)
            for label, row in zip(scores.argmax(axis=1), probabilities.tolist(), strict=True)
        ]
    )
