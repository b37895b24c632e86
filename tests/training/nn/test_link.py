"""What scores mean in torch: each link against the one in numpy, and its derivatives against autograd's."""

import numpy as np
import pytest
import torch
from torch import nn

from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability.link import link_of as numpy_link_of
from chainzrule.training.nn.link import Link, TargetScale, link_of
from chainzrule.training.nn.ordinal import CumulativeLogits

CASES: tuple[tuple[Task, int], ...] = (("classification", 2), ("classification", 5), ("ordinal", 4), ("regression", 1))

Case = tuple[Link, torch.Tensor]


def scores_of(task: Task, S: int, size: float = 3.0, rows: int = 60) -> torch.Tensor:
    """(rows, S) float64; an ordinal model's fall by the same steps in every row."""
    random = np.random.default_rng(S)
    if task == "ordinal":
        return torch.from_numpy(size * random.normal(size=(rows, 1)) - np.cumsum(random.exponential(size=S)))
    return torch.from_numpy(size * random.normal(size=(rows, S)))


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def case(request: pytest.FixtureRequest) -> Case:
    task, S = request.param
    return link_of(task), scores_of(task, S)


def labels_of(link: Link, s: torch.Tensor) -> torch.Tensor:
    """(rows,) every label in turn."""
    return torch.arange(len(s)) % max(link.labels(s.shape[1]), 1)


@pytest.mark.parametrize(("task", "S"), CASES)
@pytest.mark.parametrize("size", [0.1, 3.0, 40.0, 1e3, 1e30])
def test_it_says_what_the_link_in_numpy_says(task: Task, S: int, size: float) -> None:
    """Values, and gradients by autograd, down to scores at which the exponential underflows."""
    link, numpy_link = link_of(task), numpy_link_of(task, S)
    s = scores_of(task, S, size).requires_grad_()
    plain = s.detach().numpy()
    expected = numpy_link.read(plain)
    assert (link.task, link.has_labels) == (numpy_link.task, numpy_link.has_labels)
    np.testing.assert_array_equal(link.label(s).numpy(), numpy_link.label(plain))
    output = link.output(s)
    np.testing.assert_allclose(output.detach().numpy(), expected.value, rtol=1e-12, atol=1e-300)
    (gradient,) = torch.autograd.grad(output.sum(), s)
    np.testing.assert_allclose(gradient.numpy(), expected.gradient, rtol=1e-9, atol=1e-15)
    probabilities, known = link.probabilities(s), numpy_link.probabilities(plain)
    if probabilities is None:
        assert known is None
        assert link.labels(S) == 0
        with pytest.raises(TypeError, match="no probabilities"):
            link.log_likelihood(s, labels_of(link, s))
        return
    np.testing.assert_allclose(probabilities.detach().numpy(), known, rtol=1e-9, atol=1e-15)
    assert probabilities.shape[1] == link.labels(S)
    y = labels_of(link, s)
    found = link.log_likelihood(s, y).detach().numpy()
    # Beside a score of 1e30 the step between two levels is lost in rounding, and each side puts another in its place.
    tolerance = 1e-12 if size < 1e9 else 1e-9
    np.testing.assert_allclose(found, numpy_link.log_likelihood(plain, y.numpy()), rtol=tolerance, atol=1e-14)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("size", [0.1, 3.0, 40.0, 1e3])
@pytest.mark.parametrize(("task", "S"), [case for case in CASES if case[0] != "regression"])
def test_the_likelihoods_gradient_is_autograds(task: Task, S: int, size: float) -> None:
    link, s = link_of(task), scores_of(task, S, size).requires_grad_()
    for label in range(link.labels(S)):
        y = torch.full((len(s),), label)
        (expected,) = torch.autograd.grad(link.log_likelihood(s, y).sum(), s)
        for p in (None, link.probabilities(s)):
            found = link.likelihood_gradient(s, p, y[:, None])
            torch.testing.assert_close(found[:, 0], expected, rtol=1e-9, atol=1e-14)
    every = torch.arange(link.labels(S)).expand(len(s), -1)
    found = link.likelihood_gradient(s, None, every)
    assert found.shape == (len(s), link.labels(S), S)
    torch.testing.assert_close(found[:, -1], link.likelihood_gradient(s, None, every[:, -1:])[:, 0])
    # What is expected of the gradient, over the labels' own probabilities, is nothing.
    probabilities = link.probabilities(s)
    assert probabilities is not None
    mean = (probabilities.unsqueeze(2) * found).sum(dim=1)
    torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-12)


def test_a_unit_normal_laws_gradient_is_one() -> None:
    s = torch.randn(5, 1)
    assert torch.equal(
        link_of("regression").likelihood_gradient(s, None, torch.zeros(5, 1).long()), torch.ones(5, 1, 1)
    )


