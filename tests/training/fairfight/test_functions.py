"""The smooth functions, at points where their values are known."""

import numpy as np
import pytest

from chainzrule.training.fairfight.functions import FUNCTIONS, draw


@pytest.mark.parametrize(
    ("name", "point", "value"),
    [
        ("waves", [0.0, 0.0], 0.0),
        ("waves", [np.pi / 6, 0.0], 1.0),
        ("waves", [np.pi / 6, np.pi / 3], -1.0),
        ("cubic", [1, 0, 0, 0, 0, 0], 2.0),
        ("cubic", [1, 1, 1, 1, 1, 1], 1 - 2 + 1 - 1.5 + 1 + 0.5 + 1 - 1),
        ("cubic", [0.5, -1, 0, 0.5, 0, -1], 0.125 + 0.5 - 0.5 + 0.5),
        ("friedman", [-1] * 8, 5.0),
        ("friedman", [0, 1, 0, 0, 0, 1, 1, 1], 10 + 0 + 5 + 2.5 + 5),
        ("friedman", [1, 1, 1, 1, 1, -1, 1, 1], 0 + 5 + 10 + 5),
    ],
)
def test_values(name: str, point: list[float], value: float) -> None:
    assert FUNCTIONS[name].inputs == len(point)
    assert FUNCTIONS[name].value(np.array([point], dtype=np.float64)) == pytest.approx([value], abs=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_points_fill_the_cube_and_the_seed_decides(name: str) -> None:
    x, y = draw(name, 4000, seed=1)
    assert x.shape == (4000, FUNCTIONS[name].inputs)
    np.testing.assert_array_equal(y, FUNCTIONS[name].value(x))
    assert np.abs(x).max() <= 1.0
    np.testing.assert_allclose(x.std(axis=0), 1 / np.sqrt(3), rtol=0.05)
    np.testing.assert_array_equal(x, draw(name, 4000, seed=1)[0])
    assert not np.array_equal(x, draw(name, 4000, seed=2)[0])
