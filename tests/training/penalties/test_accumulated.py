"""The accumulated Jacobian's penalties, against the Jacobian itself as a product of matrices."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from chainzrule.training.penalties.accumulated import accumulated_penalties, propagate_directions, signs

BATCH, WIDTHS = 6, (4, 5, 3, 7)


def chain(inputs: int = 4, last: bool = False) -> tuple[list[Tensor], list[Tensor]]:
    """Weights and slopes of layers; with `last`, a linear layer behind them, without slopes."""
    generator = torch.Generator().manual_seed(1)
    sizes = (inputs, *WIDTHS)
    weights = [
        torch.randn(rows, columns, generator=generator, dtype=torch.float64)
        for columns, rows in zip(sizes, WIDTHS, strict=False)
    ]
    slopes = [torch.randn(BATCH, width, generator=generator, dtype=torch.float64) for width in WIDTHS]
    return weights, slopes[:-1] if last else slopes


def jacobians(weights: Sequence[Tensor], slopes: Sequence[Tensor]) -> list[Tensor]:
    """(batch, width, inputs) A_l of each layer."""
    found, so_far = [], torch.eye(weights[0].shape[1], dtype=torch.float64).expand(BATCH, -1, -1)
    for number, weight in enumerate(weights):
        so_far = weight @ so_far
        if number < len(slopes):
            so_far = slopes[number][:, :, None] * so_far
        found.append(so_far)
    return found


def penalties(
    weights: Sequence[Tensor], slopes: Sequence[Tensor], layers: Sequence[int], exact_width: int, projections: int = 1
) -> list[float]:
    generator = torch.Generator().manual_seed(2)
    found = accumulated_penalties(weights, slopes, layers, exact_width, projections, generator)
    return [float(term) for term in found]


def expected(weights: Sequence[Tensor], slopes: Sequence[Tensor]) -> list[float]:
    """The batch mean of ||A_l||_F^2 / width."""
    return [float(A.square().sum(dim=(1, 2)).mean() / A.shape[1]) for A in jacobians(weights, slopes)]


@pytest.mark.parametrize("last", [False, True])
def test_exact_terms_are_the_mean_squared_norms(last: bool) -> None:
    weights, slopes = chain(last=last)
    every = expected(weights, slopes)
    for layers in ([0], [3], [0, 2], [1, 2, 3], [0, 1, 2, 3]):
        assert penalties(weights, slopes, layers, 7) == pytest.approx([every[number] for number in layers])


@pytest.mark.parametrize("last", [False, True])
def test_with_one_input_every_direction_gives_the_norm_itself(last: bool) -> None:
    """Of one input the direction is 1 or -1: the estimate has no variance, however few directions there are."""
    weights, slopes = chain(inputs=1, last=last)
    for projections in (1, 3):
        for exact_width in (0, 3, 5):
            found = penalties(weights, slopes, [0, 1, 2, 3], exact_width, projections)
            assert found == pytest.approx(expected(weights, slopes))


def test_directions_give_the_norms_on_average() -> None:
    weights, slopes = chain()
    found = penalties(weights, slopes, [1, 2, 3], exact_width=0, projections=40_000)
    assert found == pytest.approx(expected(weights, slopes)[1:], rel=0.03)
    assert found != pytest.approx(expected(weights, slopes)[1:], rel=1e-6)


def test_up_to_the_exact_width_nothing_is_drawn() -> None:
    weights, slopes = chain()  # widths 4, 5, 3 and 7
    every = expected(weights, slopes)
    for exact_width, exact in (
        (4, [True, False, True, False]),
        (5, [True, True, True, False]),
        (0, [True] + [False] * 3),
    ):
        found = penalties(weights, slopes, [0, 1, 2, 3], exact_width)
        assert [term == pytest.approx(value) for term, value in zip(found, every, strict=True)] == exact


def test_each_row_and_each_projection_has_a_direction_of_its_own() -> None:
    drawn = signs((50, 40, 30), torch.zeros((), dtype=torch.float64), torch.Generator().manual_seed(0))
    assert (drawn.shape, drawn.dtype) == ((50, 40, 30), torch.float64)
    assert drawn.unique().tolist() == [-1.0, 1.0]
    for dim in range(3):
        assert float(drawn.mean(dim=dim).abs().max()) < 0.85  # no axis repeats what it has
    assert abs(float(drawn.mean())) < 0.02
    again = signs((50, 40, 30), torch.zeros((), dtype=torch.float64), torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again)


@pytest.mark.parametrize("last", [False, True])
def test_directions_move_as_the_jacobians_say(last: bool) -> None:
    weights, slopes = chain(last=last)
    start = torch.randn(BATCH, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    for moved, A in zip(propagate_directions(start, weights, slopes), jacobians(weights, slopes), strict=True):
        torch.testing.assert_close(moved, start @ A.transpose(1, 2))
