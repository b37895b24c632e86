"""What the tests of measurement share."""

import numpy as np
import pytest

from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.noise import Noise
from chainzrule.training.data.dataset import Rows
from chainzrule.training.measure.outputs import Outputs, predict
from chainzrule.training.measure.simulation import Simulation, simulate
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.publish.golden import synthetic_rows
from tests.training.conftest import Exported

Predicted = tuple[FittedModel, Rows, Outputs]


def rows(model: FittedModel, count: int = 300) -> Rows:
    x = synthetic_rows(model.columns, count, seed=6)
    random = np.random.default_rng(0)
    if model.task == "regression":
        return Rows(x, random.normal(-200, 35, count).astype(np.float32))
    return Rows(x, random.integers(0, 3, count))


@pytest.fixture(scope="module")
def classified(classifier: Exported) -> Predicted:
    model = classifier[0]
    given = rows(model)
    return model, given, predict(model, given)


@pytest.fixture(scope="module")
def linear() -> Simulation:
    """A model of two labels and one feature that is linear: its flips are normal tails."""
    x = np.random.default_rng(0).normal(size=(300, 1)).astype(np.float32)

    def scores(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([rows, -rows], axis=1)

    flips, spread = simulate(link_of("classification", 2), scores, x, Noise(np.array([0.1])), seed=1, draws=400)
    slope = np.array([[1.0], [-1.0]])
    return Simulation(scores(x), np.tile(0.01 * slope @ slope.T, (300, 1, 1)), None, flips, spread)
