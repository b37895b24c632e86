import math

import pytest
import torch

from training.losses import task_loss


def test_classification_is_the_mean_negative_log_probability() -> None:
    scores = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
    expected = (-math.log(0.75) - math.log(0.5)) / 2
    assert float(task_loss("classification")(scores, torch.tensor([1, 0]))) == pytest.approx(expected)


def test_regression_is_the_mean_squared_error() -> None:
    scores, targets = torch.tensor([[1.0], [4.0]]), torch.tensor([0.0, 2.0])
    assert float(task_loss("regression")(scores, targets)) == pytest.approx(2.5)
