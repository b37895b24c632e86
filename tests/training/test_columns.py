import numpy as np
import pytest

from chainzrule.service.artifact.features import CategoricalFeature, Feature, Layout, NumericFeature
from chainzrule.training.columns import Columns, heavy_tails, with_bends, with_constraints
from chainzrule.training.errors import ConfigError


def test_a_table_has_a_column_a_number_and_a_block_a_category(features: tuple[Feature, ...]) -> None:
    columns = Columns.of(features, None)
    assert columns.width == 7
    assert columns.blocks == (slice(2, 5),)
    np.testing.assert_array_equal(columns.mean[2:5], 0)
    np.testing.assert_array_equal(columns.std[2:5], 1)
    np.testing.assert_array_equal(columns.noise, [0.5, 80.0, 0, 0, 0, 0, 2e-8])


def test_an_images_one_feature_stands_for_every_pixel() -> None:
    pixel = NumericFeature(name="pixel", mean=33.0, std=78.0, low=0, high=255, noise=7.8)
    columns = Columns.of([pixel], Layout(height=4, width=5))
    assert columns.width == 20
    assert set(columns.mean) == {33.0}


def test_standardised_rows_have_the_training_spread_and_blocks_pass_through(features: tuple[Feature, ...]) -> None:
    row = np.array([[62.0, 101325.0, 0, 1, 0, 1, 3e-7]], dtype=np.float32)
    found = Columns.of(features, None).standardise(row)
    np.testing.assert_allclose(found, [[1, 0, 0, 1, 0, 0.7 / 0.458, 0]], atol=1e-6)


def test_a_fold_has_its_own_statistics_and_the_same_noise(features: tuple[Feature, ...]) -> None:
    columns = Columns.of(features, None)
    x = np.array([[40, 1e5, 1, 0, 0, 1, 0], [60, 1e5, 0, 0, 1, 0, 1e-6]], dtype=np.float32)
    found = columns.of_rows(x)
    np.testing.assert_allclose(found.mean, [50, 1e5, 0, 0, 0, 0.5, 5e-7], rtol=1e-6)
    np.testing.assert_allclose(found.std, [10, 800, 1, 1, 1, 0.5, 5e-7], rtol=1e-6)  # a constant keeps the old spread
    np.testing.assert_allclose(found.low[[0, 2]], [40, 0])
    np.testing.assert_array_equal(found.noise, columns.noise)


def test_an_images_fold_pools_its_pixels() -> None:
    pixel = NumericFeature(name="pixel", mean=3.0, std=2.0, low=0, high=16, noise=0.2)
    found = Columns.of([pixel], Layout(height=1, width=2)).of_rows(np.array([[0, 4], [8, 4]], dtype=np.float32))
    assert set(found.mean) == {4.0}
    assert set(found.high) == {8.0}


def test_out_of_range_rows(features: tuple[Feature, ...]) -> None:
    columns = Columns.of(features, None)
    x = np.tile(columns.mean.astype(np.float32), (3, 1))
    x[1, 0], x[2, 1] = 91.0, 97999.0
    assert columns.out_of_range(x).tolist() == [False, True, True]


def test_a_heavy_tail_is_noted(features: tuple[Feature, ...]) -> None:
    assert heavy_tails(features) == ()
    income = NumericFeature(name="income", mean=1e3, std=1e2, low=0, high=4e3, noise=10)
    (note,) = heavy_tails([*features, income])
    assert note.startswith("column 'income' reaches 30 standard deviations")


def test_constraints_are_declared_of_numeric_features_alone() -> None:
    features = (
        NumericFeature(name="age", mean=0, std=1, low=-1, high=1, noise=0.1),
        CategoricalFeature(name="c", levels=("a", "b")),
    )
    found = with_constraints(features, {"age": "decreasing"}, labels=2)
    assert isinstance(found[0], NumericFeature)
    assert found[0].monotone == "decreasing"
    assert with_constraints(features, {}, labels=5) == features
    with pytest.raises(ConfigError, match="'c', which is no numeric feature; numeric features are: age"):
        with_constraints(features, {"c": "increasing"}, labels=2)
    with pytest.raises(ConfigError, match="3 labels have no such direction"):
        with_constraints(features, {"age": "increasing"}, labels=3)


def skewed(rows: int = 500) -> tuple[tuple[Feature, ...], np.ndarray]:
    random = np.random.default_rng(0)
    income = random.lognormal(8, 2, rows).astype(np.float32)
    level = np.eye(2)[random.integers(0, 2, rows)]
    features = (
        CategoricalFeature(name="c", levels=("a", "b")),
        NumericFeature(
            name="income",
            mean=float(income.mean()),
            std=float(income.std()),
            low=float(income.min()),
            high=float(income.max()),
            noise=float(income.std()) / 10,
        ),
    )
    return features, np.column_stack([level, income]).astype(np.float32)


def test_columns_of_heavy_tails_get_a_scale_and_a_noise_that_fits_it() -> None:
    features, x = skewed()
    levels, income = with_bends(features, x)
    assert levels == features[0]
    assert isinstance(income, NumericFeature)
    assert income.bend is not None
    middle = float(np.median(x[:, 2]))
    moved = np.arcsinh((np.array([middle, middle + income.noise]) - income.bend.start) / income.bend.scale)
    assert np.diff(moved)[0] / income.bend.std == pytest.approx(0.1, rel=0.15)
    (note,) = heavy_tails([income])
    assert "logarithmic scale" in note
    assert "send it as it is" in note


def test_bent_columns_are_standardised_on_their_scale_also_in_a_fold() -> None:
    features, x = skewed()
    columns = Columns.of(with_bends(features, x), None)
    found = columns.standardise(x)
    np.testing.assert_array_equal(found[:, :2], x[:, :2])
    assert found[:, 2].mean() == pytest.approx(0, abs=1e-6)
    assert found[:, 2].std() == pytest.approx(1, abs=1e-6)
    assert np.abs(found[:, 2]).max() < 5
    fold = columns.of_rows(x[:100])
    assert fold.standardise(x[:100])[:, 2].std() == pytest.approx(1, abs=1e-6)
    assert fold.bends is not None
    assert fold.bends.mean[2] != columns.centre[2]
    assert (columns.mean[2], columns.spread[2]) == (features[1].mean, columns.bends.std[2])  # type: ignore[union-attr]
