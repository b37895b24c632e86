"""Defines the methods that are compared: their networks, their objectives, and the settings each may choose from.

Every method chooses from nine settings, on the validation rows of one size, by the same rule (plan.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from chainzrule.training.fairfight.penalties import input_gradient_penalty, jacobian_penalty
from chainzrule.training.fairfight.problems import Kind, Problem
from chainzrule.training.fairfight.rivals import NeuralOde, kolmogorov_arnold, perceptron, spectrally_normalised
from chainzrule.training.fairfight.settings import Settings
from chainzrule.training.fitting.baseline import count, matching_widths, relu_network
from chainzrule.training.fitting.losses import task_loss
from chainzrule.training.fitting.objective import Objective, derivative_controlled, plain
from chainzrule.training.nn.network import ChainzRuleNetwork, Network, ReluNetwork
from chainzrule.training.penalties.dreg import Schedule
from chainzrule.training.penalties.penalty import Penalty

Build = Callable[[Problem, Sequence[int], Settings, int], nn.Module]
MakeObjective = Callable[[nn.Module, Problem, Settings, int], Objective]


@dataclass(frozen=True)
class Method:
    """Describes a way to train a network.

    Attributes:
        title: as the report calls it.
        build: makes the network of about as many parameters as a ChainzRule network of the given widths, from a seed.
        objective: makes what its training lowers; the last argument seeds whatever a penalty draws.
        grids: nine settings for every kind of problem.
        slow: trained on fewer rows and seeds where the problem is large.
        curve: whether it is measured at every size, or at two.
        fisher: whether its penalty is on the Fisher information.
    """

    title: str
    build: Build
    objective: MakeObjective
    grids: Mapping[Kind, Sequence[Settings]]
    slow: bool = False
    curve: bool = False
    fisher: bool = False


def chainzrule(problem: Problem, hidden: Sequence[int], settings: Settings, seed: int) -> ChainzRuleNetwork:
    """Returns the paper's network."""
    generator = torch.Generator().manual_seed(seed)
    output = problem.link.last_layer
    return ChainzRuleNetwork(problem.inputs, hidden, problem.scores, settings.degree, generator, output)


def size(problem: Problem, hidden: Sequence[int], degree: int = 3) -> int:
    """Returns the parameter count of a ChainzRule network of these widths, which every rival of that size matches."""
    linear = count(problem.inputs, hidden, problem.scores, problem.link.last_layer)
    return linear + (degree + 1) * sum(hidden)


def _perceptron(
    activation: Callable[[], nn.Module], problem: Problem, hidden: Sequence[int], settings: Settings, seed: int
) -> nn.Sequential:
    torch.manual_seed(seed)
    output = problem.link.last_layer
    widths = matching_widths(problem.inputs, hidden, problem.scores, size(problem, hidden), output)
    return perceptron(problem.inputs, widths, problem.scores, activation, output)


def _relu_chain(problem: Problem, hidden: Sequence[int], settings: Settings, seed: int) -> ReluNetwork:
    """Returns a ReLU network whose layers return their slopes, as the closed-form penalties need them."""
    output = problem.link.last_layer
    return relu_network(problem.inputs, hidden, problem.scores, size(problem, hidden), seed, output)


def _spectral(problem: Problem, hidden: Sequence[int], settings: Settings, seed: int) -> nn.Module:
    return spectrally_normalised(_perceptron(nn.ReLU, problem, hidden, settings, seed))


def _splines(problem: Problem, hidden: Sequence[int], settings: Settings, seed: int) -> nn.Module:
    """Returns one hidden layer of splines, which is narrow because each edge has nine parameters."""
    torch.manual_seed(seed)
    wanted, outputs = size(problem, hidden), problem.link.derivatives(problem.scores)
    width = max(1, round(wanted / (9 * (problem.inputs + outputs) + 1)))
    return kolmogorov_arnold(problem.inputs, [width], problem.scores, problem.link.last_layer)


