import pytest
import torch

from chainzrule.training.nn.jacobian import hidden_weights, input_jacobian
from chainzrule.training.nn.link import link_of
from chainzrule.training.nn.network import ChainzRuleNetwork
from chainzrule.training.nn.ordinal import CumulativeLogits
from chainzrule.training.penalties.fisher import answers, fisher_penalty, squared_norms

ROWS = 20_000


def test_the_drawn_penalty_is_the_trace_of_the_fisher_information_on_average() -> None:
    network = ChainzRuleNetwork(5, [8, 6], 4, 3, torch.Generator().manual_seed(0)).double()
    x = torch.randn(1, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    jacobian = input_jacobian(network, x)[0]
    p = network(x)[0].softmax(0)
    exact = torch.trace(jacobian.T @ (torch.diag(p) - torch.outer(p, p)) @ jacobian)
    torch.manual_seed(0)
    scores, slopes = network.propagate(x.expand(ROWS, -1))
    drawn = fisher_penalty("classification", scores, network.output.weight, hidden_weights(network), slopes)
    assert float(drawn.detach()) == pytest.approx(float(exact.detach()), rel=0.03)
    computed = fisher_penalty("classification", scores, network.output.weight, hidden_weights(network), slopes, None, 4)
    assert float(computed.detach()) == pytest.approx(float(exact.detach()))


def test_of_ordered_levels_it_is_the_same_trace() -> None:
    network = ChainzRuleNetwork(5, [8, 6], 4, 3, torch.Generator().manual_seed(0), CumulativeLogits).double()
    x = torch.randn(1, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def probabilities(row: torch.Tensor) -> torch.Tensor:
        exceeded = network(row[None])[0].sigmoid()
        return -torch.cat([torch.ones(1), exceeded, torch.zeros(1)]).diff()

    p, slope = probabilities(x[0]).detach(), torch.func.jacrev(probabilities)(x[0]).detach()
    exact = float((slope.square().sum(1) / p).sum())
    scores, slopes = network.propagate(x.expand(ROWS, -1))
    operands = scores, network.output.weight, hidden_weights(network), slopes
    assert float(fisher_penalty("ordinal", *operands, None, 5).detach()) == pytest.approx(exact)
    drawn = fisher_penalty("ordinal", *operands, None, 0, torch.Generator().manual_seed(0))
    assert float(drawn.detach()) == pytest.approx(exact, rel=0.03)


def test_of_a_regression_it_is_the_squared_gradient() -> None:
    network = ChainzRuleNetwork(5, [8, 6], 1, 3, torch.Generator().manual_seed(0)).double()
    x = torch.randn(7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    scores, slopes = network.propagate(x)
    penalty = fisher_penalty("regression", scores, network.output.weight, hidden_weights(network), slopes)
    assert float(penalty.detach()) == pytest.approx(
        float(input_jacobian(network, x).detach().square().sum((1, 2)).mean())
    )


def test_ordinal_directions_are_gradients_of_the_log_likelihood() -> None:
    output = CumulativeLogits(3, 4)
    scores = output(torch.randn(500, 3)).detach().double().requires_grad_()
    drawn = answers(link_of("ordinal"), scores.detach(), exact=0)[1][:, 0]
    candidates = []
    for level in range(5):
        labels = torch.full((500,), level)
        candidates.append(torch.autograd.grad(link_of("ordinal").log_likelihood(scores, labels).sum(), scores)[0])
    distance = (torch.stack(candidates) - drawn).norm(dim=2)
    assert float(distance.min(dim=0).values.max()) < 1e-8
    assert len(distance.argmin(dim=0).unique()) > 1


def test_both_ways_of_taking_norms_agree() -> None:
    rows, weight = torch.randn(9, 4), torch.randn(4, 30)
    torch.testing.assert_close(
        squared_norms(rows, weight),
        squared_norms(rows[:2], weight).new_tensor((rows @ weight).square().sum(1).tolist()),
        rtol=1e-4,
        atol=1e-4,
    )


def test_levels_that_are_all_but_impossible_leave_the_trace_and_its_slope_finite() -> None:
    """In float32, where the difference of two sigmoids would be 0."""
    scores = torch.tensor([[90.0, 89.9, 89.8], [-90.0, -90.1, -90.2]], requires_grad=True)
    shares, directions = answers(link_of("ordinal"), scores, exact=4)
    trace = (shares * directions.sum(dim=2).square()).sum()
    trace.backward()
    assert bool(directions.isfinite().all())
    assert scores.grad is not None
    assert bool(scores.grad.isfinite().all())
