"""The noise that a request declares: which columns it is of, and what is refused."""

from typing import Any

import numpy as np
import pytest

from chainzrule.service.errors import InvalidInput
from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.serving.asked import AskedCovariance, asked_noise
from tests.artifacts import CLASSIFIER, IMAGE, MIXED


def rows(toy: Any = CLASSIFIER) -> RowEncoder:
    return RowEncoder(toy.card())


def test_named_features_have_the_requests_noise_and_the_others_the_cards() -> None:
    assert asked_noise({"weight": 3.0}, rows()).sd.tolist() == [0.2, 3.0]
    assert asked_noise({"height": 0}, rows()).sd.tolist() == [0.0, 0.05]


def test_an_images_one_feature_stands_for_all_pixels() -> None:
    name = IMAGE.features[0].name
    assert set(asked_noise({name: 7.0}, rows(IMAGE)).sd.tolist()) == {7.0}
    assert asked_noise({f"{name}_0_1": 7.0}, rows(IMAGE)).sd.tolist().index(7.0) == 1


def test_a_covariance_is_of_the_features_in_their_order() -> None:
    noise = asked_noise(AskedCovariance(["weight", "height"], [[4.0, -1.0], [-1.0, 1.0]]), rows())
    assert noise.sd.tolist() == [1.0, 2.0]
    root = noise.root()
    np.testing.assert_allclose(root @ root.T, [[1.0, -1.0], [-1.0, 4.0]], atol=1e-12)


@pytest.mark.parametrize(
    ("asked", "place", "said"),
    [
        ({"wieght": 1.0}, "noise", "did you mean weight"),
        (AskedCovariance(["height", "height"], [[1.0, 0.0], [0.0, 1.0]]), "noise.features", "twice"),
        (AskedCovariance(["height", "weight"], [[1.0, 0.0]]), "noise.covariance", "2 rows of 2"),
        (AskedCovariance(["height", "weight"], [[1.0, 0.1], [0.0, 1.0]]), "noise.covariance", "symmetric"),
        (AskedCovariance(["height", "weight"], [[1.0, 2.0], [2.0, 1.0]]), "noise.covariance", "negative eigenvalue"),
        (AskedCovariance(["height", "weight"], [[1e6, 2.0], [2.0, 1e-6]]), "noise.covariance", "negative eigenvalue"),
        (AskedCovariance(["height", "weight"], [[1e6, 1e-3], [-1e-4, 1e-6]]), "noise.covariance", "symmetric"),
        (AskedCovariance(["height", "weight"], [[-1.0, 0.0], [0.0, 1.0]]), "noise.covariance", "negative variance"),
        (AskedCovariance(["height", "weight"], [[0.0, 0.1], [0.1, 1.0]]), "noise.covariance", "negative eigenvalue"),
        (AskedCovariance(["height"] * 513, [[1.0]]), "noise.features", "512"),
    ],
)
def test_what_is_no_noise_is_refused_with_its_place(asked: Any, place: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as refused:
        asked_noise(asked, rows())
    assert refused.value.place == place


def test_levels_and_all_pixels_at_once_have_no_such_noise() -> None:
    category = next(feature.name for feature in MIXED.features if feature.kind == "categorical")
    with pytest.raises(InvalidInput, match="levels"):
        asked_noise({category: 1.0}, rows(MIXED))
    with pytest.raises(InvalidInput, match="all pixels"):
        asked_noise(AskedCovariance([IMAGE.features[0].name], [[1.0]]), rows(IMAGE))
