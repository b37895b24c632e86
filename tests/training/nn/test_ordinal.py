import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chainzrule.training.nn.ordinal import CumulativeLogits, level_probabilities, level_widths, log_likelihood


def layer(scores: int = 4, seed: int = 0) -> CumulativeLogits:
    torch.manual_seed(seed)
    made = CumulativeLogits(3, scores)
    made.start_from(torch.tensor([5.0, 1.0, 20.0, 3.0, 9.0][: scores + 1]))
    return made


def probabilities(of: CumulativeLogits, h: torch.Tensor) -> torch.Tensor:
    return level_probabilities(of(h), level_widths(of.thresholds))


def test_scores_are_one_number_less_the_thresholds() -> None:
    made, h = layer(), torch.randn(7, 3)
    f = h @ made.weight.T
    torch.testing.assert_close(made(h), f - made.thresholds)
    torch.testing.assert_close(made(h), f + made.bias)


@given(st.lists(st.floats(-40, 40), min_size=1, max_size=8))
@settings(deadline=None)
def test_thresholds_stay_in_order_whatever_was_learned(increments: list[float]) -> None:
    made = CumulativeLogits(2, len(increments) + 1)
    with torch.no_grad():
        made.increments.copy_(torch.tensor(increments))
    assert bool((made.thresholds.diff() >= 0).all())


def test_they_start_where_zero_means_the_frequencies() -> None:
    counts = torch.tensor([500.0, 100.0, 2000.0, 300.0])
    made = CumulativeLogits(3, 3)
    made.start_from(counts)
    torch.testing.assert_close(probabilities(made, torch.zeros(1, 3))[0], counts / counts.sum(), rtol=2e-2, atol=1e-3)


def test_a_level_without_rows_still_has_a_place() -> None:
    made = CumulativeLogits(3, 3)
    made.start_from(torch.tensor([0.0, 10.0, 0.0, 5.0]))
    assert bool(torch.isfinite(made.thresholds).all())
    assert bool((made.thresholds.diff() > 0).all())


def test_probabilities_are_the_steps_between_the_chances_of_exceeding() -> None:
    made, h = layer().double(), 5 * torch.randn(50, 3).double()
    exceeding = torch.cat([torch.ones(50, 1), made(h).sigmoid(), torch.zeros(50, 1)], dim=1)
    found = probabilities(made, h)
    torch.testing.assert_close(found, -exceeding.diff(dim=1))
    torch.testing.assert_close(found.sum(dim=1), torch.ones(50).double())


def test_an_unlikely_level_is_as_exact_in_float32() -> None:
    """The plain difference of two sigmoids would be 0 here."""
    made = layer()
    far = torch.tensor([[30.0]])
    exact = level_probabilities(far.double() - made.thresholds, level_widths(made.thresholds.double()))
    found = level_probabilities(far - made.thresholds, level_widths(made.thresholds))
    assert bool((exact > 0).all())
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=0)


def test_the_log_likelihood_is_the_probabilitys_logarithm() -> None:
    made, h = layer().double(), 2 * torch.randn(50, 3).double()
    levels = torch.randint(0, 5, (50,))
    expected = probabilities(made, h)[torch.arange(50), levels].log()
    torch.testing.assert_close(log_likelihood(made(h), levels), expected)


@pytest.mark.parametrize("f", [-1e4, -200.0, 0.0, 200.0, 1e4])
@pytest.mark.parametrize("level", range(5))
def test_loss_and_slope_are_finite_however_wrong_the_scores(f: float, level: int) -> None:
    made = layer()
    moved = torch.tensor([[f]], requires_grad=True)
    log_likelihood(moved - made.thresholds, torch.tensor([level])).sum().backward()
    learned = [parameter.grad for parameter in (made.first, made.increments)]
    for gradient in [moved.grad, *learned]:
        assert gradient is not None
        assert bool(torch.isfinite(gradient).all())
    assert moved.grad is not None
    if f > 100:  # far too high for any level but the highest
        assert float(moved.grad) == pytest.approx(0.0 if level == 4 else -1.0)


def test_the_slope_is_that_of_central_differences() -> None:
    made = layer().double()
    h, levels = torch.randn(6, 3).double(), torch.randint(0, 5, (6,))
    assert torch.autograd.gradcheck(lambda x: log_likelihood(made(x), levels), h.requires_grad_())
    assert torch.autograd.gradgradcheck(lambda x: log_likelihood(made(x), levels), h)  # penalties differentiate twice


def test_one_threshold_is_logistic_regression() -> None:
    made, h = layer(1), torch.randn(20, 3)
    levels = torch.randint(0, 2, (20,))
    expected = -torch.nn.functional.binary_cross_entropy_with_logits(made(h)[:, 0], levels.float(), reduction="none")
    torch.testing.assert_close(log_likelihood(made(h), levels), expected)
    torch.testing.assert_close(probabilities(made, h)[:, 1], made(h)[:, 0].sigmoid())
