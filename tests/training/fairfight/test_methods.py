"""The methods of the comparison: what their training lowers, and the settings that they choose from."""

import pytest
import torch

from chainzrule.training.fairfight.methods import METHODS
from chainzrule.training.fairfight.problems import KINDS, load
from chainzrule.training.fairfight.settings import Settings
from chainzrule.training.fitting.losses import task_loss
from chainzrule.training.nn.network import Network
from chainzrule.training.penalties.config import DregConfig

SETTINGS = Settings(learning_rate=0.003, strength=0.3, layers=0.1)
ROWS = 64


@pytest.mark.parametrize("problem", ["breast-cancer", "diabetes"])
@pytest.mark.parametrize("method", ["chainzrule", "relu-fisher"])
@pytest.mark.parametrize("progress", [0.0, 0.4, 1.0])
def test_the_fisher_penalty_is_the_one_that_models_are_published_with(
    method: str, problem: str, progress: float
) -> None:
    """For the same network, rows and progress it is the same, whatever torch has drawn before."""
    here = load(problem, None, 0)
    network = METHODS[method].build(here, (16, 16), SETTINGS, 1)
    assert isinstance(network, Network)
    x, y = (part[:ROWS] for part in here.train)
    published = DregConfig(strength=SETTINGS.layers, fisher=SETTINGS.strength).as_penalty(here.task, seed=1)
    assert published is not None
    passed = network.propagate(x)
    expected = task_loss(here.task)(passed.scores, y) + published(network, passed, progress)
    for seed in (0, 1, 2):
        torch.manual_seed(seed)
        found = METHODS[method].objective(network, here, SETTINGS, 1)(x, y, progress)
        assert float(found.detach()) == float(expected.detach())


def test_more_than_four_answers_are_drawn_by_the_trials_seed_alone() -> None:
    here = load("breast-cancer", None, 0)
    here = type(here)("many", "table", "classification", 6, here.train, here.validation, here.test)
    network = METHODS["chainzrule"].build(here, (8, 8), SETTINGS, 1)
    x, y = (part[:ROWS] for part in here.train)

    def value(seed: int, torch_seed: int) -> float:
        torch.manual_seed(torch_seed)
        return float(METHODS["chainzrule"].objective(network, here, SETTINGS, seed)(x, y, 0.5).detach())

    assert value(1, 0) == value(1, 7)
    assert value(1, 0) != value(2, 0)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_nine_settings_for_every_kind_of_problem(method: str) -> None:
    grids = METHODS[method].grids
    assert set(grids) == set(KINDS.values())
    assert all(len(grid) == 9 for grid in grids.values())
