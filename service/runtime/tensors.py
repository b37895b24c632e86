"""Converts arrays to and from the tensors that a card holds."""

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.tensor import Tensor


def to_tensor(values: NDArray[np.floating]) -> Tensor:
    """Returns a tensor of the array's shape, with its values rounded to float32."""
    return Tensor.from_bytes(values.shape, np.asarray(values, dtype="<f4", order="C").tobytes())


def to_array(tensor: Tensor) -> NDArray[np.float32]:
    """Returns a tensor's values in its shape, as a writable array."""
    return np.frombuffer(tensor.raw, dtype="<f4").reshape(tensor.shape).astype(np.float32)
