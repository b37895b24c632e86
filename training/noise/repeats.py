"""Measures the noise of columns from repeated measurements of the same samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from chainzrule.training.errors import ConfigError

Floats = NDArray[np.float64]

FEWEST = 10  # degrees of freedom below which nothing is said: a standard deviation would be off by a quarter
ROUNDING = 1e-13  # differences below this share of a column's size are rounding
LEVEL = 0.01  # the chance, over all columns or pairs, that something is found where there is nothing


@dataclass(frozen=True)
class Repeats:
    """Holds what repeats say about columns' noise.

    Attributes:
        columns: those that could be judged.
        sd: (n,) standard deviation of their noise within samples.
        freedom: (n) how many degrees of freedom each rests on; its relative error is 1 / sqrt(2 x freedom).
        correlation: (n, n) of their noise, in each group shrunk towards 0 as far as its own error asks for.
        groups: columns whose noise moves together beyond chance.
        unjudged: the columns that could not be judged, each with the reason.
        notes: what the repeats say against independent normal noise of one size.
    """

    columns: tuple[str, ...]
    sd: Floats
    freedom: tuple[int, ...]
    correlation: Floats
    groups: tuple[tuple[str, ...], ...]
    unjudged: dict[str, str]
    notes: tuple[str, ...]


def measure(frame: pd.DataFrame, sample: Sequence[str]) -> Repeats:
    """Returns the noise within samples: the covariance pooled over all samples that were measured more than once.

    Args:
        frame: one row for each measurement.
        sample: the columns that say which sample a measurement is of.

    Raises:
        ConfigError: a column is not there, or there are too few repeats to say anything.
    """
    number = _numbered(frame, sample)
    values, unjudged = _numbers(frame, sample)
    for name, column in list(values.items()):
        if reason := _reason(column, number):
            unjudged[name] = reason
            del values[name]
    if not values:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in unjudged.items())
        raise ConfigError(f"no column can be judged ({reasons or 'there is none'})")
    names, columns = tuple(values), list(values.values())
    alone = [_alone(column, number) for column in columns]
    raw, shared = _correlations(columns, number)
    together = list(_together(raw, shared))
    for at in together:
        block = np.ix_(at, at)
        raw[block] = _possible(_shrunk(raw[block], int(shared[block].min())))
    return Repeats(
        columns=names,
        sd=np.array([sd for sd, _ in alone]),
        freedom=tuple(freedom for _, freedom in alone),
        correlation=raw,
        groups=tuple(tuple(names[at] for at in group) for group in together),
        unjudged=unjudged,
        notes=tuple(note for name, column in values.items() for note in _notes(name, column, number, len(names))),
    )


def _numbered(frame: pd.DataFrame, sample: Sequence[str]) -> NDArray[np.int64]:
    """Returns (rows,) the number of the sample that each row is of."""
    for name in sample:
        if name not in frame.columns:
            known = ", ".join(map(str, frame.columns))
            raise ConfigError(f"--group {name}: the file has no such column; it has {known}")
    if frame[list(sample)].isna().any(axis=None):
        raise ConfigError("a row does not say which sample it is of; fill in the columns of --group, or drop the row")
    return np.asarray(frame.groupby(list(sample), sort=False).ngroup(), np.int64)


def _numbers(frame: pd.DataFrame, sample: Sequence[str]) -> tuple[dict[str, Floats], dict[str, str]]:
    """Returns the columns that may be measurements, and why others are not."""
    values: dict[str, Floats] = {}
    unjudged: dict[str, str] = {}
    for name in frame.columns:
        if name in sample:
            continue
        if not pd.api.types.is_numeric_dtype(frame[name]) or pd.api.types.is_bool_dtype(frame[name]):
            unjudged[str(name)] = "has no numbers"
        else:
            values[str(name)] = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return values, unjudged


def config_of(repeats: Repeats) -> dict[str, Any]:
    """Returns the sections `noise` and `noise_law` of a configuration that declare what was measured."""
    law: dict[str, Any] = {"measured": list(repeats.columns)}
    places = {name: at for at, name in enumerate(repeats.columns)}
    groups = []
    for group in repeats.groups:
        at = [places[name] for name in group]
        rows = np.round(repeats.correlation[np.ix_(at, at)], 6).tolist()
        groups.append({"columns": list(group), "correlation": rows})
    if groups:
        law["groups"] = groups
    sd = (float(f"{value:.6g}") for value in repeats.sd)
    return {"noise": dict(zip(repeats.columns, sd, strict=True)), "noise_law": law}


def _reason(column: Floats, number: NDArray[np.int64]) -> str | None:
    """Returns why a column's noise cannot be judged; None where it can."""
    known = ~np.isnan(column)
    if np.isinf(column[known]).any():
        return "has an infinite value"
    freedom = int(known.sum()) - len(np.unique(number[known]))
    if freedom < FEWEST:
        return f"leaves {freedom} degrees of freedom, at least {FEWEST} are needed"
    if _counts_repeats(column[known], number[known]):
        return "numbers the repeats"
    sd, _ = _alone(column, number)
    if sd == 0.0:
        return "never differs within a sample: it is no repeated measurement, or it is rounded too coarsely"
    if not float(np.finfo(np.float32).tiny) <= sd <= float(np.finfo(np.float32).max):
        return "has noise of a size that no 32-bit float has; change its unit"
    return None


def _counts_repeats(column: Floats, number: NDArray[np.int64]) -> bool:
    """Returns whether a column only counts a sample's measurements, by the same whole numbers in every sample."""
    if (column != np.round(column)).any():
        return False
    counts = [np.sort(column[number == one]) for one in np.unique(number)]
    longest = max(counts, key=len)
    return bool((np.diff(longest) == 1.0).all()) and all(np.array_equal(one, longest[: len(one)]) for one in counts)


