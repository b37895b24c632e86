"""Ranks one value among a card's held-out rows; the definition is that of `stability.reference`."""

from bisect import bisect_left, bisect_right

from chainzrule.service.artifact.evidence import Distribution


def percentile(value: float, known: Distribution) -> float:
    """Returns the percentile of a value in a distribution, 0 to 100."""
    quantiles = known.quantiles
    low, high = bisect_left(quantiles, value), bisect_right(quantiles, value)
    last = len(quantiles) - 1
    if value > quantiles[last]:
        return 100.0
    if high > low:
        return (low + high - 1) / 2.0
    inner = min(max(low, 1), last)
    below, above = quantiles[inner - 1], quantiles[inner]
    width = above - below if above > below else 1.0
    return inner - 1 + min(max((value - below) / width, 0.0), 1.0)


def quantile(known: Distribution, percentile: float) -> float:
    """Returns the value at a percentile of a distribution, 0 to 100, between those that the card holds by a line."""
    below = min(int(percentile), len(known.quantiles) - 2)
    low, high = known.quantiles[below], known.quantiles[below + 1]
    return low + (percentile - below) * (high - low)
