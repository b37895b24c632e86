"""Defines the rivals' penalties on derivatives; both need a second backward pass through the first."""

import torch
from torch import Tensor, nn

from chainzrule.training.fitting.losses import Loss
from chainzrule.training.fitting.objective import Objective


def input_gradient_penalty(network: nn.Module, loss: Loss, strength: float) -> Objective:
    """Returns the loss plus `strength` times the mean squared norm of d loss / d features (Drucker and LeCun 1992)."""

    def objective(x: Tensor, y: Tensor, _: float) -> Tensor:
        x = x.detach().requires_grad_()
        value = loss(network(x), y)
        (gradient,) = torch.autograd.grad(value, x, create_graph=True)
        # The loss is a mean; times the number of rows, its gradient at each row is that of the row's own loss.
        total: Tensor = value + strength * len(x) * gradient.square().sum()
        return total

    return objective


def jacobian_penalty(network: nn.Module, loss: Loss, strength: float) -> Objective:
    """Returns the loss plus `strength` / 2 times the mean of ||d scores / d features||_F^2.

    The norm is estimated along one random direction.

    With v uniform on the unit sphere of the S scores, S E||v^T J||^2 = ||J||_F^2 (Hoffman, Roberts and Yaida 2019).
    """

    def objective(x: Tensor, y: Tensor, _: float) -> Tensor:
        x = x.detach().requires_grad_()
        scores = network(x)
        directions = nn.functional.normalize(torch.randn_like(scores), dim=1)
        (product,) = torch.autograd.grad(scores, x, directions, create_graph=True)
        norm: Tensor = scores.shape[1] * product.square().sum() / len(x)
        return loss(scores, y) + strength / 2 * norm

    return objective
