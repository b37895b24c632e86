"""What a network makes of rows: what the definition of its scores goes through."""

import numpy as np
import pytest
import torch

from chainzrule.training.nn.folded import fold
from chainzrule.training.nn.layers import PolynomialLayer
from chainzrule.training.novelty.activations import CHUNK, activations
from chainzrule.training.publish.golden import synthetic_rows
from tests.training.conftest import Exported


def test_scores_and_probabilities_are_those_of_the_definition(exported: Exported) -> None:
    model, _ = exported
    x = synthetic_rows(model.columns, 20, seed=1)
    found, given = activations(fold(model), model.task, x), torch.from_numpy(x)
    np.testing.assert_allclose(found.scores, model.scores(given).numpy(), rtol=1e-6, atol=1e-6)
    shares = model.probabilities(given)
    expected = np.ones((20, 1)) if shares is None else shares.numpy()
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-6, atol=1e-9)


def test_the_first_is_what_enters_the_first_polynomials(exported: Exported) -> None:
    model, _ = exported
    x = synthetic_rows(model.columns, 20, seed=1)
    layer = next(iter(model.network.layers))
    assert isinstance(layer, PolynomialLayer)
    with torch.no_grad():
        expected = layer.linear(torch.from_numpy(model.columns.standardise(x)).float()).numpy()
    np.testing.assert_allclose(activations(fold(model), model.task, x).first, expected, rtol=1e-3, atol=1e-3)


def test_the_last_gives_the_scores(exported: Exported) -> None:
    model, _ = exported
    folded = fold(model)
    found = activations(folded, model.task, synthetic_rows(model.columns, 20, seed=1))
    expected = found.last @ folded.output_weight.numpy().T + folded.output_bias.numpy()
    np.testing.assert_allclose(found.scores, expected)


@pytest.mark.parametrize("rows", [1, CHUNK + 1])
def test_many_rows_are_those_of_each(classifier: Exported, rows: int) -> None:
    model, _ = classifier
    x = np.repeat(synthetic_rows(model.columns, 1, seed=1), rows, axis=0)
    found = activations(fold(model), model.task, x)
    assert [len(part) for part in found] == [rows] * 4
    np.testing.assert_allclose(found.last[-1], found.last[0])