def test_derivatives_go_through_the_link_as_autograd_says(case: Case) -> None:
    link, s = case
    inputs = torch.randn(s.shape[1] if link.derivatives(s.shape[1]) > 1 else 1, 3, dtype=torch.float64)

    def answers(x: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
        moved = (row + inputs @ x)[None]
        found = link.probabilities(moved)
        return (moved if found is None else found)[0]

    zero = torch.zeros(3, dtype=torch.float64)
    expected = torch.stack([torch.func.jacrev(answers)(zero, row) for row in s])
    torch.testing.assert_close(link.through(s, inputs.expand(len(s), -1, -1)), expected, rtol=1e-9, atol=1e-14)


def test_losses_are_the_negative_log_likelihood_or_the_squared_error(case: Case) -> None:
    link, s = case
    if link.has_labels:
        y = labels_of(link, s)
        torch.testing.assert_close(link.losses(s, y), -link.log_likelihood(s, y))
    else:
        torch.testing.assert_close(link.losses(s, torch.ones(len(s)).double()), (s[:, 0] - 1.0).square())


def test_scores_come_in_the_units_of_an_artifact(case: Case) -> None:
    link, outputs = case
    target = TargetScale(-200.0, 35.0) if link.task == "regression" else TargetScale()
    expected = {
        "classification": outputs - outputs.mean(dim=1, keepdim=True),
        "ordinal": outputs,
        "regression": 35.0 * outputs - 200.0,
    }[link.task]
    torch.testing.assert_close(link.in_units(outputs, target), expected)
    torch.testing.assert_close(link.in_units(outputs.T, target, dim=0), expected.T)
    step = torch.randn_like(outputs)
    moved = link.in_units(outputs + step, target) - link.in_units(outputs, target)
    torch.testing.assert_close(link.slope_in_units(step, target), moved)


@pytest.mark.parametrize(
    ("task", "layer", "derivatives", "margins"),
    [
        ("classification", nn.Linear, 4, True),
        ("ordinal", CumulativeLogits, 1, False),
        ("regression", nn.Linear, 4, False),
    ],
)
def test_each_task_has_its_last_layer(task: Task, layer: type[nn.Module], derivatives: int, margins: bool) -> None:
    link = link_of(task)
    assert link.last_layer is layer
    assert (link.derivatives(4), link.has_margins) == (derivatives, margins)
    made = link.last_layer(3, 4)
    assert len(made.weight) == derivatives
    assert made(torch.zeros(2, 3)).shape == (2, 4)


def test_an_unscaled_target_is_as_it_is() -> None:
    assert (TargetScale().mean, TargetScale().std) == (0.0, 1.0)


def layer(scores: int = 4, seed: int = 0) -> CumulativeLogits:
    torch.manual_seed(seed)
    made = CumulativeLogits(3, scores)
    made.start_from(torch.tensor([5.0, 1.0, 20.0, 3.0, 9.0][: scores + 1]))
    return made


ORDINAL = link_of("ordinal")


def probabilities(of: CumulativeLogits, h: torch.Tensor) -> torch.Tensor:
    found = ORDINAL.probabilities(of(h), ORDINAL.level_widths(of.bias))
    assert found is not None
    return found


def test_probabilities_are_the_steps_between_the_chances_of_exceeding() -> None:
    made, h = layer().double(), 5 * torch.randn(50, 3).double()
    exceeding = torch.cat([torch.ones(50, 1), made(h).sigmoid(), torch.zeros(50, 1)], dim=1)
    found = probabilities(made, h)
    torch.testing.assert_close(found, -exceeding.diff(dim=1))
    torch.testing.assert_close(ORDINAL.probabilities(made(h)), found)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(50).double())


def test_an_unlikely_level_is_as_exact_in_float32() -> None:
    """The plain difference of two sigmoids would be 0 here."""
    made = layer()
    far = torch.tensor([[30.0]])
    exact = ORDINAL.probabilities(far.double() - made.thresholds, ORDINAL.level_widths(made.bias.double()))
    found = ORDINAL.probabilities(far - made.thresholds, ORDINAL.level_widths(made.bias))
    assert bool((exact > 0).all())
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=0)


def test_the_log_likelihood_is_the_probabilitys_logarithm() -> None:
    made, h = layer().double(), 2 * torch.randn(50, 3).double()
    levels = torch.randint(0, 5, (50,))
    expected = probabilities(made, h)[torch.arange(50), levels].log()
    torch.testing.assert_close(ORDINAL.log_likelihood(made(h), levels), expected)


@pytest.mark.parametrize("f", [-1e4, -200.0, 0.0, 200.0, 1e4])
@pytest.mark.parametrize("level", range(5))
def test_loss_and_slope_are_finite_however_wrong_the_scores(f: float, level: int) -> None:
    made = layer()
    moved = torch.tensor([[f]], requires_grad=True)
    ORDINAL.log_likelihood(moved - made.thresholds, torch.tensor([level])).sum().backward()
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
    assert torch.autograd.gradcheck(lambda x: ORDINAL.log_likelihood(made(x), levels), h.requires_grad_())
    assert torch.autograd.gradgradcheck(
        lambda x: ORDINAL.log_likelihood(made(x), levels), h
    )  # penalties differentiate twice


def test_one_threshold_is_logistic_regression() -> None:
    made, h = layer(1), torch.randn(20, 3)
    levels = torch.randint(0, 2, (20,))
    expected = -torch.nn.functional.binary_cross_entropy_with_logits(made(h)[:, 0], levels.float(), reduction="none")
    torch.testing.assert_close(ORDINAL.log_likelihood(made(h), levels), expected)
    torch.testing.assert_close(probabilities(made, h)[:, 1], made(h)[:, 0].sigmoid())
