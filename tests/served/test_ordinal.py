"""A table with ordered levels, a category and gaps, from the command line to a real server and its answers."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from chainzrule.cli import main
from chainzrule.service.artifact.store import read_artifact
from chainzrule.service.runtime.graph import Execution
from chainzrule.service.runtime.model import Model
from tests.processes import service

LEVELS = ("none", "mild", "severe", "fatal")
NOISE = {"age": 2.0, "dose": 0.4}
DRAWS = 4000


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    random = np.random.default_rng(7)
    rows = 700
    age, dose = random.normal(50, 12, rows), random.gamma(2.0, 3.0, rows)
    colour = random.choice(["blue", "green", "red"], rows)
    f = 0.12 * (age - 50) + 0.3 * (dose - 6) + 1.5 * (colour == "red") + 0.03 * (dose - 6) ** 2
    level = np.digitize(f + random.logistic(0, 0.4, rows), [-1.0, 1.0, 3.0])
    frame = pd.DataFrame({"age": age.round(1), "dose": dose.round(2), "colour": colour})
    frame.loc[::17, "dose"] = np.nan
    frame.loc[::29, "colour"] = None
    return frame.assign(course=np.array(LEVELS)[level])


@pytest.fixture(scope="module")
def models(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository that the command line has published to."""
    folder = tmp_path_factory.mktemp("ordinal")
    table.to_csv(folder / "courses.csv", index=False)
    data = ["--csv", str(folder / "courses.csv"), "--target", "course", "--name", "courses"]
    task = ["--task", "ordinal", "--levels", *LEVELS]
    noise = [f"--noise={column}={value}" for column, value in NOISE.items()]
    places = ["--models", str(folder / "models"), "--runs", str(folder / "runs")]
    assert main(["fit", *data, *task, *noise, *places]) == 0
    return folder / "models"


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[str]:
    with service(models) as (address, _):
        yield address


