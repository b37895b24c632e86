"""Thresholds on the side on which the library has them, as its predictions show."""

import numpy as np

from chainzrule.training.adopt.graph import opened
from chainzrule.training.adopt.sides import settle_sides
from chainzrule.training.adopt.source import Source
from tests.training.adopt.graphs import model, source_of

# The library's thresholds are a little below what float32 makes of them.
EXACT = np.array([0.1, 0.7, 0.3])
VALUES = EXACT.astype(np.float32)
X = np.repeat(VALUES[:, None], 3, axis=1)[[0, 1, 2, 0]]
X = np.concatenate([X, np.random.default_rng(0).normal(size=(20, 3))]).astype(np.float32)


def stumps(scaled: bool = False) -> Source:
    """Three trees, which split the columns 0, 1 and 0."""
    name = "s" if scaled else "x"
    body = (
        f"{'s = Mul (x, two) ' if scaled else ''}"
        "y = ai.onnx.ml.TreeEnsembleRegressor <nodes_treeids = [0, 0, 0, 1, 1, 1, 2, 2, 2], "
        "nodes_nodeids = [0, 1, 2, 0, 1, 2, 0, 1, 2], nodes_featureids = [0, 0, 0, 1, 0, 0, 0, 0, 0], "
        'nodes_modes = ["BRANCH_LEQ", "LEAF", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"], '
        f"nodes_values = [{', '.join(f'{value * (2 if scaled else 1):.9e}, 0.0, 0.0' for value in VALUES)}], "
        "nodes_truenodeids = [1, 0, 0, 1, 0, 0, 1, 0, 0], nodes_falsenodeids = [2, 0, 0, 2, 0, 0, 2, 0, 0], "
        "target_treeids = [0, 0, 1, 1, 2, 2], target_nodeids = [1, 2, 1, 2, 1, 2], target_ids = [0, 0, 0, 0, 0, 0], "
        f"target_weights = [0.0, 1.0, 0.0, 10.0, 0.0, 100.0], n_targets = 1> ({name})"
    )
    constants = {"two": np.full(1, 2, np.float32)} if scaled else {}
    return source_of(model(body, "float[batch,3] x", "float[batch,1] y", constants))


def library(x: np.ndarray) -> np.ndarray:
    wide = x.astype(np.float64)
    return (wide[:, 0] > EXACT[0]) + 10.0 * (wide[:, 1] > EXACT[1]) + 100.0 * (wide[:, 0] > EXACT[2])


def wrong(source: Source) -> np.ndarray:
    return np.flatnonzero(np.abs(opened(source.graph).run(X)["answer"][:, 0] - library(X)) > 1e-5)


def test_rows_whose_values_equal_a_threshold_come_to_the_librarys_side() -> None:
    for scaled in (False, True):
        source = stumps(scaled)
        assert len(wrong(source)) >= 2
        found, moved = settle_sides(source, X, wrong(source), lambda tried: float(len(wrong(tried))))
        assert not len(wrong(found))
        assert 1 <= moved <= 3
        assert len(wrong(source)) >= 2  # which is left as it was


def test_thresholds_that_are_right_stay() -> None:
    source = stumps()
    found, moved = settle_sides(source, X, np.arange(len(X)), lambda tried: 5.0)
    assert moved == 0
    assert found is source
