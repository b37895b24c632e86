import math

import pytest
import torch

from chainzrule.service.artifact.interface import Task
from chainzrule.training.fitting.losses import task_loss


def test_classification_is_the_mean_negative_log_probability() -> None:
    scores = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
    expected = (-math.log(0.75) - math.log(0.5)) / 2
    assert float(task_loss("classification")(scores, torch.tensor([1, 0]))) == pytest.approx(expected)


def test_regression_is_the_mean_squared_error() -> None:
    scores, targets = torch.tensor([[1.0], [4.0]]), torch.tensor([0.0, 2.0])
    assert float(task_loss("regression")(scores, targets)) == pytest.approx(2.5)


def test_ordinal_is_the_mean_negative_log_probability() -> None:
    scores = torch.tensor([[math.log(3.0), math.log(1 / 3)]] * 2)  # levels at 1/4, 1/2, 1/4
    expected = (-math.log(0.5) - math.log(0.25)) / 2
    assert float(task_loss("ordinal")(scores, torch.tensor([1, 2]))) == pytest.approx(expected)


@pytest.mark.parametrize("task", ["classification", "ordinal", "regression"])
def test_a_rows_weight_counts_it_so_often(task: Task) -> None:
    scores = torch.randn(3, 1 if task == "regression" else 4, generator=torch.Generator().manual_seed(0)).cumsum(1)
    scores = scores.flip(1).sort(dim=1, descending=True).values
    targets = torch.tensor([0.5, 1.0, 2.0]) if task == "regression" else torch.tensor([0, 3, 1])
    repeats = torch.tensor([2, 0, 4])
    loss = task_loss(task)
    repeated = loss(scores.repeat_interleave(repeats, 0), targets.repeat_interleave(repeats))
    torch.testing.assert_close(loss(scores, targets, repeats / 2), repeated)
