import numpy as np
import pytest

from chainzrule.service.artifact.tensor import Tensor
from chainzrule.service.runtime.tensors import to_array, to_tensor


@pytest.mark.parametrize("values", [
    np.array([[1.0, -0.0], [3.4e38, 1e-45]], np.float32),
    np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1),
    np.float32(2.5).reshape(()),
    np.zeros((0, 3), np.float32),
])  # fmt: skip
def test_arrays_keep_every_bit(values: np.ndarray) -> None:
    found = to_array(Tensor.model_validate_json(to_tensor(values).model_dump_json()))
    assert found.dtype == np.float32
    assert found.shape == values.shape
    assert found.tobytes() == values.tobytes()


def test_float64_is_rounded() -> None:
    found = to_array(to_tensor(np.array([0.1, 1 / 3])))
    np.testing.assert_array_equal(found, np.array([0.1, 1 / 3], np.float32))
    found += 1  # the memory is its own
