"""What a version's rows are measured against follows from its task and its card."""

import numpy as np
import pytest

from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.measures import Diagnosis
from chainzrule.service.stability.ranges import Ranges
from chainzrule.service.stability.standard import Standard
from chainzrule.service.stability.verdict import Thresholds
from tests.artifacts import CLASSIFIER

REFERENCE = CLASSIFIER.card().reference
RANGES = Ranges(["a"], np.arange(1), [-1.0], [1.0], width=1)


@pytest.mark.parametrize(
    ("task", "measures", "reasons"),
    [
        (
            "classification",
            ["volatility", "flip_distance", "flip_probability", "runner_up", "gradient_norm"],
            ["flip_probability", "volatility", "out_of_range"],
        ),
        ("regression", ["volatility", "gradient_norm"], ["volatility", "out_of_range"]),
    ],
)
def test_a_task_has_its_measures_and_its_rules(task: Task, measures: list[str], reasons: list[str]) -> None:
    standard = Standard(link_of(task, 3), RANGES, REFERENCE, Thresholds())
    assert [measure.name for measure in standard.measures] == measures
    assert [name for name in standard.member_names if name != "percentile"] == measures
    assert standard.member_names[1] == "percentile"
    assert standard.label_members == tuple(name for name in measures if name == "runner_up")
    assert [rule.reason for rule in standard.rules] == reasons
    assert standard.reference is REFERENCE


def test_the_rules_limits_are_the_thresholds_and_the_references() -> None:
    thresholds = Thresholds(elevated_flip_probability=0.2, unstable_flip_probability=0.3)
    flip, volatility, _ = Standard(link_of("classification", 3), RANGES, REFERENCE, thresholds).rules
    assert (flip.elevated, flip.unstable) == (0.2, 0.3)
    assert volatility.elevated == REFERENCE.volatility.quantiles[thresholds.elevated_volatility_percentile]


def test_ranked_measures_have_a_rank_and_a_distribution_in_the_reference() -> None:
    standard = Standard(link_of("classification", 3), RANGES, REFERENCE, Thresholds())
    ranked = [member for member in standard.members if member.known is not None]
    assert [(member.name, Diagnosis._fields[member.field]) for member in ranked] == [("percentile", "volatility")]
    assert ranked[0].known is REFERENCE.volatility


def test_regions_are_of_levels_in_order_where_the_task_has_them() -> None:
    known = CLASSIFIER.card().conformity
    for task, ordered in (("classification", False), ("ordinal", True)):
        regions = Standard(link_of(task, 3), RANGES, REFERENCE, Thresholds(), known).regions
        assert regions is not None
        assert regions.ordered == ordered
    assert Standard(link_of("classification", 3), RANGES, REFERENCE, Thresholds()).regions is None


def test_a_label_is_as_likely_right_as_the_cards_temperature_says() -> None:
    known = CLASSIFIER.card().conformity
    assert known is not None
    scores, label = np.log(np.array([[0.5, 0.25, 0.25]])), np.array([0])
    for temperature, chance in ((1.0, 0.5), (0.5, 2 / 3)):
        conformity = known.model_copy(update={"temperature": temperature})
        standard = Standard(link_of("classification", 3), RANGES, REFERENCE, Thresholds(), conformity)
        assert standard.chance_right(scores, label) == pytest.approx([chance])
        assert standard.rules[-1].reason == "close_call"
    silent = Standard(link_of("classification", 3), RANGES, REFERENCE, Thresholds(), known)
    assert (silent.temperature, silent.chance_right(scores, label)) == (None, None)


def test_lone_rows_meet_the_same_ranges() -> None:
    standard = Standard(link_of("classification", 3), RANGES, REFERENCE, Thresholds())
    for value, outside in ((1.0, False), (1.1, True), (-1.1, True)):
        row = np.array([[value]], np.float32)
        assert standard.lone_ranges.is_outside(row) == standard.ranges.outside(row).any() == outside
