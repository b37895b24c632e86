import numpy as np
import pytest
from sklearn import datasets

from chainzrule.service.artifact.features import CategoricalFeature, NumericFeature
from chainzrule.training.data.bundled import BUNDLED, bundled_dataset
from chainzrule.training.data.errors import DataError


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_set_is_small_whole_and_always_the_same(name):
    data = bundled_dataset(name)
    assert data.test is None
    assert data.train.x.dtype == np.float32
    assert np.isfinite(data.train.x).all()
    assert len(data.train.y) == len(data.train)
    assert bundled_dataset(name, seed=9).fingerprint == data.fingerprint


def test_breast_cancer():
    data, source = bundled_dataset("breast-cancer"), datasets.load_breast_cancer()
    assert (data.task, data.target, data.labels) == ("classification", "diagnosis", ("malignant", "benign"))
    assert np.array_equal(data.train.x, source.data.astype(np.float32))
    assert np.array_equal(data.train.y, source.target)
    assert [feature.name for feature in data.features] == source.feature_names.tolist()
    for column, feature in zip(source.data.T, data.features, strict=True):
        assert isinstance(feature, NumericFeature)
        assert (feature.mean, feature.std) == pytest.approx((column.mean(), column.std()), rel=1e-12)
        assert feature.noise == pytest.approx(column.std() / 10)
        assert (feature.low, feature.high) == (np.float32(column.min()), np.float32(column.max()))
        assert feature.fill is None


def test_diabetes_is_in_raw_units_and_sex_is_a_category():
    data, source = bundled_dataset("diabetes"), datasets.load_diabetes(scaled=False)
    assert (data.task, data.target, data.labels) == ("regression", "disease progression after one year", ())
    assert np.array_equal(data.train.y, source.target.astype(np.float32))
    assert data.train.y.dtype == np.float32
    age, sex, bmi, *_ = data.features
    assert (age.unit, age.low, age.high) == ("years", 19, 79)
    assert bmi.unit == "kg/m²"
    assert sex == CategoricalFeature(name="sex", levels=("1", "2"))
    assert np.array_equal(data.train.x[:, 0], source.data[:, 0].astype(np.float32))
    assert np.array_equal(data.train.x[:, 1:3].argmax(axis=1) + 1, source.data[:, 1])
    assert np.array_equal(data.train.x[:, 3:], source.data[:, 2:].astype(np.float32))


def test_wine():
    data = bundled_dataset("wine")
    assert (data.target, data.labels) == ("cultivar", ("class_0", "class_1", "class_2"))
    assert data.train.x.shape == (178, 13)
    assert data.features[0].unit == "% vol"


def test_digits8x8_is_an_image():
    data, source = bundled_dataset("digits8x8"), datasets.load_digits()
    assert (data.layout.height, data.layout.width, len(data.features)) == (8, 8, 1)
    assert (data.features[0].low, data.features[0].high) == (0, 16)
    assert data.features[0].mean == pytest.approx(source.data.mean())
    assert np.array_equal(data.train.x, source.data)
    assert data.labels == tuple("0123456789")


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(DataError, match="no bundled data set is named 'iris'; there are breast_cancer, diabetes"):
        bundled_dataset("iris")
