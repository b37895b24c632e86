import base64

import numpy as np
import torch

from chainzrule.service.artifact.card import Role
from chainzrule.service.artifact.features import Feature, Layout, NumericFeature
from chainzrule.service.artifact.tensor import Tensor
from chainzrule.training.columns import Columns
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.novelty.novelty import fit_novelty
from chainzrule.training.publish.golden import golden, synthetic_rows

Exported = tuple[FittedModel, dict[Role, bytes]]


def values(tensor: Tensor) -> np.ndarray:
    return np.frombuffer(base64.b64decode(tensor.data), dtype="<f4").reshape(tensor.shape)


def test_rows_lie_in_the_training_range_and_hold_one_level_a_category(features: tuple[Feature, ...]) -> None:
    columns = Columns.of(features, None)
    rows = synthetic_rows(columns, 500, seed=1)
    assert rows.dtype == np.float32
    assert not columns.out_of_range(rows).any()
    np.testing.assert_array_equal(rows[:, 2:5].sum(axis=1), 1)
    assert set(rows[:, 2:5].argmax(axis=1)) == {0, 1, 2}


def test_bounds_that_float32_rounds_outwards_are_kept() -> None:
    feature = NumericFeature(name="x", mean=0.1, std=1.0, low=0.1, high=0.1, noise=0)
    columns = Columns.of([feature], Layout(height=2, width=2))
    assert not columns.out_of_range(synthetic_rows(columns, 4, seed=0)).any()


def test_golden_outputs_are_the_definitions(classifier: Exported) -> None:
    model, _ = classifier
    found = golden(model, seed=5)
    x = torch.from_numpy(values(found.features).copy())
    np.testing.assert_allclose(values(found.scores), model.scores(x), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(values(found.jacobian), model.jacobian(x), rtol=1e-6)
    np.testing.assert_allclose(values(found.covariance), model.covariance(x), rtol=1e-6, atol=1e-9)


def test_golden_novelty_is_the_definitions(classifier: Exported) -> None:
    model, _ = classifier
    rows = synthetic_rows(model.columns, 100, seed=9)
    novelty = fit_novelty(rows, None, model.columns, None, seed=1)
    assert novelty is not None
    found = golden(model, seed=5, novelty=novelty)
    x = values(found.features)
    assert found.novelty is not None
    assert found.deviations is not None
    np.testing.assert_allclose(values(found.novelty)[:, 0], novelty.score(x), rtol=1e-6)
    np.testing.assert_allclose(values(found.deviations), novelty.deviations(x), rtol=1e-5, atol=1e-6)
    assert golden(model, seed=5).novelty is None


def test_the_seed_decides_the_rows(classifier: Exported) -> None:
    assert golden(classifier[0], 1) == golden(classifier[0], 1)
    assert golden(classifier[0], 1).features != golden(classifier[0], 2).features
    assert golden(classifier[0], 1).features.shape == (4, 7)
