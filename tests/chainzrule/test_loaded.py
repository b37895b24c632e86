"""A model in this process answers what the service answers over HTTP, to the last digit."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import chainzrule.loaded
from chainzrule import load
from chainzrule.loaded import LoadedModel
from chainzrule.service.errors import ArtifactError, InvalidInput, NonFiniteOutput, UnknownModel, UnknownVersion
from chainzrule.service.serving.runs import Runs
from chainzrule.service.stability.outputs import Inputs
from tests.artifacts import BINARY, CLASSIFIER, CUBIC, IMAGE, MIXED, ORDINAL, REGRESSION, Toy, probed
from tests.service.conftest import serve

PROBED = [probed(CUBIC, "finite_difference"), probed(BINARY, "monte_carlo")]


async def posted(root: Path, **question: Any) -> list[dict[str, Any]]:
    async with serve(root) as client:
        response = await client.post("/predict", json=question)
    assert response.status_code == 200, response.text
    answers: list[dict[str, Any]] = response.json()["predictions"]
    return answers


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize("rows", [1, 9])
@pytest.mark.parametrize("toy", [CLASSIFIER, ORDINAL, REGRESSION, CUBIC, IMAGE, *PROBED], ids=lambda toy: toy.name)
async def test_answers_are_the_services(toy: Toy, rows: int, tmp_path: Path) -> None:
    toy.publish(tmp_path)
    matrix = 4.0 * toy.rows(rows)  # some of it out of range
    model = load(tmp_path)
    names = [feature.name for feature in model.card.inputs()]
    asked = {"instances": matrix.tolist(), "noise_scale": 2.5, "confidence": 0.6, "measure": True}
    expected = await posted(tmp_path, **asked)
    assert model.predict(matrix, noise_scale=2.5, confidence=0.6) == expected
    assert model.predict(matrix.tolist(), noise_scale=2.5, confidence=0.6) == expected
    frame = pd.DataFrame(matrix, columns=names)
    assert model.predict(frame, noise_scale=2.5, confidence=0.6) == expected
    assert model.predict(frame.to_dict("records"), noise_scale=2.5, confidence=0.6) == expected
    assert model.card == toy.card()


@pytest.mark.anyio
async def test_categories_and_gaps_are_the_services(tmp_path: Path) -> None:
    MIXED.publish(tmp_path)
    rows = [[None, "red", 1.0, "north"], [4.5, None, -3.0, "south"], [2, "blue", 0, "south"]]
    expected = await posted(tmp_path, instances=rows)
    model = load(str(tmp_path), "mixed", 1)
    assert model.predict(rows) == expected
    assert model.predict(pd.DataFrame(rows, columns=["age", "colour", "dose", "site"])[::-1]) == expected[::-1]


def test_no_rows_have_no_answers(tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path)
    assert load(tmp_path).predict([]) == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1.0, 2.0], [1.0, "x"]], r"^rows\[1\]: weight: must be a number, not text$"),
        ([[1.0, 2.0], [1.0]], r"^rows\[1\]: has 1 values where the model takes 2$"),
        ([{"height": 1.0}], r"^rows\[0\]: weight: is missing$"),
        (["row"], r"^rows\[0\]: must be a list of values or an object by feature name$"),
        (np.array([[1.0, 2.0], [np.inf, 2.0]]), r"^rows\[1\]: height: is not finite as a 32-bit float$"),
        ([[10**400, 1.0]], r"^rows\[0\]: hold a whole number that is too large for any float$"),
        ([[None, 1.0]], r"^rows\[0\]: height: must be a number, not null: training saw no gaps here$"),
    ],
)
def test_a_row_that_is_none_is_named_by_its_place(rows: Any, message: str, tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path)
    with pytest.raises(InvalidInput, match=message):
        load(tmp_path).predict(rows)


@pytest.mark.parametrize("noise_scale", [0.0, -1.0, 101.0, float("nan")])
def test_a_noise_scale_has_its_bounds(noise_scale: float, tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path)
    with pytest.raises(InvalidInput, match="noise_scale: must be above 0, at most 100"):
        load(tmp_path).predict([[1.0, 2.0]], noise_scale)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, 90.0, float("nan")])
def test_a_confidence_has_its_bounds(confidence: float, tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path)
    with pytest.raises(InvalidInput, match=r"confidence: must be between 0 and 1, for example 0\.9"):
        load(tmp_path).predict([[1.0, 2.0]], confidence=confidence)


def test_an_answer_that_is_not_finite_is_none(tmp_path: Path) -> None:
    CUBIC.publish(tmp_path)
    model = load(tmp_path)
    assert len(model.predict([[1.0, 2.0]])) == 1
    with pytest.raises(NonFiniteOutput, match=r"^rows\[1\]: the model's answer is not finite"):
        model.predict([[1.0, 2.0], [1e30, 2.0]])


@pytest.mark.parametrize(("toy", "most"), [(CLASSIFIER, 8), (PROBED[0], 1)], ids=["analytic", "probed"])
def test_runs_are_bounded(toy: Toy, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chainzrule.loaded, "BATCH_ROWS", 8)  # of a probed model's rows each has four further ones
    toy.publish(tmp_path)
    sizes, run = [], Runs.predict

    def counted(self: Runs, inputs: Inputs) -> Any:
        sizes.append(len(inputs.features))
        return run(self, inputs)

    model = load(tmp_path)
    monkeypatch.setattr(Runs, "predict", counted)
    assert len(model.predict(toy.rows(20))) == 20
    assert max(sizes) == most
    assert sum(sizes) == 20


def test_what_the_service_would_not_serve_is_not_opened(tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path)
    replace(CLASSIFIER, seed=8).publish(tmp_path)
    path = tmp_path / "toy" / "2" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=r"toy version 2 would not load: model\.onnx: its sha256 is not the card's"):
        load(tmp_path)
    assert isinstance(load(tmp_path, version=1), LoadedModel)
    shutil.copytree(tmp_path / "toy" / "1", tmp_path / "other" / "7")
    with pytest.raises(ArtifactError, match=r"card\.json: its name and version are not those of its directory"):
        load(tmp_path, "other")
    # Another version's graphs, under hashes that are theirs: the golden rows tell.
    other = replace(CLASSIFIER, seed=9)
    other.__dict__["graphs"] = CLASSIFIER.graphs
    other.write(tmp_path, "3")
    with pytest.raises(ArtifactError, match="does not reproduce the golden rows"):
        load(tmp_path, "toy", "3")


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path)
    with pytest.raises(UnknownModel):
        load(tmp_path, "none")
    with pytest.raises(UnknownVersion):
        load(tmp_path, "toy", 2)
