"""Makes the noise that a request declares in place of the card's: a better instrument, or a worse day."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from chainzrule.service.errors import InvalidInput
from chainzrule.service.naming import hint, listed, shown
from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.stability.noise import Floats, Indices, Noise

LARGEST = 512  # features with a covariance
SLACK = 1e-6


class AskedCovariance(NamedTuple):
    """Holds the covariance of some features' noise, as a request gives it."""

    features: Sequence[str]
    covariance: Sequence[Sequence[float]]


AskedNoise = Mapping[str, float] | AskedCovariance


def asked_noise(asked: AskedNoise, rows: RowEncoder) -> Noise:
    """Returns the card's noise with that of the named features replaced; the others keep theirs.

    Raises:
        InvalidInput: a feature is unknown or has levels, or the covariance is none.
    """
    if isinstance(asked, AskedCovariance):
        return rows.errors.with_covariance(*_covariance(asked, rows))
    columns = [_columns(name, rows) for name in asked]
    repeats = [len(found) for found in columns]
    return rows.errors.with_sd(np.concatenate(columns), np.repeat(np.array(list(asked.values())), repeats))


def _covariance(asked: AskedCovariance, rows: RowEncoder) -> tuple[Indices, Floats]:
    count, place = len(asked.features), "noise.covariance"
    if count > LARGEST:
        raise InvalidInput(f"names more than {LARGEST} features", "noise.features")
    if len(set(asked.features)) != count:
        raise InvalidInput("names a feature twice", "noise.features")
    columns = [_columns(name, rows) for name in asked.features]
    if any(len(found) != 1 for found in columns):
        raise InvalidInput("names all pixels at once, which have no covariance here", "noise.features")
    if len(asked.covariance) != count or any(len(row) != count for row in asked.covariance):
        raise InvalidInput(f"must have {count} rows of {count} numbers, one for each of the features", place)
    matrix = np.array(asked.covariance, dtype=np.float64)
    if (np.diagonal(matrix) < 0).any():
        raise InvalidInput("has a negative variance on the diagonal", place)
    sd = np.sqrt(np.diagonal(matrix))
    # Features have units of their own, so that only correlations can be compared with each other.
    correlation = matrix / np.outer(sd, sd).clip(np.finfo(np.float64).tiny)
    if np.abs(correlation - correlation.T).max() > SLACK:
        raise InvalidInput("must be symmetric", place)
    if np.abs(matrix[sd == 0]).any() or np.linalg.eigvalsh(correlation)[0] < -SLACK:
        raise InvalidInput("has a negative eigenvalue, which no covariance has", place)
    return np.concatenate(columns), matrix


def _columns(name: str, rows: RowEncoder) -> Indices:
    """Returns the columns of a feature; an image's one feature stands for all pixels."""
    if name == rows.pixel:
        return np.arange(rows.width)
    if name not in rows.start:
        raise InvalidInput(
            f"has {shown([name], 1)}, which is no feature of the model{hint(name, rows.names)}; the features are "
            f"{listed(rows.names)}",
            "noise",
        )
    if name not in rows.ranges.names:
        raise InvalidInput("has levels, whose noise has no size; it stays as the card says", f"noise.{name}")
    return np.array([rows.start[name]])
