"""A data set of grey images; `test_mnist.py` has what is refused."""

import numpy as np
import pytest

from chainzrule.training.data.errors import DataError
from chainzrule.training.data.images import image_dataset

RANDOM = np.random.default_rng(2)
IMAGES = RANDOM.integers(0, 17, (30, 3, 5)).astype(np.uint8)
LABELS = (np.arange(30) % 2).astype(np.uint8)
FACTS = {"target": "shape", "unit": "grey", "high": 16, "labels": ("round", "square")}


def test_one_description_serves_all_pixels() -> None:
    data = image_dataset((IMAGES, LABELS), None, **FACTS)  # type: ignore[arg-type]
    (pixel,) = data.features
    values = IMAGES.astype(np.float64)
    assert (pixel.mean, pixel.std) == (pytest.approx(values.mean(), rel=1e-14), pytest.approx(values.std(), rel=1e-14))
    assert (pixel.low, pixel.high, pixel.unit) == (0.0, 16.0, "grey")
    assert pixel.noise == pytest.approx(0.1 * values.std())
    assert (data.layout.height, data.layout.width) == (3, 5)
    assert (data.task, data.target, data.labels, data.test) == ("classification", "shape", ("round", "square"), None)
    np.testing.assert_array_equal(data.train.x, IMAGES.reshape(30, 15))
    assert (data.train.x.dtype, data.train.y.dtype) == (np.float32, np.int64)


def test_statistics_are_those_of_the_images_to_train_on() -> None:
    alone = image_dataset((IMAGES[:20], LABELS[:20]), None, **FACTS)  # type: ignore[arg-type]
    both = image_dataset((IMAGES[:20], LABELS[:20]), (IMAGES[20:], LABELS[20:]), **FACTS)  # type: ignore[arg-type]
    assert both.features == alone.features
    assert both.fingerprint != alone.fingerprint
    np.testing.assert_array_equal(both.test.x, IMAGES[20:].reshape(10, 15))


def test_black_and_white_has_no_noise() -> None:
    (pixel,) = image_dataset((IMAGES // 16, LABELS), None, **FACTS).features  # type: ignore[arg-type]
    assert pixel.noise == 0.0


@pytest.mark.parametrize(
    ("labels", "message"),
    [(("a",), "1 classes"), (tuple(map(str, range(65))), "65 classes; between 2 and 64")],
)
def test_there_are_2_to_64_labels(labels: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        image_dataset((IMAGES, LABELS), None, **FACTS | {"labels": labels})  # type: ignore[arg-type]
    assert len(image_dataset((IMAGES, LABELS), None, **FACTS | {"labels": tuple(map(str, range(64)))}).labels) == 64  # type: ignore[arg-type]
