"""Predictions that were not measured say what measured ones say, but for their stability."""

import numpy as np
import pytest

from chainzrule.service.serving.runs import inputs_of
from tests.artifacts import BINARY, CUBIC, FAMILIAR, REGRESSION, Toy, probed
from tests.runs import runs_of


@pytest.mark.parametrize("toy", [CUBIC, BINARY, REGRESSION, FAMILIAR], ids=lambda toy: toy.name)
def test_what_is_not_measured_says_the_same_without_stability(toy: Toy) -> None:
    rows = toy.rows(4).astype(np.float32)
    rows[1, 0] = 11.0  # out of range
    runs = runs_of(probed(toy, "finite_difference"))
    measured, found = runs.predict(inputs_of(rows, 1.0, True)), runs.answer(inputs_of(rows, 1.0, True))
    assert len(found) == 4
    assert found.label.tolist() == measured.label.tolist()
    assert found.value.tolist() == measured.value.tolist()
    np.testing.assert_array_equal(found.scores, measured.scores)
    assert (found.finite.tolist(), found.all_finite) == ([True] * 4, True)
    assert list(found.listed()) == [(*row[:6], None) for row in measured.listed()]
    assert [bool(outside) for *_, outside, _ in found.listed()] == [False, True, False, False]
    assert found.observed() is None


def test_a_row_that_is_not_finite_is_named_though_nothing_is_measured() -> None:
    rows = CUBIC.rows(3).astype(np.float32)
    rows[1] = 1e20
    runs = runs_of(probed(CUBIC, "finite_difference"))
    found = runs.answer(inputs_of(rows, 1.0, True))
    assert (found.finite.tolist(), found.all_finite) == ([True, False, True], False)
    assert found.label.tolist()[::2] == runs.answer(inputs_of(rows[::2], 1.0, True)).label.tolist()
