"""The chance that one row's label is right is what a batch says of it."""

import numpy as np
import pytest

from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.lone.temperature import chance_right
from chainzrule.service.stability.temperature import chance_right as batched


@pytest.mark.parametrize("temperature", [0.1, 0.7, 1.0, 16.0])
@pytest.mark.parametrize("size", [0.0, 1.0, 30.0, 3e38])
@pytest.mark.parametrize(("task", "S"), [("classification", 2), ("classification", 5), ("ordinal", 1), ("ordinal", 4)])
def test_it_is_a_batchs(task: Task, S: int, size: float, temperature: float) -> None:
    link = link_of(task, S)
    scores = np.random.default_rng(S).uniform(-1, 1, size=(40, S)) * size
    if task == "ordinal":
        scores = -np.sort(-scores, axis=1)
    label = link.label(scores)
    found = [chance_right(link, s, at, temperature) for s, at in zip(scores.tolist(), label.tolist(), strict=True)]
    np.testing.assert_allclose(found, batched(link, scores, label, temperature), rtol=1e-9, atol=1e-15)
