"""Defines the training steps that are compared: the same loop, optimiser and batch, on networks of the same width."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chainzrule.training.config import FitConfig
from chainzrule.training.fairfight.penalties import input_gradient_penalty
from chainzrule.training.fitting.loop import Fit
from chainzrule.training.fitting.losses import task_loss
from chainzrule.training.fitting.objective import derivative_controlled, plain
from chainzrule.training.nn.network import ChainzRuleNetwork
from chainzrule.training.penalties.dreg import Schedule
from chainzrule.training.penalties.penalty import Penalty

STRENGTH = Schedule(0.1, 0.1)
NONE = Schedule(0.0, 0.0)
GRADIENT_STRENGTH = 0.01
CROSS_ENTROPY = task_loss("classification")


@dataclass(frozen=True)
class Shape:
    """Describes the networks, and the number of rows of a step."""

    inputs: int = 784
    hidden: tuple[int, ...] = (256, 256)
    scores: int = 10
    degree: int = 3
    batch: int = 256


Step = Callable[[Tensor, Tensor], object]


def steps(shape: Shape, device: torch.device) -> dict[str, Step]:
    """Returns every contender's step on a batch of features and labels; the others are compared with the first."""
    depth = len(shape.hidden)
    only_output = (0.0,) * depth + (1.0,)
    penalties: dict[str, Penalty | None] = {
        "ChainzRule": None,
        "ChainzRule, DREG per layer": Penalty(STRENGTH),
        "ChainzRule, DREG on the Fisher information, drawn": Penalty(NONE, fisher=0.3, exact_answers=0),
        "ChainzRule, DREG accumulated, projected": Penalty(STRENGTH, "accumulated", exact_width=0),
        "ChainzRule, DREG on the network's Jacobian, projected": Penalty(
            STRENGTH, "accumulated", output=True, factors=only_output, exact_width=0
        ),
        "ChainzRule, DREG on the network's Jacobian, exact": Penalty(
            STRENGTH, "accumulated", output=True, factors=only_output, exact_width=shape.scores
        ),
    }
    relu = _relu(shape).to(device)
    made = {"ReLU": _fit(relu, plain(relu, CROSS_ENTROPY))}
    for name, penalised in (("ReLU", _relu(shape).to(device)), ("ChainzRule", _chainzrule(shape).to(device))):
        objective = input_gradient_penalty(penalised, CROSS_ENTROPY, GRADIENT_STRENGTH)
        made[f"{name}, input-gradient penalty"] = _fit(penalised, objective)
    for name, penalty in penalties.items():
        network = _chainzrule(shape).to(device)
        made[name] = _fit(network, derivative_controlled(network, CROSS_ENTROPY, penalty))
    return made


def _chainzrule(shape: Shape) -> ChainzRuleNetwork:
    generator = torch.Generator().manual_seed(0)
    return ChainzRuleNetwork(shape.inputs, shape.hidden, shape.scores, shape.degree, generator)


def _relu(shape: Shape) -> nn.Sequential:
    """Returns a plain ReLU network, which computes no slopes."""
    torch.manual_seed(0)
    widths = [shape.inputs, *shape.hidden]
    layers: list[nn.Module] = []
    for fan_in, width in zip(widths, shape.hidden, strict=False):
        layers += [nn.Linear(fan_in, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], shape.scores))


def _fit(network: nn.Module, objective: Callable[..., Tensor]) -> Step:
    state = Fit(network, CROSS_ENTROPY, FitConfig(), objective, seed=0)
    return lambda x, y: state.step(0.5, x, y)
