"""Says how likely one row's label is to be right, in plain floats, as `stability.temperature` defines it."""

from math import exp

from chainzrule.service.stability.link import Link, Ordinal
from chainzrule.service.stability.lone.link import Row, sigmoid


def chance_right(link: Link, s: Row, label: int, temperature: float) -> float:
    """Returns the chance that the label is right; without order, it is the one with the largest score."""
    if type(link) is Ordinal:
        reached = sigmoid(s[label - 1] / temperature) if label > 0 else 1.0
        return reached - (sigmoid(s[label] / temperature) if label < len(s) else 0.0)
    own = s[label]
    return 1.0 / sum([exp((score - own) / temperature) for score in s])