def _ode(problem: Problem, hidden: Sequence[int], settings: Settings, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    state, output = hidden[0], problem.link.last_layer
    # These count the encoder, the decoder, and the biases of the field's second layer.
    fixed = count(problem.inputs, [state], problem.scores, output) + state
    width = max(4, round((size(problem, hidden) - fixed) / (2 * state + 1)))
    return NeuralOde(problem.inputs, state, width, problem.scores, output)


def _plain(network: nn.Module, problem: Problem, settings: Settings, seed: int) -> Objective:
    return plain(network, task_loss(problem.task))


def _layers(network: nn.Module, problem: Problem, settings: Settings, seed: int) -> Objective:
    assert isinstance(network, Network)
    strength = settings.strength
    schedule = Schedule(strength, strength) if strength else None
    return derivative_controlled(network, task_loss(problem.task), schedule)


def _fisher(network: nn.Module, problem: Problem, settings: Settings, seed: int) -> Objective:
    """Returns the objective with DREG on the Fisher information, for polynomial and ReLU layers alike.

    Where a prediction is certain, the Fisher information vanishes whatever the scores do. With images every row is near
    another label somewhere; on small tables most rows are not, and the layers' own terms (`settings.layers`) keep the
    scores tame there.
    """
    assert isinstance(network, Network)
    schedule = Schedule(settings.layers, settings.layers)
    penalty = Penalty(schedule, fisher=settings.strength, task=problem.task, seed=seed)
    return derivative_controlled(network, task_loss(problem.task), penalty)


def _input_gradient(network: nn.Module, problem: Problem, settings: Settings, seed: int) -> Objective:
    return input_gradient_penalty(network, task_loss(problem.task), settings.strength)


def _jacobian(network: nn.Module, problem: Problem, settings: Settings, seed: int) -> Objective:
    return jacobian_penalty(network, task_loss(problem.task), settings.strength)


RATES = (1e-3, 3e-3, 1e-2)
FAST_RATES = (3e-3, 1e-2, 3e-2)  # functions without noise are fitted best by long steps first


def _decays(*decays: float, degrees: Sequence[int] = (3,)) -> Mapping[Kind, Sequence[Settings]]:
    """Returns grids of learning rates and weight decays.

    Functions without noise get fewer decays, because none is best there.
    """
    usual = [Settings(rate, decay) for rate in RATES for decay in decays]
    exact = [Settings(rate, 0.0, degree=degree) for rate in FAST_RATES for degree in degrees]
    few = [Settings(rate, decay) for rate in FAST_RATES for decay in decays]
    return {"image": usual, "table": usual, "function": exact if len(degrees) > 1 else few}


def _strengths(
    decay: float,
    strengths: Mapping[Kind, Sequence[float]],
    degrees: Sequence[int] = (3,),
    table_layers: float = 0.0,
) -> Mapping[Kind, Sequence[Settings]]:
    """Returns grids of learning rates and penalty strengths; on functions also of degrees, where there are several."""
    layers = {"table": table_layers}
    grids = {
        kind: [Settings(rate, decay, strength, layers=layers.get(kind, 0.0)) for rate in RATES for strength in choices]
        for kind, choices in strengths.items()
    }
    weakest = strengths["function"]
    grids["function"] = [
        Settings(rate, 0.0, strength, degree)
        for rate in FAST_RATES
        for strength, degree in (zip(weakest, degrees, strict=True) if len(degrees) > 1 else ((s, 3) for s in weakest))
    ]
    return grids


_LAYERS: Mapping[Kind, Sequence[float]] = {
    "image": (0.03, 0.1, 0.3),
    "table": (0.03, 0.3, 1.0),
    "function": (1e-7, 1e-7, 1e-6),
}
_FISHER: Mapping[Kind, Sequence[float]] = {
    "image": (0.3, 0.7, 1.0),
    "table": (0.03, 0.1, 0.3),
    "function": (1e-8, 1e-8, 1e-6),
}
_GRADIENT: Mapping[Kind, Sequence[float]] = {
    "image": (0.1, 1.0, 3.0),
    "table": (0.1, 1.0, 3.0),
    "function": (1e-4, 1e-2, 1.0),
}
_JACOBIAN: Mapping[Kind, Sequence[float]] = {
    "image": (0.003, 0.01, 0.03),
    "table": (0.003, 0.01, 0.1),
    "function": (1e-8, 1e-6, 1e-4),
}

METHODS: Mapping[str, Method] = {
    "chainzrule": Method(
        "ChainzRule, DREG on the Fisher information",
        chainzrule,
        _fisher,
        _strengths(0.1, _FISHER, degrees=(3, 5, 5), table_layers=0.1),
        curve=True,
        fisher=True,
    ),
    "chainzrule-layers": Method(
        "ChainzRule, DREG per layer", chainzrule, _layers, _strengths(0.1, _LAYERS, degrees=(3, 5, 5)), curve=True
    ),
    "chainzrule-free": Method(
        "ChainzRule without DREG", chainzrule, _layers, _decays(0.0, 0.01, 0.1, degrees=(3, 4, 5)), curve=True
    ),
    "relu": Method("ReLU", partial(_perceptron, nn.ReLU), _plain, _decays(0.0, 0.01, 0.3), curve=True),
    "gelu": Method("GELU", partial(_perceptron, nn.GELU), _plain, _decays(0.0, 0.01, 0.3), curve=True),
    "silu": Method("SiLU", partial(_perceptron, nn.SiLU), _plain, _decays(0.0, 0.01, 0.3)),
    "relu-fisher": Method(
        "ReLU, the same accumulated penalty",
        _relu_chain,
        _fisher,
        _strengths(0.1, _FISHER, table_layers=0.1),
        fisher=True,
    ),
    "relu-layers": Method("ReLU, DREG per layer", _relu_chain, _layers, _strengths(0.1, _LAYERS)),
    "spectral": Method("ReLU, spectral normalisation", _spectral, _plain, _decays(0.0, 0.01, 0.3)),
    "input-gradient": Method(
        "ReLU, input-gradient penalty", partial(_perceptron, nn.ReLU), _input_gradient, _strengths(0.1, _GRADIENT)
    ),
    "jacobian": Method("ReLU, Jacobian penalty", partial(_perceptron, nn.ReLU), _jacobian, _strengths(0.1, _JACOBIAN)),
    "kan": Method("Kolmogorov-Arnold", _splines, _plain, _decays(0.0, 0.01, 0.3), slow=True),
    "ode": Method("Neural ODE", _ode, _plain, _decays(0.0, 0.01, 0.3), slow=True),
}
"""Every method that is trained by gradient steps, ours first."""
