"""A bounds graph opens with an interface, and is held to golden rows where there are any."""

from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.errors import ArtifactError
from chainzrule.service.runtime.bounds import BoundsGraph, Boxes, golden_bounds
from tests.artifacts import BINARY, CLASSIFIER, REGRESSION, Toy, tensor
from tests.service.serving.test_certify import bounded


@pytest.fixture(scope="module")
def toy() -> Toy:
    return bounded(CLASSIFIER)


def opened(toy: Toy, interface: Toy | None = None, golden: bool = True) -> BoundsGraph:
    card = toy.card()
    return BoundsGraph(
        (interface or toy).card(), toy.columns[2], toy.graphs["bounds"], 1, card.golden if golden else None
    )


def test_without_golden_rows_it_opens_by_the_interface_alone(toy: Toy) -> None:
    wrong = replace(toy, bounds=tensor(np.zeros((4, 2, 3)))).with_graph("bounds", toy.graphs["bounds"])
    graph = opened(wrong, golden=False)
    rows = toy.rows(5)
    found = graph.run(Boxes(rows, rows, np.zeros(5, np.int64)))
    np.testing.assert_allclose(found.lower, toy.scores(rows), atol=1e-4)
    np.testing.assert_allclose(found.upper, toy.scores(rows), atol=1e-4)
    assert (found.lower <= toy.scores(rows)).all()
    assert (found.upper >= toy.scores(rows)).all()
    assert graph.open() is graph.open()


@pytest.mark.parametrize(("off", "accepted"), [(0.5e-3, True), (2e-3, False)])
def test_golden_bounds_are_reproduced_within_a_tolerance(toy: Toy, off: float, accepted: bool) -> None:
    features = toy.rows(4, seed=toy.seed + 100).astype(np.float32)
    expected = golden_bounds(opened(toy).open(), features, toy.columns[2])
    expected[1, 0, 2] += off * np.abs(expected).max()
    other = replace(toy, bounds=tensor(expected)).with_graph("bounds", toy.graphs["bounds"])
    if accepted:
        opened(other).open()
    else:
        with pytest.raises(ArtifactError, match=r"bounds\.onnx: does not reproduce the golden rows' bounds"):
            opened(other).open()


@pytest.mark.parametrize("interface", [BINARY, REGRESSION], ids=lambda toy: toy.name)
def test_a_graph_of_another_interface_is_refused(toy: Toy, interface: Toy) -> None:
    with pytest.raises(ArtifactError, match="of the card's shapes"):
        opened(toy, interface, golden=False).open()


def test_bounds_that_are_all_nought_are_reproduced() -> None:
    flat = replace(CLASSIFIER, weights=np.zeros((3, 2)), bias=np.zeros(3))
    features = flat.rows(4, seed=flat.seed + 100).astype(np.float32)
    found = golden_bounds(opened(bounded(flat), golden=False).open(), features, flat.columns[2])
    assert (found.astype(np.float32) == 0).all()
    opened(bounded(flat)).open()
