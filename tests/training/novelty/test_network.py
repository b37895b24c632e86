"""Activations of some rows are those rows of all of them."""

import numpy as np

from chainzrule.training.novelty.network import Activations


def test_some_rows_are_taken_of_every_part() -> None:
    parts = [np.arange(12.0).reshape(4, 3) + 100.0 * part for part in range(4)]
    taken = Activations(*parts).take(np.array([2, 0]))
    for part, found in zip(parts, taken, strict=True):
        np.testing.assert_array_equal(found, part[[2, 0]])
