"""What is measured of a network, against closed forms of straight ones."""

import numpy as np
import pytest
import torch
from torch import nn

from chainzrule.training.fairfight.measure import (
    ATTACK,
    FIGURES,
    attack,
    corruptions,
    glance,
    gradient_norms,
    labels,
    measure,
    score,
)
from chainzrule.training.nn.link import link_of
from tests.training.fairfight.problems import drawn

CLASSES, NUMBER = link_of("classification"), link_of("regression")


def straight(outputs: int) -> nn.Linear:
    torch.manual_seed(3)
    return nn.Linear(4, outputs)


def test_scores_are_accuracies_or_errors() -> None:
    x, wanted = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.3, 0.2]]), torch.tensor([0, 0, 0])
    assert labels(nn.Identity(), x, CLASSES).tolist() == [0, 1, 0]
    assert score(nn.Identity(), (x, wanted), CLASSES) == pytest.approx(2 / 3)
    assert score(lambda x: x[:, :1], (x, torch.tensor([1.0, 2.0, 0.3])), NUMBER) == pytest.approx((4 / 3) ** 0.5)


def test_norms_are_those_of_the_jacobians() -> None:
    problem, network = drawn("classification"), straight(2)
    x = problem.test[0]
    g, of_scores = gradient_norms(network, x, CLASSES)
    weight = network.weight.detach()
    np.testing.assert_allclose(of_scores, float(weight.norm()), rtol=1e-5)
    p = network(x).detach().softmax(1)
    slope = p[:, 0] * p[:, 1] * (weight[0] - weight[1]).norm() * 2**0.5  # both probabilities move alike
    np.testing.assert_allclose(g, slope.numpy(), rtol=1e-4)
    g, of_scores = gradient_norms(straight(1), x, NUMBER)
    np.testing.assert_allclose(g, of_scores)


def test_an_attack_on_a_straight_network_goes_to_a_corner() -> None:
    problem, network = drawn("classification"), straight(2)
    x, y = problem.test
    moved = attack(network, (x, y), CLASSES)
    weight = network.weight.detach()
    away = (weight[1] - weight[0]).sign()
    expected = x + ATTACK * torch.where(y[:, None] == 0, away, -away)
    torch.testing.assert_close(moved, expected)
    assert not moved.requires_grad


def test_corruptions_of_a_table_are_missing_and_drifting_values() -> None:
    x = torch.randn(3000, 4, generator=torch.Generator().manual_seed(5)) + 3.0
    lost, drifted = corruptions(drawn("classification"), x)
    gone = lost == 0
    assert float(gone.float().mean()) == pytest.approx(0.1, abs=0.01)
    assert torch.equal(lost[~gone], x[~gone])
    drift = (drifted - x).mean(dim=0)
    torch.testing.assert_close(drifted, x + drift, rtol=0, atol=1e-5)
    assert len({round(float(step), 3) for step in drift}) == 4
    for first, again in zip((lost, drifted), corruptions(drawn("classification"), x), strict=True):
        assert torch.equal(first, again)


def test_corruptions_of_images_change_what_they_say() -> None:
    problem = drawn("classification", inputs=64, kind="image", side=8)
    images = torch.zeros(2, 8, 8)
    images[:, 3:5, 1] = 1.0
    images[1, 7, 7] = 1.0
    blurred, faint, shifted, covered, speckled = (
        each.view(-1, 8, 8) for each in corruptions(problem, images.flatten(1))
    )
    assert float(blurred[0].max()) < 1.0
    assert float(blurred[0, 3, 2]) == pytest.approx(2 / 9)
    torch.testing.assert_close(faint, 0.4 * images)
    assert torch.equal(shifted[0, 4:6, 2], torch.ones(2))
    assert float(shifted[1, 0, 0]) == 1.0  # what leaves comes in on the other side
    assert not bool(covered[0].any())
    assert float(covered[1, 7, 7]) == 1.0
    assert set(speckled.unique().tolist()) == {0.0, 1.0}
    assert 0.0 < float((speckled != images).float().mean()) < 0.2


def test_all_figures_are_measured_and_of_trees_those_without_derivatives() -> None:
    problem, network = drawn("ordinal"), nn.Linear(4, 2)
    found = measure(network, problem, True)
    assert set(found) == set(FIGURES)
    assert found["score"] == score(network, problem.test, problem.link)
    assert found["peak_p99"] <= found["peak_max"]
    plain = {"score", "noisy", "corrupted", "mae", "kappa"}
    assert set(measure(network, problem, False)) == plain
    assert set(measure(network, drawn("classification"), True)) == set(FIGURES) - {"mae", "kappa"}


def test_settings_are_glanced_at_on_validation_rows() -> None:
    problem, network = drawn("classification"), straight(2)
    found = glance(network, problem, True)
    g, _ = gradient_norms(network, problem.validation[0], CLASSES)
    assert found == {
        "score": score(network, problem.validation, CLASSES),
        "peak_p99": pytest.approx(np.percentile(g, 99)),
        "peak_max": pytest.approx(g.max()),
    }
    assert set(glance(network, problem, False)) == {"score"}
