"""Collects trees as the attributes of ONNX's operator TreeEnsembleRegressor."""

from collections.abc import Sequence
from typing import Any

NODES = (
    "treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids", "missing_value_tracks_true",
)  # fmt: skip
LEAVES = ("treeids", "nodeids", "ids", "weights")


class Ensemble:
    """Holds trees, of which one is added node by node; a node is known by its number in its tree."""

    def __init__(self, base: Sequence[float]) -> None:
        """Starts with a tree of one leaf, which adds `base` to each target's sum.

        ONNX Runtime leaves an operator's own base out for a target to which no leaf of a row adds anything.
        """
        self._targets = len(base)
        self._nodes: dict[str, list[Any]] = {name: [] for name in NODES}
        self._leaves: dict[str, list[Any]] = {name: [] for name in LEAVES}
        self._tree = -1
        self._start = 0
        self.begin()
        self.leaf([(target, float(value)) for target, value in enumerate(base)])

    @property
    def attributes(self) -> dict[str, Any]:
        """Returns the operator's attributes."""
        found = {f"nodes_{name}": values for name, values in self._nodes.items()}
        found |= {f"target_{name}": values for name, values in self._leaves.items()}
        return found | {"n_targets": self._targets}

    def begin(self) -> None:
        """Begins the next tree."""
        self._tree += 1
        self._start = len(self._nodes["treeids"])

    def branch(self, column: int, mode: str, value: float, gap_is_true: bool) -> int:
        """Adds a question about a column, whose branches are still to be joined to it, and returns its number."""
        return self._add(column, mode, value, gap_is_true)

    def leaf(self, weights: Sequence[tuple[int, float]]) -> int:
        """Adds a leaf with what it adds to targets, and returns its number."""
        number = self._add(0, "LEAF", 0.0, False)
        for target, weight in weights:
            for held, part in zip(self._leaves.values(), (self._tree, number, target, weight), strict=True):
                held.append(part)
        return number

    def join(self, number: int, true: int, false: int) -> None:
        """Joins both branches to a question."""
        self._nodes["truenodeids"][self._start + number] = true
        self._nodes["falsenodeids"][self._start + number] = false

    def _add(self, column: int, mode: str, value: float, gap_is_true: bool) -> int:
        number = len(self._nodes["treeids"]) - self._start
        parts = (self._tree, number, column, mode, value, 0, 0, int(gap_is_true))
        for held, part in zip(self._nodes.values(), parts, strict=True):
            held.append(part)
        return number
