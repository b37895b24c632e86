import pytest

from chainzrule.training.fairfight.statistics import holm, iso_ratio, paired_p, parameters_at


def test_parameters_are_read_between_the_sizes_in_their_logarithm() -> None:
    curve = [(100, 0.8), (10_000, 0.9)]
    assert parameters_at(curve, 0.85, higher_is_better=True) == pytest.approx(1000)
    assert parameters_at(curve, 0.95, higher_is_better=True) is None
    assert parameters_at([(100, 1.0), (10_000, 0.01)], 0.1, higher_is_better=False) == pytest.approx(1000)


def test_a_larger_network_that_is_worse_does_not_undo_what_a_smaller_one_reached() -> None:
    assert parameters_at([(100, 0.8), (1000, 0.9), (10_000, 0.85)], 0.9, higher_is_better=True) == pytest.approx(1000)


def test_the_ratio_is_the_rivals_parameters_over_ours() -> None:
    ours, theirs = [(10, [0.7, 0.7]), (100, [0.9, 0.9])], [(100, [0.7, 0.7]), (1000, [0.9, 0.9])]
    ratio = iso_ratio(ours, theirs, 0.8, higher_is_better=True)
    assert ratio is not None
    assert ratio.bound == "="
    assert ratio.value == pytest.approx(10) == ratio.low == ratio.high


def test_a_level_below_our_smallest_network_gives_a_bound_only() -> None:
    ratio = iso_ratio([(10, [0.9]), (20, [0.95])], [(10, [0.5]), (1000, [0.9])], 0.9, higher_is_better=True)
    assert ratio is not None
    assert ratio.bound == ">="
    assert ratio.value == pytest.approx(100)


def test_holm_steps_down() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06)]


def test_a_paired_test_needs_three_seeds_and_some_spread() -> None:
    assert paired_p({1: 0.5, 2: 0.6}, {1: 0.4, 2: 0.5}) is None
    same = {1: 0.5, 2: 0.6, 3: 0.7}
    assert paired_p(same, same) is None
    p = paired_p({1: 0.50, 2: 0.61, 3: 0.70}, {1: 0.40, 2: 0.50, 3: 0.61})
    assert p is not None
    assert p < 0.01
