"""The box of raw inputs on the scales that the model graph reads: it holds whatever float32 makes of its points."""

import numpy as np
import pytest

from chainzrule.training.bounds.inputs import BentInputs
from chainzrule.training.bounds.relaxation import UNIT
from chainzrule.training.data.bends import Bends
from chainzrule.training.onnxwriter import GraphWriter, Value
from tests.training.bounds.graphs import computed

BENDS = Bends(
    keep=np.array([1.0, 0.0, 0.0]),
    start=np.array([0.0, 5.0, -2.5]),
    steepness=np.array([0.0, 0.5, np.float32(30.0)], dtype=np.float64),
    mean=np.zeros(3),
    std=np.ones(3),
)


def read(low: np.ndarray, high: np.ndarray) -> dict[str, np.ndarray]:
    def formula(writer: GraphWriter) -> dict[str, Value]:
        ends = [writer.input(name, "double", 3) for name in ("low", "high")]
        cast = UNIT * abs(ends[0]).maximum(abs(ends[1]))
        return dict(zip(("below", "above", "outside"), BentInputs.of(BENDS, writer).read(*ends, cast), strict=True))

    return computed(formula, low=low[None], high=high[None])


@pytest.mark.parametrize("width", [0.0, 1e-6, 1.0, 1e4])
def test_what_float32_makes_of_the_boxs_points_lies_in_it(width: float) -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        low = random.normal(0, 50, 3) * random.choice([1e-3, 1.0, 1e3])
        high = low + width
        found = read(low, high)
        points = (low + (high - low) * random.uniform(size=(500, 3))).astype(np.float32)
        parts = [part.astype(np.float32) for part in (BENDS.keep, BENDS.start, BENDS.steepness)]
        bent = parts[0] * points + np.arcsinh((points - parts[1]) * parts[2])
        assert (bent >= found["below"] - found["outside"]).all()
        assert (bent <= found["above"] + found["outside"]).all()


def test_the_box_is_no_larger_than_rounding_makes_it() -> None:
    found = read(np.array([1.0, 7.0, -2.5]), np.array([2.0, 7.0, -2.5]))
    np.testing.assert_allclose(found["below"], [1.0, np.arcsinh(1.0), 0.0], atol=1e-5)
    np.testing.assert_allclose(found["above"], [2.0, np.arcsinh(1.0), 0.0], atol=1e-5)
    assert found["outside"].max() < 1e-5


def test_inputs_that_overflow_float32_have_no_bound() -> None:
    far = np.array([0.0, 1e39, 1e37])  # the last one only once it is multiplied by the steepness
    assert np.isinf(read(-far, far)["outside"]).tolist() == [False, True, True]
