"""Holds what a model version's rows are measured against: its link, ranges, reference, and rules for verdicts."""

from chainzrule.service.artifact.evidence import Reference
from chainzrule.service.stability.link import Link
from chainzrule.service.stability.lone.ranges import LoneRanges
from chainzrule.service.stability.measures import measures_of
from chainzrule.service.stability.ranges import Ranges
from chainzrule.service.stability.verdict import Thresholds, rules_of


class Standard:
    """Holds the facts of one model version by which its predictions are measured and judged.

    Attributes:
        link: what the scores mean.
        ranges: the range that training saw of every numeric feature.
        lone_ranges: the same ranges, for checking single rows.
        reference: how the model behaved on rows that it was not fitted to.
        rules: the rules for verdicts.
        measures: the measures that the task has.
        ranked: the measures that are ranked among the held-out rows.
    """

    def __init__(self, link: Link, ranges: Ranges, reference: Reference, thresholds: Thresholds) -> None:
        self.link = link
        self.ranges = ranges
        self.lone_ranges = LoneRanges(ranges)
        self.reference = reference
        self.rules = rules_of(link, reference, thresholds)
        self.measures = measures_of(link)
        self.ranked = tuple(measure for measure in self.measures if measure.rank is not None)
