"""Makes the stability reference, which says how a model behaved on held-out rows, and ranks other rows among them.

Training and adoption make a card's reference here, and the service compares live traffic with it here.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import QUANTILES, Distribution, Reference
from chainzrule.service.stability.link import Link
from chainzrule.service.stability.measures import Diagnosis, measures_of

Floats = NDArray[np.float64]

_PERCENTS = np.arange(float(QUANTILES))


def make_reference(
    link: Link,
    diagnosis: Diagnosis,
    outside: NDArray[np.bool_],
    out_of_fold: bool,
    layer_norms: NDArray[np.floating] | None = None,
) -> Reference:
    """Returns the reference made from held-out rows.

    Args:
        link: what the scores mean.
        diagnosis: the rows' measures at one noise sigma.
        outside: (rows,) whether a feature lies outside its training range.
        out_of_fold: whether the rows were measured by models that were fitted without them.
        layer_norms: (rows, L) norm of the derivative after each layer, where it is known.
    """
    return Reference(
        rows=len(diagnosis.volatility),
        out_of_fold=out_of_fold,
        **{
            measure.name: distribution(getattr(diagnosis, measure.name))
            for measure in measures_of(link)
            if measure.in_reference
        },
        layer_norms=None if layer_norms is None else tuple(map(distribution, layer_norms.T)),
        gradient_tail_ratio=tail_ratio(diagnosis.gradient_norm),
        out_of_range_rate=float(np.mean(outside)),
    )


def distribution(values: NDArray[np.floating]) -> Distribution:
    """Returns the mean and the 0th to 100th percentiles of values, (rows,)."""
    # They are sorted once more, because interpolation may round two neighbours past each other.
    quantiles = np.sort(np.quantile(values.astype(np.float64), np.linspace(0, 1, QUANTILES)))
    return Distribution(mean=float(np.mean(values)), quantiles=tuple(quantiles.tolist()))


def tail_ratio(norms: NDArray[np.floating]) -> float:
    """Returns the 99th percentile of the norms, of which there must be one or more, over their mean; 1 if all are 0."""
    mean = float(norms.mean())
    return float(np.quantile(norms, 0.99)) / mean if mean > 0 else 1.0


def percentiles(values: Floats, known: Distribution) -> Floats:
    """Returns the percentile of each value, (rows,), in a distribution, 0 to 100."""
    quantiles, distinct = _as_array(known.quantiles)
    if distinct:
        return np.asarray(np.interp(values, quantiles, _PERCENTS))
    low = np.searchsorted(quantiles, values, side="left")
    high = np.searchsorted(quantiles, values, side="right")
    # A value equal to several quantiles gets the middle of their ranks; between two quantiles the rank is linear.
    inner = np.clip(low, 1, len(quantiles) - 1)
    below, above = quantiles[inner - 1], quantiles[inner]
    width = np.where(above > below, above - below, 1.0)
    between = inner - 1 + np.clip((values - below) / width, 0.0, 1.0)
    found = np.where(high > low, (low + high - 1) / 2.0, between)
    return np.where(values > quantiles[-1], 100.0, found)


@lru_cache(maxsize=64)
def _as_array(quantiles: tuple[float, ...]) -> tuple[Floats, bool]:
    """Returns the quantiles as an array, and whether they are all different."""
    array = np.asarray(quantiles)
    return array, bool((np.diff(array) > 0).all())
