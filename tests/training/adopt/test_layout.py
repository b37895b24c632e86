"""Where the rows of a batch lie in a tensor, and what becomes of them."""

import numpy as np
import pytest

from chainzrule.training.adopt.layout import Layout, layouts
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import model


def test_the_rows_may_lie_anywhere_and_be_merged_with_others() -> None:
    plain = Layout((1, 6))
    assert (plain.rest, plain.is_plain, plain.merged, plain.outside) == ((6,), True, (), 1)
    moved = Layout((14, 1, 8), 1)
    assert (moved.rest, moved.is_plain, moved.outside) == ((14, 8), False, 14)
    heads = Layout((14, 2, 4), 1, behind=2)
    assert (heads.rest, heads.merged, heads.outside) == ((14, 2, 4), (2,), 14)
    joined = Layout((14, 8), 0, before=14)
    assert (joined.rest, joined.outside) == ((14, 8), 14)


def test_places_are_counted_without_the_rows() -> None:
    heads = Layout((14, 2, 4), 1, behind=2)
    assert [heads.place(axis) for axis in (0, 2, -1)] == [0, 2, 2]
    assert Layout((14, 1, 8), 1).place(-1) == 1
    with pytest.raises(AdoptionError, match="an operator across rows of the batch has no derivative here"):
        heads.place(-2)


def test_a_reshape_keeps_the_rows_in_order() -> None:
    moved = Layout((14, 1, 8), 1)
    assert moved.reshaped((14, 2, 4), 1) == Layout((14, 2, 4), 1, behind=2)
    assert moved.reshaped((14, 8), 0) == Layout((14, 8), 0, before=14)
    assert moved.reshaped((2, 7, 1, 8), 2) == Layout((2, 7, 1, 8), 2)
    assert moved.reshaped((4, 7, 8), 1) is None  # four do not go into fourteen


def test_layouts_follow_the_graph() -> None:
    graph = model("r = Reshape (features, a) t = Transpose (r) u = Tanh (t)", outputs="float[k,n] u",
                  constants={"a": np.array([-1, 1])})  # fmt: skip
    shapes = {"features": ((1, 3), 0), "r": ((3, 1), 0), "t": ((1, 3), 1), "u": ((1, 3), 1)}
    found = layouts(graph.graph.node, shapes, "features")
    assert found["r"] == Layout((3, 1), 0, behind=3)
    assert found["t"] == found["u"] == Layout((1, 3), 1, behind=3)