@pytest.fixture(scope="module")
def instances(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of the table, among them rows with a gap."""
    rows = table.drop(columns="course").iloc[:60]
    return [{name: None if pd.isna(value) else value for name, value in row.items()} for row in rows.to_dict("records")]


def ask(server: str, instances: list[dict[str, Any]], route: str = "predict", **members: Any) -> list[dict[str, Any]]:
    answer = httpx.post(f"{server}/{route}", json={"instances": instances, **members}, timeout=30)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["predictions"]
    return found


@pytest.fixture(scope="module")
def answers(server: str, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return ask(server, instances)


def test_the_card_says_what_it_is(server: str) -> None:
    card = httpx.get(f"{server}/models/courses").json()["card"]
    assert card["task"] == "ordinal"
    assert card["labels"] == list(LEVELS)
    quality = card["quality"]
    assert quality["accuracy"] > quality["majority_share"] + 0.2
    assert quality["mae"] < 0.6 * quality["median_mae"]
    assert quality["quadratic_kappa"] > 0.6
    by_name = {feature["name"]: feature for feature in card["features"]}
    assert by_name["dose"]["fill"] is not None
    assert by_name["colour"]["levels"] == ["blue", "green", "red", "(missing)"]


def test_label_and_value_follow_from_the_probabilities(answers: list[dict[str, Any]]) -> None:
    assert {answer["label"] for answer in answers} == set(LEVELS)
    for answer in answers:
        p = [answer["probabilities"][level] for level in LEVELS]
        exceeding = [sum(p[k:]) for k in range(1, 4)]
        assert sum(p) == pytest.approx(1.0, abs=1e-5)
        assert answer["value"] == pytest.approx(sum(exceeding), abs=1e-5)
        assert answer["label"] == LEVELS[sum(chance > 0.5 for chance in exceeding)]


def test_flips_follow_from_scores_shift_and_covariance(
    server: str, models: Path, instances: list[dict[str, Any]], answers: list[dict[str, Any]]
) -> None:
    whole = [row for row in range(len(instances)) if None not in instances[row].values()]
    inputs = [
        {
            "name": name,
            "shape": [len(whole), 1],
            "datatype": "BYTES" if name == "colour" else "FP32",
            "data": [instances[row][name] for row in whole],
        }
        for name in instances[0]
    ]
    wanted = ["label", "value", "probabilities", "flip_probability", "volatility", "scores", "covariance", "jacobian"]
    answer = httpx.post(
        f"{server}/v2/models/courses/infer", json={"inputs": inputs, "outputs": [{"name": name} for name in wanted]}
    )
    assert answer.status_code == 200, answer.text
    outputs = {output["name"]: np.reshape(output["data"], output["shape"]) for output in answer.json()["outputs"]}
    assert outputs["scores"].shape == (len(whole), 3)
    artifact = read_artifact(models / "courses" / "1")
    loaded = Model(artifact.card, artifact.graphs, Execution("cpu", threads=1))
    shifts = loaded.graphs["model"].run(loaded.rows.encode([instances[row] for row in whole]))["mean_shift"]
    assert (shifts == shifts[:, :1]).all()
    parts = (outputs["scores"], outputs["covariance"], outputs["jacobian"], shifts)
    for row, s, C, J, shift in zip(whole, *parts, strict=True):
        stability = answers[row]["stability"]
        sd = math.sqrt(C[0, 0])
        assert (C[0, 0] == C).all()
        noisy = J[0, :2] * np.array([NOISE["age"], NOISE["dose"]])
        assert sd == pytest.approx(np.linalg.norm(noisy), rel=1e-3)
        assert stability["flip_distance"] == pytest.approx(np.abs(s).min() / sd, rel=1e-3)
        chance = sum(math.erfc(margin / sd / math.sqrt(2)) / 2 for margin in margins(s, s + shift))
        assert stability["flip_probability"] == pytest.approx(chance, rel=1e-3, abs=1e-9)
        assert stability["gradient_norm"] == pytest.approx(sd * math.sqrt(3), rel=1e-3)
    for name in ("value", "flip_probability", "volatility"):
        place = [answers[row] if name == "value" else answers[row]["stability"] for row in whole]
        np.testing.assert_allclose(outputs[name][:, 0], [found[name] for found in place], rtol=1e-3, atol=1e-9)
    assert outputs["label"][:, 0].tolist() == [answers[row]["label"] for row in whole]


def margins(s: np.ndarray, centre: np.ndarray) -> list[float]:
    """How far `centre` lies from the thresholds on the two sides of the label that the scores say."""
    level = int((s > 0).sum())
    return [*centre[max(level - 1, 0) : level], *-centre[level : level + 1]]


def test_volatility_and_flips_are_what_noise_really_makes(
    server: str, instances: list[dict[str, Any]], answers: list[dict[str, Any]]
) -> None:
    random = np.random.default_rng(1)
    whole = [row for row in range(len(instances)) if None not in instances[row].values()]
    near = sorted(whole, key=lambda row: -answers[row]["stability"]["flip_probability"])[:12:2]
    for row in [*near, *whole[:4]]:
        copies = []
        for age, dose in zip(*(random.normal(0, NOISE[name], DRAWS) for name in NOISE), strict=True):
            given = instances[row]
            copies.append(given | {"age": given["age"] + age, "dose": given["dose"] + dose})
        moved = ask(server, copies, observe=False)
        stability = answers[row]["stability"]
        spread = float(np.std([found["value"] for found in moved]))
        flips = float(np.mean([found["label"] != answers[row]["label"] for found in moved]))
        assert stability["volatility"] == pytest.approx(spread, rel=0.1)
        assert stability["flip_probability"] == pytest.approx(flips, abs=0.03)
    assert answers[near[0]]["stability"]["flip_probability"] > 0.3


def test_sensitivities_are_those_of_the_expected_level(
    server: str, instances: list[dict[str, Any]], answers: list[dict[str, Any]]
) -> None:
    row = next(row for row in range(len(instances)) if instances[row]["colour"] == "red" and instances[row]["dose"])
    given = instances[row]
    (explained,) = ask(server, [given], "sensitivity")
    entries = {entry["feature"]: entry for entry in explained["sensitivities"]}
    assert set(entries) == {"age", "dose", "colour"}
    for name in ("age", "dose"):
        step = 0.05
        high, low = (ask(server, [given | {name: given[name] + sign * step}])[0]["value"] for sign in (1, -1))
        assert entries[name]["gradient"] == pytest.approx((high - low) / (2 * step), rel=0.02)
        assert entries[name]["effect"] == pytest.approx(entries[name]["gradient"] * NOISE[name], rel=1e-5)
    assert set(entries["colour"]["switch"]) == {"blue", "green", "(missing)"}
    for level, change in entries["colour"]["switch"].items():
        other = None if level == "(missing)" else level
        switched = ask(server, [given | {"colour": other}])[0]["value"]
        assert change == pytest.approx(switched - answers[row]["value"], abs=1e-5)


def test_the_metrics_count_its_rows(server: str, instances: list[dict[str, Any]]) -> None:
    def rows() -> float:
        lines = httpx.get(f"{server}/metrics").text.splitlines()
        counts = [line for line in lines if line.startswith("chainzrule_prediction_flip_probability_count")]
        return sum(float(line.split()[-1]) for line in counts)

    before = rows()
    ask(server, instances)
    assert rows() == before + len(instances)
