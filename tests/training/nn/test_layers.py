import pytest
import torch

from chainzrule.training.nn.layers import MAX_DEGREE, PolynomialLayer, ReluLayer


@pytest.mark.parametrize("degree", range(1, MAX_DEGREE + 1))
def test_the_slope_gives_the_layers_jacobian(degree: int) -> None:
    layer = PolynomialLayer(4, 3, degree).double()
    torch.nn.init.normal_(layer.derivatives, generator=torch.Generator().manual_seed(degree))
    h = torch.randn(1, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    autograd = torch.func.jacrev(lambda row: layer(row[None])[0][0])(h[0])
    torch.testing.assert_close(layer(h)[1][0, :, None] * layer.weight, autograd)


def test_relu_slopes_are_zero_or_one() -> None:
    layer = ReluLayer(5, 7)
    value, slope = layer(torch.randn(20, 5, generator=torch.Generator().manual_seed(0)))
    assert set(slope.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(value > 0, slope > 0)


@pytest.mark.parametrize("degree", [0, MAX_DEGREE + 1])
def test_a_degree_out_of_range_is_refused(degree: int) -> None:
    with pytest.raises(ValueError, match="degree"):
        PolynomialLayer(2, 2, degree)
