"""Holds what a model version's rows are measured against: its link, ranges, reference, and rules for verdicts."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Conformity, Distribution, Novelty, Reference
from chainzrule.service.artifact.interface import Method
from chainzrule.service.stability.conformal import Regions
from chainzrule.service.stability.link import Link
from chainzrule.service.stability.lone.ranges import LoneRanges
from chainzrule.service.stability.measures import Diagnosis, Measure, measures_of
from chainzrule.service.stability.novelty import Familiar
from chainzrule.service.stability.ranges import Ranges
from chainzrule.service.stability.soundness import Soundness
from chainzrule.service.stability.temperature import chance_right
from chainzrule.service.stability.verdict import Thresholds, rules_of


class Member(NamedTuple):
    """Describes a value that every measured row is given: a measure, or its percentile among the held-out rows.

    Attributes:
        name: the name in answers.
        field: the position of the measure among the fields of `Diagnosis`.
        is_distance: whether the measure may be infinite.
        sound: whether it is given also where the other measures do not hold.
        known: the distribution among held-out rows for a percentile; None for the measure itself.
    """

    name: str
    field: int
    is_distance: bool
    sound: bool
    known: Distribution | None = None


class Standard:
    """Holds the facts of one model version by which its predictions are measured and judged.

    Attributes:
        link: what the scores mean.
        ranges: the range that training saw of every numeric feature.
        lone_ranges: the same ranges, for checking single rows.
        reference: how the model behaved on rows that it was not fitted to.
        regions: which answers are to hold the truth; None where the card does not say how far it lies from answers.
        temperature: divides the scores for the chance that a label is right; None where the card does not say.
        familiar: what the model knows; None where the card does not say how unlike the training rows others are.
        rules: the rules for verdicts.
        measures: the measures that the task has.
        members: the values that every measured row is given, in the order of the answers.
        member_names: their names.
        label_members: the names of those that are indices of labels.
        soundness: where the measures hold in closed form; None where that is everywhere.
        method: how measures are obtained that are not counted from draws.
    """

    def __init__(
        self,
        link: Link,
        ranges: Ranges,
        reference: Reference,
        thresholds: Thresholds,
        conformity: Conformity | None = None,
        novelty: Novelty | None = None,
        column_features: Sequence[str] = (),
        soundness: Soundness | None = None,
        method: Method = "analytic",
    ) -> None:
        self.link = link
        self.ranges = ranges
        self.lone_ranges = LoneRanges(ranges)
        self.reference = reference
        self.regions = None if conformity is None else Regions(conformity, link.has_labels and link.has_value)
        self.temperature = None if conformity is None else conformity.temperature
        self.familiar = None if novelty is None else Familiar(novelty, thresholds.novel_percentile, column_features)
        self.rules = rules_of(link, reference, thresholds, novelty, conformity)
        self.measures = measures_of(link)
        self.members = tuple(member for measure in self.measures for member in _members(measure, reference))
        self.member_names = tuple(member.name for member in self.members)
        self.soundness = soundness
        self.method: Method = method
        self.label_members = tuple(measure.name for measure in self.measures if measure.kind == "label")

    def chance_right(self, scores: NDArray[np.floating], label: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Returns (rows,) the chance that each row's label is right; None where the card does not say."""
        return None if self.temperature is None else chance_right(self.link, scores, label, self.temperature)


def _members(measure: Measure, reference: Reference) -> list[Member]:
    field, is_distance = Diagnosis._fields.index(measure.name), measure.kind == "distance"
    members = [Member(measure.name, field, is_distance, measure.sound)]
    if measure.rank is not None:
        members.append(Member(measure.rank[0], field, is_distance, measure.sound, getattr(reference, measure.name)))
    return members
