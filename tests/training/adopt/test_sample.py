"""The sample: rows in the model's order, described as a card's features."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chainzrule.training.adopt.sample import Sample, read_sample
from chainzrule.training.data.errors import DataError
from chainzrule.training.errors import AdoptionError, ConfigError

RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "height": RANDOM.normal(170, 10, 40).round(1),
        "outcome": ["sick", "well"] * 20,
        "smoker": [0, 1, 1, 0] * 10,
    }
)


def read(tmp_path: Path, frame: pd.DataFrame = FRAME, target: str = "outcome", **parts: Any) -> Sample:
    path = tmp_path / "sample.csv"
    frame.to_csv(path, index=False)
    return read_sample(path, target, **{"task": None, "noise": {}, "units": {}, **parts})


def test_columns_stay_in_their_order_and_are_described(tmp_path: Path) -> None:
    found = read(tmp_path, units={"height": "cm"}, noise={"height": 0.5})
    assert (found.task, found.target, found.labels) == ("classification", "outcome", ("sick", "well"))
    assert [feature.name for feature in found.features] == ["height", "smoker"]
    height, smoker = found.features
    assert (height.unit, height.noise) == ("cm", 0.5)
    assert (height.low, height.high) == pytest.approx((FRAME.height.min(), FRAME.height.max()), rel=1e-6)
    assert height.mean == pytest.approx(FRAME.height.mean())
    assert smoker.noise == 0.0  # two values are not measured
    np.testing.assert_array_equal(found.x, FRAME[["height", "smoker"]].to_numpy(np.float32))
    assert found.y.tolist() == [0, 1] * 20
    assert found.fingerprint != read(tmp_path, FRAME[::-1]).fingerprint


def test_noise_is_a_tenth_of_the_standard_deviation_unless_declared(tmp_path: Path) -> None:
    (height, _) = read(tmp_path).features
    assert height.noise == pytest.approx(0.1 * height.std)


def test_few_rows_of_a_label_will_do(tmp_path: Path) -> None:
    found = read(tmp_path, FRAME.assign(outcome=["sick"] + ["well"] * 39))
    assert found.labels == ("sick", "well")


@pytest.mark.parametrize(("task", "y"), [("regression", np.float32), ("classification", np.int64)])
def test_the_task_may_be_asked_for(tmp_path: Path, task: str, y: type) -> None:
    found = read(tmp_path, FRAME.assign(outcome=[1, 2, 3, 4] * 10), task=task)
    assert found.task == task
    assert found.y.dtype == y
    assert len(found.labels) == (0 if task == "regression" else 4)


@pytest.mark.parametrize(("change", "parts", "said"), [
    ({}, {"target": "outcom"}, "no column is named 'outcom'; --target names the column to predict"),
    ({}, {"task": "ordinal"}, "ordinal models cannot be adopted; adopt the model as a classification"),
    ({}, {"units": {"weight": "kg"}}, "a unit is given for 'weight', which is no column"),
    (
        {"outcome": [None, *["well"] * 39]}, {},
        "target 'outcome' has gaps; leave those rows out of the sample",
    ),
    (
        {"height": [None, *[170.5, 180.25, 175.0] * 13]}, {},
        "column 'height' has gaps; fill them as they were filled for the model, or leave those rows out",
    ),
])  # fmt: skip
def test_a_sample_that_cannot_be_used_is_refused_with_the_way_out(
    tmp_path: Path, change: dict[str, Any], parts: dict[str, Any], said: str
) -> None:
    with pytest.raises(AdoptionError) as caught:
        read(tmp_path, FRAME.assign(**change), **parts)
    assert str(caught.value).removeprefix(f"{tmp_path / 'sample.csv'}: ") == said


@pytest.mark.parametrize(("change", "parts", "kind", "said"), [
    ({"smoker": ["yes", "no"] * 20}, {}, DataError, "smoker"),
    ({}, {"noise": {"weight": 1.0}}, ConfigError, "weight"),
    ({"height": 1.7e9 + np.arange(40.0)}, {}, DataError, "float32 moves in steps of 128"),
])  # fmt: skip
def test_columns_that_are_no_measurements_are_refused(
    tmp_path: Path, change: dict[str, Any], parts: dict[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        read(tmp_path, FRAME.assign(**change), **parts)
