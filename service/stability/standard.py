"""What a model version's rows are measured against: its link, its ranges, its reference, and the rules for verdicts."""

from chainzrule.service.artifact.evidence import Reference
from chainzrule.service.stability.link import Link
from chainzrule.service.stability.lone.ranges import LoneRanges
from chainzrule.service.stability.measures import measures_of
from chainzrule.service.stability.ranges import Ranges
from chainzrule.service.stability.verdict import Thresholds, rules_of


class Standard:
    """The facts of one model version that its predictions are held against.

    Attributes:
        link: what the scores mean.
        ranges: what training saw of every feature.
        lone_ranges: the same for rows that come by themselves.
        reference: how the model behaved on rows that it was not fitted to.
        rules: the rules for verdicts.
        measures: the measures that the task has.
        ranked: those of them that are ranked among the held-out rows.
    """

    def __init__(self, link: Link, ranges: Ranges, reference: Reference, thresholds: Thresholds) -> None:
        self.link = link
        self.ranges = ranges
        self.lone_ranges = LoneRanges(ranges)
        self.reference = reference
        self.rules = rules_of(link, reference, thresholds)
        self.measures = measures_of(link)
        self.ranked = tuple(measure for measure in self.measures if measure.rank is not None)
