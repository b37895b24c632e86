"""From the configuration's `data` section to rows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chainzrule.training.data.bundled import bundled_dataset
from chainzrule.training.data.config import DataConfig
from chainzrule.training.data.table import read_table, table_dataset
from chainzrule.training.errors import ConfigError
from chainzrule.training.publish.load import load


@pytest.fixture
def table(patients: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "patients.csv"
    patients.assign(grade=(patients["weight"] // 20).clip(3, 5)).to_csv(path, index=False)
    return path


def test_a_table_is_read_with_all_that_is_said_of_it(table: Path) -> None:
    said = {
        "task": "classification",
        "categorical": ("smoker",),
        "numeric": ("age",),
        "drop": ("colour", "grade"),
        "units": {"age": "years"},
    }
    found, notes = load(DataConfig(source="table", path=table, target="outcome", **said), seed=3)  # type: ignore[arg-type]
    expected, expected_notes = table_dataset(read_table(table), "outcome", seed=3, **said)  # type: ignore[arg-type]
    assert notes == expected_notes
    assert (found.features, found.labels, found.fingerprint) == (
        expected.features, expected.labels, expected.fingerprint,
    )  # fmt: skip
    np.testing.assert_array_equal(found.train.x, expected.train.x)


def test_levels_the_targets_unit_and_missing_targets_are_passed_on(table: Path) -> None:
    frame = pd.read_csv(table)
    frame.loc[:2, "grade"] = None
    frame.to_csv(table, index=False)
    config = DataConfig(
        source="table", path=table, target="grade", task="ordinal", levels=("5", "4", "3"), drop_unlabelled=True
    )
    found, _ = load(config, seed=0)
    assert (found.task, found.labels, len(found.train)) == ("ordinal", ("5", "4", "3"), 237)
    found, _ = load(DataConfig(source="table", path=table, target="weight", target_unit="kg"), seed=0)
    assert (found.task, found.target_unit) == ("regression", "kg")


def test_the_seed_splits_a_large_table(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pd.DataFrame({"a": random.normal(size=2000), "b": random.normal(size=2000)}).to_csv(tmp_path / "t.csv", index=False)
    config = DataConfig(source="table", path=tmp_path / "t.csv", target="b")
    parts = [load(config, seed)[0].test for seed in (1, 1, 2)]
    first, again, other = (part.x.tolist() for part in parts if part is not None)
    assert first == again != other


def test_bundled_data_sets_are_found_by_name() -> None:
    found, notes = load(DataConfig(source="diabetes"), seed=1)
    assert (found.fingerprint, notes) == (bundled_dataset("diabetes", 1).fingerprint, ())


def test_texts_are_encoded_and_it_is_told_where_they_are_kept(text_data: Path) -> None:
    config = DataConfig(source="yelp-full", path=text_data / "yelp-full", vectors=text_data / "vectors.txt")
    found, (note,) = load(config, seed=0)
    assert (found.task, found.labels, len(found.features)) == ("ordinal", ("1", "2", "3", "4", "5"), 16)
    assert note.startswith("500 texts to train on, 200 to test with, 16 numbers each, kept in ")
    assert str(text_data.parent / "cache") in note


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"source": "arrays"}, "only for rows that an estimator was given"),
        ({"source": "yelp-full"}, "--reviews"),
        ({"source": "yelp-full", "path": "somewhere"}, "--vectors"),
    ],
)
def test_what_cannot_be_loaded_says_what_to_name(config: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(DataConfig.model_validate(config), seed=0)
