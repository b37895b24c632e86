"""The rows that a card shows are real, held out, and as a caller would send them."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chainzrule.service.artifact.store import read_artifact
from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.stability.link import link_of
from chainzrule.training.data.bundled import bundled_dataset
from chainzrule.training.data.dataset import Dataset, Rows
from chainzrule.training.data.table import table_dataset
from chainzrule.training.measure.outputs import Outputs
from chainzrule.training.publish.examples import Candidates, examples
from tests.artifacts import CLASSIFIER, REGRESSION, Toy
from tests.runs import runs_of

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(3)
    dose = random.normal(1, 0.1, 120)
    grade = np.where(dose > 1.15, "rare", np.where(dose > 1, "high", "low"))
    return pd.DataFrame({"dose": dose, "colour": random.choice(["blue", "green"], 120), "grade": grade})


def known(dataset: Dataset) -> Candidates:
    """The table's rows: later ones are shakier, every seventh surprises, every fifth is answered wrongly."""
    rows = dataset.test or dataset.train
    return Candidates(
        rows,
        np.arange(len(rows), dtype=float),
        np.arange(len(rows)) % 5 > 0,
        np.arange(len(rows)) % 7 + np.linspace(0, 0.5, len(rows)),
    )


def test_of_six_one_is_borderline_and_one_novel(frame: pd.DataFrame) -> None:
    dataset, _ = table_dataset(frame, "grade", seed=1)
    rows = known(dataset)
    found = examples(dataset, rows, 12, 1)
    kinds = [example.kind for example in found]
    assert kinds == ["typical"] * 8 + ["borderline"] * 2 + ["novel"] * 2
    places = [int(np.flatnonzero(rows.rows.x[:, 0] == np.float32(example.features[0]))[0]) for example in found]
    assert places[8:10] == [119, 117]  # 118 is a seventh row, and among the most surprising
    assert places[10:] == [118, 111]
    assert rows.surprise is not None
    for place in places[:8]:
        own = rows.rows.y == rows.rows.y[place]
        assert rows.surprise[place] <= np.median(rows.surprise[own])
        assert rows.right[place]
    assert len(set(places)) == 12


def test_without_a_surprise_no_row_is_novel(frame: pd.DataFrame) -> None:
    dataset, _ = table_dataset(frame, "grade", seed=1)
    found = examples(dataset, replace(known(dataset), surprise=None), 6, 1)
    assert [example.kind for example in found] == ["typical"] * 5 + ["borderline"]


@pytest.mark.parametrize("toy", [CLASSIFIER, REGRESSION], ids=lambda toy: toy.name)
def test_what_noise_changes_easily_is_shaky(toy: Toy) -> None:
    x = toy.rows(20).astype(np.float32)
    found = runs_of(toy).predict(inputs_of(x, 1.0, observe=True))
    rows = Rows(x, np.zeros(20, np.float32))
    outputs = Outputs(found.scores, found.covariance, None, None, np.zeros(20), np.zeros(20, np.bool_))  # type: ignore[attr-defined]
    expected = found.diagnosis.flip_probability if toy.names else found.diagnosis.volatility  # type: ignore[attr-defined]
    np.testing.assert_allclose(
        Candidates.of(link_of(toy.card().task, toy.card().scores), rows, outputs, None).shakiness,
        expected,
        rtol=1e-5,
        atol=1e-9,
    )


def test_they_are_rows_of_the_table_with_every_label(frame: pd.DataFrame) -> None:
    dataset, _ = table_dataset(frame, "grade", seed=1)
    found = examples(dataset, known(dataset), 6, 1)
    assert {example.label for example in found} == {"rare", "high", "low"}
    rows = {(np.float32(row.dose), row.colour, row.grade) for row in frame.itertuples()}
    for example in found:
        dose, colour = example.features
        assert (np.float32(dose), colour, example.label) in rows
    assert len({example.features for example in found}) == 6


def test_a_seed_draws_the_same_rows(frame: pd.DataFrame) -> None:
    dataset, _ = table_dataset(frame, "grade", seed=1)
    rows = known(dataset)
    assert examples(dataset, rows, 4, 7) == examples(dataset, rows, 4, 7) != examples(dataset, rows, 4, 8)
    assert examples(dataset, rows, 0, 7) == ()
    assert len(examples(dataset, rows, 10_000, 7)) == len(dataset.test or dataset.train)


def test_a_regression_has_rows_without_label(frame: pd.DataFrame) -> None:
    dataset, _ = table_dataset(frame, "dose", seed=1)
    assert [example.label for example in examples(dataset, known(dataset), 3, 1)] == [None] * 3


@pytest.mark.parametrize("name", ["breast-cancer", "diabetes"])
def test_the_shipped_tables_show_rows_of_their_tables(name: str) -> None:
    card = read_artifact(ROOT / "models" / name / "1").card
    assert card.examples is not None
    assert [example.kind for example in card.examples] == ["typical"] * 4 + ["borderline", "novel"]
    dataset = bundled_dataset(name, seed=1)
    rows = {tuple(row) for row in dataset.train.x.tolist()}
    shown = RowEncoder(card).encode([list(example.features) for example in card.examples])
    assert {tuple(row) for row in shown.tolist()} <= rows


def test_the_shipped_digits_show_one_of_each_from_the_test_images() -> None:
    card = read_artifact(ROOT / "models" / "digits" / "1").card
    assert card.examples is not None
    assert [example.label for example in card.examples if example.kind == "typical"] == list("0123456789")
    assert [example.kind for example in card.examples[10:]] == ["borderline"] * 2 + ["novel"] * 2
    images = np.frombuffer(
        gzip.decompress((ROOT / "tests/data/t10k-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16
    )
    known = {image.tobytes() for image in images.reshape(-1, 784)}
    assert all(np.array(example.features, dtype=np.uint8).tobytes() in known for example in card.examples)
