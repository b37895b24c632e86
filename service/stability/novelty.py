"""Ranks the novelty of rows among the card's held-out rows, and names the features that make a row novel.

The novelty itself is computed in the model's graph, which training writes.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Distribution, Novelty
from chainzrule.service.stability.lone.reference import quantile
from chainzrule.service.stability.reference import distribution, percentiles

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]

# A row's novelty in plain Python: its percentile among the held-out rows, and the features that make the row novel
# (none where it is not; None where the model cannot say which).
ListedNovelty = tuple[float, list[str] | None]

NAMED = 5  # the most features that are named
SHARE = 0.5  # of the largest deviation, from which a further feature is named


def make_novelty(surprise: NDArray[np.floating], out_of_fold: bool) -> Novelty:
    """Returns the card's part about the novelty of held-out rows.

    Args:
        surprise: (rows,) the graph's output `novelty`.
        out_of_fold: whether the rows were judged by models that were fitted without them.
    """
    return Novelty(rows=len(surprise), out_of_fold=out_of_fold, surprise=distribution(surprise))


def novel_above(novelty: Novelty, percentile: float) -> float:
    """Returns the novelty above which rows are novel: that of a percentile of the held-out rows."""
    return quantile(novelty.surprise, percentile)


class Familiar:
    """Holds what a model version knows: how unlike each other rows of the usual kind are, and from when on it is much.

    Attributes:
        known: the distribution of the novelty over the held-out rows.
        limit: the novelty above which a row is novel.
    """

    def __init__(self, novelty: Novelty, percentile: float, column_features: Sequence[str]) -> None:
        """Sets the limit.

        Args:
            novelty: the card's.
            percentile: that of the held-out rows above which a row is novel.
            column_features: (D,) the feature that each column belongs to.
        """
        self.known: Distribution = novelty.surprise
        self.limit = novel_above(novelty, percentile)
        self._features = column_features

    def listed(self, percentile: float, novel: bool, deviations: Matrix | None) -> ListedNovelty:
        """Returns one row's novelty in plain Python.

        Args:
            percentile: among the held-out rows.
            novel: whether the row is novel.
            deviations: (D,) how far each column lies from what the others let expect, in standard deviations.
        """
        if deviations is None:
            return percentile, None
        return percentile, self._named(deviations) if novel else []

    def _named(self, deviations: Matrix) -> list[str]:
        """Returns the features that do not fit the others, the worst first."""
        sizes = np.abs(deviations)
        order = np.argsort(-sizes, kind="stable")
        far = order[sizes[order] >= SHARE * sizes.max()].tolist()
        return list(dict.fromkeys(self._features[column] for column in far))[:NAMED]


class Novelties:
    """Holds the novelty of a run's rows.

    Attributes:
        surprise: (rows,) float32, the graph's output `novelty`.
    """

    def __init__(self, familiar: Familiar, surprise: Matrix, deviations: Matrix | None) -> None:
        """Takes the graph's outputs, (rows,) and (rows, D)."""
        self.surprise = surprise
        self._familiar = familiar
        self._deviations = deviations

    @cached_property
    def percentile(self) -> Floats:
        """Returns the (rows,) percentile of each row's novelty among the held-out rows."""
        return percentiles(self.surprise.astype(np.float64), self._familiar.known)

    @cached_property
    def novel(self) -> NDArray[np.bool_]:
        """Returns (rows,) whether a row is novel."""
        return np.asarray(self.surprise > self._familiar.limit)

    def listed(self) -> Iterable[ListedNovelty]:
        """Returns every row in plain Python."""
        rows = zip(self.percentile.tolist(), self.novel.tolist(), strict=True)
        for row, (percentile, novel) in enumerate(rows):
            yield self._familiar.listed(percentile, novel, None if self._deviations is None else self._deviations[row])
