"""The client against a real service: what it returns is what the service says."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from chainzrule.client import Client, Refused, Retries, TimedOut, Unreachable
from chainzrule.service.artifact.card import parse_card
from tests.artifacts import CLASSIFIER, MIXED, SLOW
from tests.processes import ROOT, free_port, service

PATIENT = [59, "2", 32.1, 101, 157, 93.2, 38, 4, 4.8598, 87]
NAMES = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]


@pytest.fixture(scope="module")
def client(shipped_server: str) -> Iterator[Client]:
    with Client(shipped_server, timeout=60) as found:
        yield found


def test_predictions_are_what_the_service_says(client: Client, shipped_server: str) -> None:
    answers = client.predict([PATIENT, PATIENT], "diabetes", "1", confidence=0.8, observe=False)
    question = {"model": "diabetes", "instances": [PATIENT, PATIENT], "confidence": 0.8, "observe": False}
    said = httpx.post(f"{shipped_server}/predict", json=question, timeout=60).json()
    assert (answers.model, answers.version, answers.confidence, len(answers)) == ("diabetes", "1", 0.8, 2)
    assert answers[1].document == said["predictions"][0]
    assert answers[0].value == said["predictions"][0]["value"]
    assert answers[0].stability.verdict == said["predictions"][0]["stability"]["verdict"]


def test_frames_go_in_and_come_out_in_any_order_of_columns(client: Client) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame([PATIENT, PATIENT], columns=NAMES, index=["x", "y"])[NAMES[::-1]]
    found = client.predict(frame, "diabetes").frame()
    assert list(found.index) == ["x", "y"]
    assert found.loc["x", "value"] == client.predict([PATIENT], "diabetes")[0].value


def test_explanations_certificates_and_draws(client: Client) -> None:
    (row,) = client.explain([PATIENT], "diabetes", top=2, include=["jacobian"], draws=50, seed=3)
    assert [one.feature for one in row.sensitivities] == ["sex", "bmi"]
    assert row.sensitivities[0].switch
    assert row.jacobian is not None
    assert row.monte_carlo is not None
    assert row.monte_carlo["draws"] == 50
    (row,) = client.certify([PATIENT], "diabetes", radius=0.5)
    assert row.certificate is not None
    assert row.certificate.value is not None
    low, high = row.certificate.value
    assert row.value is not None
    assert low is not None
    assert high is not None
    assert low < row.value < high
    (wider,) = client.certify([PATIENT], "diabetes")
    assert wider.certificate != row.certificate


@pytest.mark.parametrize("rows", [1, 4])
def test_tensors_are_the_same_however_they_are_sent(client: Client, rows: int) -> None:
    golden = parse_card((ROOT / "models/digits/1/card.json").read_bytes()).golden.features
    images = np.frombuffer(golden.raw, "<f4").reshape(golden.shape)[:rows]
    found = client.infer(images, "digits", outputs=["label", "probabilities", "covariance"])
    said = client.predict(images, "digits")
    assert found["label"][:, 0].tolist() == [row.label for row in said]
    assert found["covariance"].shape == (rows, 10, 10)
    few = client.infer({name: [value] for name, value in zip(NAMES, PATIENT, strict=True)}, "diabetes", noise_scale=2.0)
    assert few["value"][0, 0] == pytest.approx(client.predict([PATIENT], "diabetes")[0].value)


def test_models_and_their_stability(client: Client) -> None:
    assert client.ready()
    assert [model["name"] for model in client.models()] == ["breast-cancer", "diabetes", "digits"]
    assert client.model("diabetes")["card"]["task"] == "regression"
    assert client.stability("diabetes", "1")["window"]["samples"] >= 0


def test_refusals_say_what_and_where(client: Client) -> None:
    with pytest.raises(Refused) as caught:
        client.predict([[1]], "diabetes")
    assert (caught.value.status, caught.value.kind, caught.value.place) == (422, "invalid-input", "instances[0]")
    assert caught.value.request_id
    with pytest.raises(Refused) as caught:
        client.infer([[1.0]], "nobody")
    assert caught.value.status == 404


def test_tokens_are_sent(tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path / "models")
    (tmp_path / "token").write_text("right")
    with service(tmp_path / "models", "--token-file", str(tmp_path / "token")) as (address, _):
        with Client(address, token="right") as client:
            assert client.predict(CLASSIFIER.rows(2))
        with Client(address, token="wrong") as client, pytest.raises(Refused) as caught:
            client.predict(CLASSIFIER.rows(2))
        assert caught.value.kind == "unauthorized"


def test_a_busy_service_is_asked_again_when_it_says(tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path)
    with service(tmp_path, "--client-rows-per-second", "2") as (address, _):
        rows = CLASSIFIER.rows(2)
        with Client(address, timeout=60) as client:
            assert all(len(client.predict(rows)) == 2 for _ in range(3))
        with Client(address, retries=Retries(most=0)) as client, pytest.raises(Refused) as caught:
            [client.predict(rows) for _ in range(1000)]
        assert (caught.value.status, caught.value.kind) == (429, "client-limited")
        assert caught.value.retry_after is not None


def test_a_service_that_starts_late_is_waited_for(tmp_path: Path) -> None:
    MIXED.publish(tmp_path)
    port = free_port()
    found: list[bool] = []
    with Client(f"http://127.0.0.1:{port}", timeout=60, retries=Retries(most=9, first_wait=0.2)) as client:
        asking = threading.Thread(target=lambda: found.append(len(client.models()) == 1))
        asking.start()
        with service(tmp_path, port=port):
            asking.join(60)
    assert found == [True]


def test_what_cannot_be_reached_or_takes_too_long_is_said(tmp_path: Path) -> None:
    with Client(f"http://127.0.0.1:{free_port()}", retries=Retries(most=1)) as client, pytest.raises(Unreachable):
        client.ready()
    SLOW.publish(tmp_path)
    with service(tmp_path) as (address, _), Client(address, timeout=0.3) as client, pytest.raises((TimedOut, Refused)):
        client.predict([[2e6, 1.0]] * 8)
