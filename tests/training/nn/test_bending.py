import numpy as np
import torch

from chainzrule.training.data.bends import Bends
from chainzrule.training.nn.bending import Bending

BENDS = Bends(
    keep=np.array([1.0, 0.0, 0.0]),
    start=np.array([0.0, 5.0, -2.0]),
    steepness=np.array([0.0, 0.5, 30.0]),
    mean=np.zeros(3),
    std=np.ones(3),
)


def test_slope_and_curvature_are_those_of_the_values() -> None:
    bending = Bending.of(BENDS, torch.float64)
    x = torch.tensor(
        [[1.0, 5.0, -2.0], [-7.0, 900.0, 40.0], [0.0, -33.0, -2.1]], dtype=torch.float64, requires_grad=True
    )
    found = bending(x)
    (slopes,) = torch.autograd.grad(found.values.sum(), x, create_graph=True)
    (curvatures,) = torch.autograd.grad(slopes.sum(), x)
    torch.testing.assert_close(found.slopes, slopes)
    torch.testing.assert_close(found.curvatures, curvatures)
    np.testing.assert_allclose(found.values.detach(), BENDS.values(x.detach().numpy()))


def test_far_away_slopes_and_curvatures_vanish_and_stay_finite_in_float32() -> None:
    found = Bending.of(BENDS, torch.float32)(torch.tensor([[0.0, 1e30, -1e30]]))
    assert found.slopes.tolist() == [[1.0, 0.0, 0.0]]
    assert found.curvatures.tolist() == [[0.0, 0.0, 0.0]]
