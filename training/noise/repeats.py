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
LEVEL = 0.01  # the chance, over all columns or pairs, that something is found where there is nothing


@dataclass(frozen=True)
class Repeats:
    """Holds what repeats say about columns' noise.

    Attributes:
        columns: those that could be judged.
        sd: (n,) standard deviation of their noise within samples.
        freedom: how many degrees of freedom that rests on; its relative error is 1 / sqrt(2 x freedom).
        correlation: (n, n) of their noise, in each group shrunk towards 0 as far as its own error asks for.
        groups: columns whose noise moves together beyond chance.
        unjudged: the columns that could not be judged, each with the reason.
        notes: what the repeats say against independent normal noise of one size.
    """

    columns: tuple[str, ...]
    sd: Floats
    freedom: int
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
    whole = ~np.isnan(np.column_stack(list(values.values()))).any(axis=1)
    residual, freedom = _within(np.column_stack(list(values.values()))[whole], number[whole])
    if freedom < FEWEST:
        raise ConfigError(
            f"the repeats leave {freedom} degrees of freedom, at least {FEWEST} are needed: measure more samples twice "
            "or more, or fill the gaps"
        )
    covariance = residual.T @ residual / freedom
    sd = np.sqrt(np.diagonal(covariance))
    raw = covariance / np.outer(sd, sd)
    names, together = tuple(values), list(_together(raw, freedom))
    for at in together:
        raw[np.ix_(at, at)] = _shrunk(raw[np.ix_(at, at)], freedom)
    return Repeats(
        columns=names,
        sd=sd,
        freedom=freedom,
        correlation=raw,
        groups=tuple(tuple(names[at] for at in group) for group in together),
        unjudged=unjudged,
        notes=tuple(_notes(names, np.column_stack(list(values.values()))[whole], residual, number[whole])),
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
    residual, freedom = _within(column[known, None], number[known])
    if freedom < FEWEST:
        return f"leaves {freedom} degrees of freedom, at least {FEWEST} are needed"
    if not residual.any():
        return "never differs within a sample: it is no repeated measurement, or it is rounded too coarsely"
    return None


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


def _together(raw: Floats, freedom: int) -> Iterator[list[int]]:
    """Yields the places of columns that are correlated beyond chance, directly or by way of others."""
    count = len(raw)
    if count < 2 or freedom < 4:
        return
    level = LEVEL / (count * (count - 1) / 2)
    limit = float(np.tanh(stats.norm.isf(level / 2) / np.sqrt(freedom - 2)))
    linked = np.abs(raw) > limit
    left = set(range(count))
    while left:
        found, edge = set(), {min(left)}
        while edge:
            found |= edge
            edge = {int(to) for at in edge for to in np.flatnonzero(linked[at])} - found
        left -= found
        if len(found) > 1:
            yield sorted(found)


def _notes(names: Sequence[str], values: Floats, residual: Floats, number: NDArray[np.int64]) -> Iterator[str]:
    _, place, count = np.unique(number, return_inverse=True, return_counts=True)
    # A distance from the mean of n repeats is too small by sqrt((n - 1) / n).
    several = count[place] > 1
    full = residual / np.sqrt((count - 1.0) / count)[place][:, None].clip(1e-9)
    for at, name in enumerate(names):
        seen = full[several, at]
        excess = float(stats.kurtosis(seen, bias=False)) if len(seen) > 8 else 0.0
        if len(seen) > 20 and stats.kurtosistest(seen).pvalue < LEVEL / len(names) and excess > 0:
            yield (
                f"'{name}' has heavier tails than normal noise (excess kurtosis {excess:.1f}); declare "
                f'law = "t" with degrees_of_freedom = {max(3, round(4 + 6 / excess))} in noise_law'
            )
        mean = np.bincount(place, values[:, at]) / count
        size = np.sqrt(np.bincount(place, np.square(residual[:, at])) / np.maximum(count - 1, 1))
        told = (count > 1) & (mean != 0)
        if told.sum() >= 10:
            rise = stats.spearmanr(np.abs(mean[told]), size[told])
            if rise.pvalue < LEVEL / len(names) and rise.statistic > 0:
                share = float(np.sqrt(np.mean(np.square(size[told] / mean[told]))))
                yield f"'{name}' has noise that grows with the value; declare a share instead, such as {share:.1%}"
