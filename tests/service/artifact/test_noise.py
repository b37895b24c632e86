"""The law of noise in a card: what it may say, and that what no noise can have is refused."""

import numpy as np
import pytest
from pydantic import ValidationError

from chainzrule.service.artifact.noise import NoiseGroup, NoiseModel


def group(*rows: tuple[float, ...], names: tuple[str, ...] | None = None) -> NoiseGroup:
    return NoiseGroup(features=names or tuple("abcdefgh"[: len(rows)]), correlation=rows)


@pytest.mark.parametrize("size", [2, 5, 40])
def test_correlations_of_real_columns_are_taken_also_where_columns_depend_on_each_other(size: int) -> None:
    rows = np.random.default_rng(size).normal(size=(30, size))
    rows[:, -1] = rows[:, 0]
    correlation = np.corrcoef(rows, rowvar=False)
    correlation = (correlation + correlation.T) / 2
    names = tuple(f"column {number}" for number in range(size))
    assert group(*map(tuple, correlation.tolist()), names=names).features == names


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (((1.0, 0.5), (0.4, 1.0)), "symmetric"),
        (((2.0, 0.5), (0.5, 1.0)), "1 on the diagonal"),
        (((1.0, 1.1), (1.1, 1.0)), "negative eigenvalue"),
        (((1.0, 0.9, -0.9), (0.9, 1.0, 0.9), (-0.9, 0.9, 1.0)), "negative eigenvalue"),
        (((1.0, 1.0, 0.0), (1.0, 1.0, 0.9), (0.0, 0.9, 1.0)), "negative eigenvalue"),
        (((1.0,), (1.0,)), "2 rows and columns"),
    ],
)
def test_what_is_no_correlation_is_refused(rows: tuple[tuple[float, ...], ...], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        group(*rows)


def test_a_feature_is_in_one_group_and_once() -> None:
    one = group((1.0, 0.5), (0.5, 1.0))
    with pytest.raises(ValidationError, match="two groups"):
        NoiseModel(groups=(one, one))
    with pytest.raises(ValidationError, match="repeat"):
        group((1.0, 0.5), (0.5, 1.0), names=("a", "a"))


def test_heavy_tails_need_their_degrees_of_freedom_and_no_other_law_has_them() -> None:
    assert NoiseModel(law="t", degrees_of_freedom=3).degrees_of_freedom == 3
    for law, freedom in (("t", None), ("normal", 3.0), ("t", 2.0)):
        with pytest.raises(ValidationError):
            NoiseModel(law=law, degrees_of_freedom=freedom)
