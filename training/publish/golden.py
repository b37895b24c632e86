"""Draws golden rows: synthetic inputs with the outputs that any sound copy of the artifact must give."""

import numpy as np
import torch
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Golden
from chainzrule.service.artifact.store import graph_file
from chainzrule.service.runtime.bounds import golden_bounds
from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.service.runtime.tensors import to_tensor
from chainzrule.training.columns import Columns
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.novelty.novelty import Novelty

ROWS = 4


def golden(model: FittedModel, seed: int, bounds: bytes | None = None, novelty: Novelty | None = None) -> Golden:
    """Returns golden rows with their outputs; their `bounds` come from the exported graph alone.

    The expected outputs are those of the definition in float64, not those of the exported graph: a graph is then held
    against the mathematics rather than against itself, and no one machine's rounding becomes the norm.
    """
    features = synthetic_rows(model.columns, ROWS, seed)
    x = torch.from_numpy(features)
    shift = model.mean_shift(x)
    deviations = None if novelty is None else novelty.deviations(features)
    return Golden(
        features=to_tensor(features),
        scores=to_tensor(model.scores(x).numpy()),
        covariance=to_tensor(model.covariance(x).numpy()),
        jacobian=to_tensor(model.jacobian(x).numpy()),
        mean_shift=None if shift is None else to_tensor(shift.numpy()),
        novelty=None if novelty is None else to_tensor(novelty.score(features)[:, None]),
        deviations=None if deviations is None else to_tensor(deviations),
        bounds=None if bounds is None else to_tensor(_bounds(model, features, bounds)),
    )


def synthetic_rows(columns: Columns, rows: int, seed: int) -> NDArray[np.float32]:
    """Returns (rows, D) normal draws around every column's mean, within its range; one-hot blocks get random levels."""
    random = np.random.default_rng(seed)
    draws = columns.centre + columns.spread * random.standard_normal((rows, columns.width))
    if columns.bends is not None:  # back from the scale that a column is read on
        bent = columns.bends.index
        draws[:, bent] = columns.bends.start[bent] + np.sinh(draws[:, bent]) / columns.bends.steepness[bent]
    features = np.clip(draws, columns.low, columns.high)
    for block in columns.blocks:
        level = random.integers(block.stop - block.start, size=rows)
        features[:, block] = np.eye(block.stop - block.start)[level]
    # Casting a bound to float32 may round it outside the range.
    low, high = columns.low.astype(np.float32), columns.high.astype(np.float32)
    return np.clip(features.astype(np.float32), low, high)


def has_bounds(model: FittedModel, seed: int, bounds: bytes) -> bool:
    """Returns whether the golden rows have finite bounds; a network may be too steep for any."""
    found = _bounds(model, synthetic_rows(model.columns, ROWS, seed), bounds)
    return bool((np.abs(found) <= np.finfo(np.float32).max).all())


def _bounds(model: FittedModel, features: NDArray[np.float32], bounds: bytes) -> NDArray[np.float64]:
    graph = Graph(bounds, graph_file("bounds"), Execution("cpu", threads=1))
    return golden_bounds(graph, features, model.columns.noise)
