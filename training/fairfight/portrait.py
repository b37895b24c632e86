"""Computes a network's derivatives for the plots: their distribution over rows, and their growth by layer."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chainzrule.training.fairfight.measure import gradient_norms
from chainzrule.training.fairfight.problems import Problem
from chainzrule.training.nn.jacobian import forward_mode, hidden_weights
from chainzrule.training.nn.network import Network
from chainzrule.training.nn.ordinal import CumulativeLogits

LAYER_ROWS = 100
QUANTILES = 1001


def portrait(network: nn.Module, problem: Problem) -> dict[str, Any]:
    """Returns quantiles of g over the test rows, and the mean norm of d h_l / d x after every hidden layer.

    The norms are those of the first rows.

    Layers are known of a chain of them; of other networks the list is empty.
    """
    g, _ = gradient_norms(network, problem.test[0], problem.link)
    quantiles = np.quantile(g, np.linspace(0, 1, QUANTILES))
    layers = layer_norms(network, problem.test[0][:LAYER_ROWS])
    return {"gradient_quantiles": quantiles.tolist(), "layer_norms": layers}


def layer_norms(network: nn.Module, x: Tensor) -> list[float]:
    """Returns the mean over the rows of the Frobenius norm of d h_l / d x, after every hidden layer."""
    if isinstance(network, Network):
        _, slopes = network.propagate(x)
        after = forward_mode(torch.eye(x.shape[1]), hidden_weights(network), slopes)
        return [float(derivative.flatten(1).norm(dim=1).mean()) for derivative in after]
    if not isinstance(network, nn.Sequential):
        return []
    ends = [number + 1 for number, module in enumerate(network) if not isinstance(module, nn.Linear | CumulativeLogits)]
    return [float(torch.func.vmap(torch.func.jacrev(network[:end]))(x).flatten(1).norm(dim=1).mean()) for end in ends]
