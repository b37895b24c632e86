"""How novel rows are: ranked among the held-out rows, with the features that make a row novel."""

import numpy as np
import pytest

from chainzrule.service.artifact.evidence import Distribution, Novelty
from chainzrule.service.stability.novelty import Familiar, Novelties, make_novelty

TENTHS = Distribution(mean=5.0, quantiles=tuple(q / 10 for q in range(101)))
COLUMNS = ("age", "colour", "colour", "dose", "size", "weight", "width")


def familiar(percentile: float = 98.5) -> Familiar:
    return Familiar(Novelty(rows=100, out_of_fold=True, surprise=TENTHS), percentile, COLUMNS)


def named(*deviations: float) -> list[str]:
    row = np.zeros(len(COLUMNS), np.float32)
    row[: len(deviations)] = deviations
    rank, features = familiar().listed(100.0, True, row)
    assert rank == 100.0
    assert features is not None
    return features


def test_the_cards_part_holds_how_the_held_out_rows_are_distributed() -> None:
    found = make_novelty(np.arange(201.0, dtype=np.float32), out_of_fold=True)
    assert (found.rows, found.out_of_fold, found.surprise.mean) == (201, True, 100.0)
    assert found.surprise.quantiles[::50] == (0.0, 100.0, 200.0)


@pytest.mark.parametrize(("percentile", "limit"), [(0.0, 0.0), (98.5, 9.85), (99.0, 9.9), (100.0, 10.0)])
def test_the_limit_is_a_percentile_of_the_held_out_rows(percentile: float, limit: float) -> None:
    assert familiar(percentile).limit == pytest.approx(limit)


def test_rows_above_the_limit_are_novel_and_rows_at_it_are_not() -> None:
    # Both are exact in float32.
    found = Novelties(familiar(90.0), np.array([0.0, 9.0, 9.25, 12.0], np.float32), None)
    assert found.novel.tolist() == [False, False, True, True]
    assert found.percentile.tolist() == pytest.approx([0.0, 90.0, 92.5, 100.0])
    assert [features for _, features in found.listed()] == [None] * 4


def test_only_novel_rows_name_features() -> None:
    deviations = np.zeros((2, len(COLUMNS)), np.float32)
    deviations[:, 3] = -4.0
    found = list(Novelties(familiar(), np.array([1.0, 11.0], np.float32), deviations).listed())
    assert found == [(pytest.approx(10.0), []), (100.0, ["dose"])]


def test_the_worst_feature_comes_first_with_those_at_least_half_as_far_out() -> None:
    assert named(2.0, 0.0, 0.0, -9.0) == ["dose"]
    assert named(4.5, 0.0, 0.0, -9.0, 4.4) == ["dose", "age"]
    assert named(-9.0, 0.0, 0.0, 8.0) == ["age", "dose"]


def test_a_category_is_named_once_whatever_levels_do_not_fit() -> None:
    assert named(0.0, -9.0, 8.0, 7.0) == ["colour", "dose"]


def test_at_most_five_are_named() -> None:
    assert named(9.0, 8.9, 0.0, 8.8, 8.7, 8.6, 8.5) == ["age", "colour", "dose", "size", "weight"]
