import base64
import struct

import pytest
from pydantic import ValidationError

from chainzrule.service.artifact.tensor import Tensor

VALUES = struct.pack("<4f", 1.0, -0.0, 3.4e38, 1e-45)


def test_bytes_come_back_as_they_went_in() -> None:
    found = Tensor.from_bytes((2, 2), VALUES)
    assert (found.shape, found.raw) == ((2, 2), VALUES)
    assert Tensor.model_validate_json(found.model_dump_json()) == found


def test_a_tensor_without_dimensions_is_one_number() -> None:
    assert Tensor.from_bytes((), VALUES[:4]).raw == VALUES[:4]


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 2, 2), (), (0,), (-2, -2)])
def test_data_must_fill_the_shape(shape: tuple[int, ...]) -> None:
    data = VALUES if shape != (4,) else VALUES[:-1]
    with pytest.raises(ValidationError, match=r"data does not fill the shape|greater than or equal to 0"):
        Tensor(shape=shape, data=base64.b64encode(data).decode())


def test_what_is_not_base64_is_refused() -> None:
    with pytest.raises(ValidationError, match="data is not base64"):
        Tensor(shape=(1,), data="AAAA!AA=")
