import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chainzrule.training.nn.link import link_of
from chainzrule.training.nn.ordinal import CumulativeLogits


def layer(scores: int = 4, seed: int = 0) -> CumulativeLogits:
    torch.manual_seed(seed)
    made = CumulativeLogits(3, scores)
    made.start_from(torch.tensor([5.0, 1.0, 20.0, 3.0, 9.0][: scores + 1]))
    return made


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
    found = link_of("ordinal").probabilities(made(torch.zeros(1, 3)))
    assert found is not None
    torch.testing.assert_close(found[0], counts / counts.sum(), rtol=2e-2, atol=1e-3)


def test_a_level_without_rows_still_has_a_place() -> None:
    made = CumulativeLogits(3, 3)
    made.start_from(torch.tensor([0.0, 10.0, 0.0, 5.0]))
    assert bool(torch.isfinite(made.thresholds).all())
    assert bool((made.thresholds.diff() > 0).all())
