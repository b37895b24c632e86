"""Declared noise in the card's features and its noise model."""

from typing import Any

import numpy as np
import pytest

from chainzrule.service.artifact.features import Bend, CategoricalFeature, Feature, NumericFeature
from chainzrule.service.artifact.noise import NoiseModel
from chainzrule.training.columns import Columns
from chainzrule.training.errors import ConfigError
from chainzrule.training.noise.config import NoiseLawConfig
from chainzrule.training.noise.declared import declare, noise_model, straightened, with_noise


def by_name(features: tuple[Feature, ...], name: str) -> Any:
    return next(feature for feature in features if feature.name == name)


def test_declared_noise_replaces_the_default_and_says_where_it_comes_from(features: tuple[Feature, ...]) -> None:
    found = with_noise(features, {"age": 1, "flag": 0.01}, measured=("flag",))
    assert Columns.of(found, None).noise.tolist() == [1, 80, 0, 0, 0, 0.01, 2e-8]
    sources = [feature.noise_source for feature in found if isinstance(feature, NumericFeature)]
    assert sources == ["declared", "default", "measured", "default"]


def test_shares_bounds_and_misread_levels_reach_the_card(features: tuple[Feature, ...]) -> None:
    found = with_noise(features, {"age": "5%", "pressure": {"least": 0}, "colour": {"misread": 0.1}})
    age, pressure, colour = (by_name(found, name) for name in ("age", "pressure", "colour"))
    assert (age.noise, age.noise_share, age.noise_source) == (0.0, 0.05, "declared")
    assert (pressure.noise, pressure.least, pressure.noise_source) == (80.0, 0.0, "default")
    np.testing.assert_allclose(colour.confusion, [[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]])


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        ({"agee": 1.0}, "'agee', which is no numeric feature; numeric features are: age, flag"),
        ({"colour": 1.0}, "'colour', whose levels have no size; say how often one is taken for another"),
        ({"age": -1.0}, "must be a number >= 0"),
        ({"age": float("nan")}, "must be a number >= 0"),
        ({"age": float("inf")}, "must be a number >= 0"),
        ({"age": "lots"}, "a share such as 5%"),
        ({"age": {"misread": 0.1}}, "which is a number"),
        ({"age": {"least": 40}}, "training saw"),
        ({"colour": {"misread": 1.0}}, "below 1"),
        ({"colour": {"misread": [[1.0]]}}, "3 rows and columns"),
        ({"colour": {"misread": 0.1, "sd": 1}}, "only misread"),
    ],
)
def test_noise_that_fits_no_feature_is_refused(
    features: tuple[Feature, ...], noise: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        with_noise(features, noise)


def test_what_is_said_to_be_measured_must_be_there(features: tuple[Feature, ...]) -> None:
    law = NoiseLawConfig(measured=("age", "height"))
    with pytest.raises(ConfigError, match="'height', which is no feature; features are: age"):
        declare(features, np.zeros((2, 7)), {}, law)


def model_of(features: tuple[Feature, ...], x: np.ndarray | None = None, **law: Any) -> NoiseModel | None:
    rows = np.random.default_rng(0).normal(size=(50, 7)) if x is None else x
    return noise_model(NoiseLawConfig.model_validate(law), features, rows)


def test_groups_have_one_correlation_a_matrix_or_that_of_the_columns(features: tuple[Feature, ...]) -> None:
    assert model_of(features) is None
    pair = {"columns": ["pressure", "age"]}
    found = model_of(features, groups=[{**pair, "correlation": 0.5}])
    assert found is not None
    assert found.groups[0].features == ("pressure", "age")
    assert found.groups[0].correlation == ((1.0, 0.5), (0.5, 1.0))
    x = np.random.default_rng(1).normal(size=(400, 7))
    x[:, 0] = -x[:, 1] + 0.1 * x[:, 0]
    found = model_of(features, x, groups=[{**pair, "correlation": "as columns"}])
    assert found is not None
    assert found.groups[0].correlation[0][1] == pytest.approx(np.corrcoef(x[:, 0], x[:, 1])[0, 1])


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([{"columns": ["age", "colour"], "correlation": 0.5}], "'colour', which is no numeric feature"),
        ([{"columns": ["age", "pressure"], "correlation": 1.5}], "noise_law:"),
        ([{"columns": ["age", "pressure"], "correlation": [[1.0, 0.5], [0.4, 1.0]]}], "symmetric"),
        ([{"columns": ["age", "pressure"], "correlation": 0.5}] * 2, "two groups"),
    ],
)
def test_groups_that_no_noise_can_have_are_refused(
    features: tuple[Feature, ...], groups: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        model_of(features, groups=groups)


def test_columns_whose_noise_is_correlated_are_read_on_a_straight_scale() -> None:
    bend = Bend(start=0.0, scale=1.0, mean=0.0, std=1.0)
    one, two = (
        NumericFeature(name=name, mean=0, std=1, low=-1, high=1, noise=0.1, bend=bend) for name in ("one", "two")
    )
    level = CategoricalFeature(name="level", levels=("a", "b"))
    three = one.model_copy(update={"name": "three"})
    model = model_of((one, two, level, three), groups=[{"columns": ["one", "three"], "correlation": 0.9}])
    found = straightened((one, two, level, three), model)
    assert [getattr(feature, "bend", None) for feature in found] == [None, bend, None, None]
    assert straightened((one, two), None) == (one, two)
