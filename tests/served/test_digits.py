"""All 10,000 held-out digits through `POST /predict` of a real server."""

import gzip
from pathlib import Path

import httpx
import numpy as np
import orjson

ROOT = Path(__file__).parents[2]


def test_every_held_out_digit_is_answered_as_the_card_says(shipped_server: str) -> None:
    with gzip.open(ROOT / "tests/data/t10k-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), dtype=np.uint8, offset=16).reshape(-1, 784)
    with gzip.open(ROOT / "tests/data/t10k-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), dtype=np.uint8, offset=8)
    answers = []
    with httpx.Client(base_url=shipped_server, timeout=60) as client:
        for start in range(0, len(images), 500):
            body = orjson.dumps({"model": "digits", "instances": images[start : start + 500].tolist()})
            response = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
            assert response.status_code == 200, response.text
            answers += response.json()["predictions"]
        quality = client.get("/models/digits").json()["card"]["quality"]
        window = client.get("/models/digits/stability").json()["window"]
    accuracy = np.mean([answer["label"] == str(label) for answer, label in zip(answers, labels, strict=True)])
    verdicts = [answer["stability"]["verdict"] for answer in answers]
    print(f"accuracy {accuracy:.4f}, unstable {verdicts.count('unstable')}, elevated {verdicts.count('elevated')}")
    assert accuracy >= 0.978
    assert abs(accuracy - quality["accuracy"]) <= 2e-4
    assert set(verdicts) == {"stable", "elevated", "unstable"}
    # Wrong answers are far more often shaky: the verdict means something.
    wrong = np.array([answer["label"] != str(label) for answer, label in zip(answers, labels, strict=True)])
    shaky = np.array([verdict != "stable" for verdict in verdicts])
    assert wrong[shaky].mean() > 5 * wrong[~shaky].mean()
    assert window["samples"] == 10_000
    assert sum(window["verdicts"].values()) == 10_000
