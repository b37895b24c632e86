import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from chainzrule.training.nn.functional import polynomial
from chainzrule.training.nn.fused import LayerPenalties, value_and_slope


def tensors(degree: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(degree)
    z = torch.randn(6, 4, generator=generator, dtype=dtype).requires_grad_()
    return z, torch.randn(degree + 1, 4, generator=generator, dtype=dtype).requires_grad_()


@pytest.mark.parametrize("degree", range(1, 6))
def test_the_hand_written_backward_is_the_derivative_and_has_one_itself(degree: int) -> None:
    assert gradcheck(value_and_slope, tensors(degree))
    assert gradgradcheck(value_and_slope, tensors(degree))


@pytest.mark.parametrize("degree", range(1, 6))
@pytest.mark.parametrize("output", [0, 1])
def test_value_or_slope_alone(degree: int, output: int) -> None:
    def alone(z: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
        return value_and_slope(z, coefficients)[output]

    assert gradcheck(alone, tensors(degree))


@pytest.mark.parametrize("degree", range(1, 6))
def test_float32_values_and_gradients_are_those_of_the_plain_polynomial(degree: int) -> None:
    z, coefficients = tensors(degree, torch.float32)

    def gradients(value: torch.Tensor, slope: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(value.square().sum() + slope.square().sum(), (z, coefficients))

    value, slope = polynomial(z, coefficients.unbind())
    fused = value_and_slope(z, coefficients)
    torch.testing.assert_close(fused, (value, slope), rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(gradients(*fused), gradients(value, slope), rtol=1e-5, atol=1e-4)


def test_transforms_differentiate_the_plain_operations() -> None:
    z, coefficients = (tensor.detach() for tensor in tensors(3))

    def slopes(row: torch.Tensor) -> torch.Tensor:
        return value_and_slope(row[None], coefficients)[0][0]

    jacobians = torch.func.vmap(torch.func.jacrev(slopes))(z)
    torch.testing.assert_close(jacobians, torch.diag_embed(value_and_slope(z, coefficients)[1]))


def test_the_penalties_backward_is_their_derivative_and_has_one_itself() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(4, 3), (2, 4), (5, 4), (5, 2)]  # two weights, then their slopes
    layers = [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]

    def penalties(*layers: torch.Tensor) -> torch.Tensor:
        return LayerPenalties.apply((0.5, 2.0), *layers)  # type: ignore[no-untyped-call, no-any-return]

    assert gradcheck(penalties, layers)
    assert gradgradcheck(penalties, layers)
    terms = [
        (slope.square().mean(0) * weight.square().sum(1)).mean()
        for weight, slope in zip(layers[:2], layers[2:], strict=True)
    ]
    torch.testing.assert_close(penalties(*layers), 0.5 * terms[0] + 2 * terms[1])
