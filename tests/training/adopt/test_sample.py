"""The sample: rows in the model's order, described as a card's features."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from chainzrule.service.artifact.features import CategoricalFeature, NumericFeature
from chainzrule.training.adopt.codes import Codes
from chainzrule.training.adopt.sample import MOST_LEVELS, Sample, read_goal, read_sample
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


def read(
    frame: pd.DataFrame = FRAME, target: str = "outcome", texts: frozenset[int] = frozenset(), **parts: Any
) -> Sample:
    goal = read_goal(frame, target, parts.pop("task", None))
    names = [name for name in frame.columns if name != target]
    given = {"codes": Codes(), "noise": {}, "units": {}, **parts}
    return read_sample(frame, goal, target, names, texts, **given)


def test_columns_stay_in_their_order_and_are_described() -> None:
    found = read(units={"height": "cm"}, noise={"height": 0.5})
    assert (found.task, found.target, found.labels) == ("classification", "outcome", ("sick", "well"))
    assert [feature.name for feature in found.features] == ["height", "smoker"]
    height, smoker = found.features
    assert (height.unit, height.noise) == ("cm", 0.5)
    assert (height.low, height.high) == pytest.approx((FRAME.height.min(), FRAME.height.max()), rel=1e-6)
    assert height.mean == pytest.approx(FRAME.height.mean())
    assert smoker.noise == 0.0  # two values are not measured
    np.testing.assert_array_equal(found.x, FRAME[["height", "smoker"]].to_numpy(np.float32))
    assert found.y.tolist() == [0, 1] * 20
    assert found.fingerprint != read(FRAME[::-1]).fingerprint


def test_noise_is_a_tenth_of_the_standard_deviation_unless_declared() -> None:
    (height, _) = read().features
    assert height.noise == pytest.approx(0.1 * height.std)


def test_few_rows_of_a_label_will_do() -> None:
    found = read(FRAME.assign(outcome=["sick"] + ["well"] * 39))
    assert found.labels == ("sick", "well")


@pytest.mark.parametrize(("task", "y"), [("regression", np.float32), ("classification", np.int64)])
def test_the_task_may_be_asked_for(task: str, y: type) -> None:
    found = read(FRAME.assign(outcome=[1, 2, 3, 4] * 10), task=task)
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
        {"smoker": ["yes", "no"] * 20}, {},
        "column 'smoker' holds text, but the model takes numbers; encode it as it was encoded for the model, or export "
        "the model with its encoder",
    ),
    (
        {"height": [f"text {row}" for row in range(40)]},
        {"texts": frozenset((0,)), "codes": Codes(categories={0: tuple(map(str, range(MOST_LEVELS)))})},
        f"column 'height' has {MOST_LEVELS + 40} texts, more than {MOST_LEVELS}; free text cannot be adopted",
    ),
])  # fmt: skip
def test_a_sample_that_cannot_be_used_is_refused_with_the_way_out(
    change: dict[str, Any], parts: dict[str, Any], said: str
) -> None:
    with pytest.raises(AdoptionError) as caught:
        read(FRAME.assign(**change), **parts)
    assert str(caught.value) == said


@pytest.mark.parametrize(("change", "parts", "kind", "said"), [
    ({}, {"noise": {"weight": 1.0}}, ConfigError, "weight"),
    ({"height": 1.7e9 + np.arange(40.0)}, {}, DataError, "float32 moves in steps of 128"),
])  # fmt: skip
def test_columns_that_are_no_measurements_are_refused(
    change: dict[str, Any], parts: dict[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        read(FRAME.assign(**change), **parts)


def test_gaps_reach_the_model_which_takes_them() -> None:
    found = read(FRAME.assign(height=[None, *[170.5, 180.25, 175.0] * 13]))
    height, smoker = found.features
    assert isinstance(height, NumericFeature)
    assert isinstance(smoker, NumericFeature)
    assert (height.gaps, height.fill, smoker.gaps) == (True, None, None)
    assert np.isnan(found.x[0, 0])
    assert np.isfinite(found.x[1:]).all()
    assert found.filled[0, 0] == pytest.approx(height.mean)
    np.testing.assert_array_equal(found.filled[1:], found.x[1:])


def test_codes_of_categories_have_no_noise_unless_it_is_declared() -> None:
    frame = FRAME.assign(job=[0, 1, 2, 3] * 10, town=[0, 1, 2, 5] * 10)
    found = read(frame, codes=Codes(columns={2, 3}), noise={"town": 1.0})
    assert [feature.noise for feature in found.features[2:] if isinstance(feature, NumericFeature)] == [0.0, 1.0]
    assert found.codes == ("job",)


def test_text_becomes_levels_those_that_the_encoder_knows_first() -> None:
    frame = FRAME.assign(smoker=["yes", "no", "cigar", "no"] * 10)
    found = read(frame, texts=frozenset((1,)), codes=Codes(columns={1}, categories={1: ("no", "pipe", "yes")}))
    smoker = found.features[1]
    assert isinstance(smoker, CategoricalFeature)
    assert (smoker.levels, smoker.fill) == (("no", "pipe", "yes", "cigar"), None)
    np.testing.assert_array_equal(found.x[:3, 1:], [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    assert found.codes == ()
    assert found.columns.width == 5


def test_a_gap_in_text_is_a_level_of_its_own() -> None:
    found = read(FRAME.assign(smoker=["yes", None, "no", "no"] * 10), texts=frozenset((1,)))
    smoker = found.features[1]
    assert isinstance(smoker, CategoricalFeature)
    assert (smoker.levels, smoker.fill) == (("no", "yes", "(missing)"), "(missing)")
    np.testing.assert_array_equal(found.x[:2, 1:], [[0, 1, 0], [0, 0, 1]])