def _alone(column: Floats, number: NDArray[np.int64]) -> tuple[float, int]:
    """Returns the standard deviation of one column's noise, and its degrees of freedom, from the rows that have it."""
    known = ~np.isnan(column)
    size = float(np.abs(column[known]).max()) or 1.0
    residual, freedom = _within(_scaled(column[known])[:, None], number[known])
    sd = float(np.sqrt(np.square(residual).sum() / freedom))
    return (0.0 if sd < ROUNDING else sd * size), freedom


def _scaled(values: Floats) -> Floats:
    """Returns values, (rows,), over the largest of them: squares of very large or small ones would leave the floats."""
    return values / (float(np.abs(values).max()) or 1.0)


def _correlations(columns: Sequence[Floats], number: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """Returns the correlation of each pair of columns and its degrees of freedom, from the rows that have both."""
    count = len(columns)
    raw, shared = np.eye(count), np.zeros((count, count), np.int64)
    for one in range(count):
        for other in range(one):
            known = ~np.isnan(columns[one]) & ~np.isnan(columns[other])
            if known.sum() < 2:
                continue
            pair = np.column_stack(
                [columns[at][known] / (np.abs(columns[at][known]).max() or 1.0) for at in (one, other)]
            )
            residual, freedom = _within(pair, number[known])
            size = np.sqrt(np.square(residual).sum(axis=0))
            if freedom >= FEWEST and (size > ROUNDING * np.sqrt(freedom)).all():
                raw[one, other] = raw[other, one] = float(residual[:, 0] @ residual[:, 1]) / float(size[0] * size[1])
                shared[one, other] = shared[other, one] = freedom
    np.fill_diagonal(shared, shared.max())
    return raw, shared


def _possible(correlation: Floats) -> Floats:
    """Returns the correlation without negative eigenvalues, which pairs measured in different rows can give."""
    sizes, directions = np.linalg.eigh(correlation)
    found = (directions * np.maximum(sizes, 0.0)) @ directions.T
    unit = np.sqrt(np.diagonal(found))
    found = np.clip(found / np.outer(unit, unit), -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return np.asarray((found + found.T) / 2.0)


def _within(values: Floats, number: NDArray[np.int64]) -> tuple[Floats, int]:
    """Returns (rows, n) distances from the samples' means, and the degrees of freedom that are left."""
    _, place, count = np.unique(number, return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(place, column) for column in values.T], axis=1) / count[:, None]
    return values - means[place], len(values) - len(count)


def _shrunk(raw: Floats, freedom: int) -> Floats:
    """Returns a correlation shrunk towards independence by the share of it that its own error explains.

    That is the estimate of Schaefer and Strimmer (2005), with the large-sample variance of a correlation.
    """
    off = ~np.eye(len(raw), dtype=np.bool_)
    size = float(np.square(raw[off]).sum())
    error = float(np.square(1.0 - np.square(raw[off])).sum()) / freedom
    share = min(1.0, error / size) if size > 0 else 0.0
    found = raw * (1.0 - share)
    np.fill_diagonal(found, 1.0)
    return np.clip((found + found.T) / 2.0, -1.0, 1.0)


def _together(raw: Floats, freedom: NDArray[np.int64]) -> Iterator[list[int]]:
    """Yields the places of columns that are correlated beyond chance, directly or by way of others."""
    count = len(raw)
    if count < 2:
        return
    level = LEVEL / (count * (count - 1) / 2)
    limit = np.tanh(stats.norm.isf(level / 2) / np.sqrt(np.maximum(freedom - 2, 1)))
    linked = (np.abs(raw) > limit) & (freedom >= FEWEST)
    left = set(range(count))
    while left:
        found, edge = set(), {min(left)}
        while edge:
            found |= edge
            edge = {int(to) for at in edge for to in np.flatnonzero(linked[at])} - found
        left -= found
        if len(found) > 1:
            yield sorted(found)


def _notes(name: str, column: Floats, number: NDArray[np.int64], columns: int) -> Iterator[str]:
    known = ~np.isnan(column)
    values = _scaled(column[known])
    _, place, count = np.unique(number[known], return_inverse=True, return_counts=True)
    residual = _within(values[:, None], number[known])[0][:, 0]
    # A distance from the mean of n repeats is too small by sqrt((n - 1) / n).
    several = count[place] > 1
    seen = residual[several] / np.sqrt((count - 1.0) / count)[place][several]
    excess = float(stats.kurtosis(seen, bias=False))
    if len(seen) > 20 and stats.kurtosistest(seen).pvalue < LEVEL / columns and excess > 0:
        yield (
            f"'{name}' has heavier tails than normal noise (excess kurtosis {excess:.1f}); declare "
            f'law = "t" with degrees_of_freedom = {max(3, round(4 + 6 / excess))} in noise_law'
        )
    mean = np.bincount(place, values) / count
    spread = np.sqrt(np.bincount(place, np.square(residual)) / np.maximum(count - 1, 1))
    told = (count > 1) & (mean != 0)
    if told.sum() >= 10 and np.ptp(np.abs(mean[told])) > 0 and np.ptp(spread[told]) > 0:
        rise = stats.spearmanr(np.abs(mean[told]), spread[told])
        if rise.pvalue < LEVEL / columns and rise.statistic > 0:
            share = float(np.sqrt(np.mean(np.square(spread[told] / mean[told]))))
            yield f"'{name}' has noise that grows with the value; declare a share instead, such as {share:.1%}"
