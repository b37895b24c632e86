"""The rows that a card shows are real, held out, and as a caller would send them."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chainzrule.service.artifact.store import read_artifact
from chainzrule.training.data.table import table_dataset
from chainzrule.training.publish.examples import examples

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(3)
    dose = random.normal(1, 0.1, 120)
    grade = np.where(dose > 1.15, "rare", np.where(dose > 1, "high", "low"))
    return pd.DataFrame({"dose": dose, "colour": random.choice(["blue", "green"], 120), "grade": grade})


def test_they_are_rows_of_the_table_with_every_label(frame: pd.DataFrame) -> None:
    dataset, _ = table_dataset(frame, "grade", seed=1)
    found = examples(dataset, 6, 1)
    assert {example.label for example in found} == {"rare", "high", "low"}
    rows = {(np.float32(row.dose), row.colour, row.grade) for row in frame.itertuples()}
    for example in found:
        dose, colour = example.features
        assert (np.float32(dose), colour, example.label) in rows
    assert len({example.features for example in found}) == 6


def test_a_seed_draws_the_same_rows(frame: pd.DataFrame) -> None:
    dataset, _ = table_dataset(frame, "grade", seed=1)
    assert examples(dataset, 4, 7) == examples(dataset, 4, 7) != examples(dataset, 4, 8)
    assert examples(dataset, 0, 7) == ()
    assert len(examples(dataset, 10_000, 7)) == len(dataset.test or dataset.train)


def test_a_regression_has_rows_without_label(frame: pd.DataFrame) -> None:
    dataset, _ = table_dataset(frame, "dose", seed=1)
    assert [example.label for example in examples(dataset, 3, 1)] == [None] * 3


def test_the_shipped_digits_show_one_of_each_from_the_test_images() -> None:
    card = read_artifact(ROOT / "models" / "digits" / "1").card
    assert card.examples is not None
    assert [example.label for example in card.examples] == list("0123456789")
    images = np.frombuffer(
        gzip.decompress((ROOT / "tests/data/t10k-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16
    )
    known = {image.tobytes() for image in images.reshape(-1, 784)}
    assert all(np.array(example.features, dtype=np.uint8).tobytes() in known for example in card.examples)
