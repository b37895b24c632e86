"""One row in plain floats, and the same row in numpy: the same measures."""

import numpy as np
import pytest
from numpy.typing import NDArray

from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.lone.measures import MAX_SCORES, diagnose_row
from chainzrule.service.stability.measures import diagnose

Case = tuple[NDArray[np.float32], NDArray[np.float32]]


def random_case(rng: np.random.Generator, task: Task) -> Case:
    S = 1 if task == "regression" else int(rng.integers(2, MAX_SCORES + 1))
    scores = rng.normal(size=S) * 10 ** rng.uniform(-1, 1.5)
    if task == "ordinal":
        scores = np.sort(scores)[::-1]
    rank = int(rng.integers(0, S + 2))
    factor = rng.normal(size=(S, rank)) * 10 ** rng.uniform(-3, 1)
    if task == "ordinal":
        factor = np.repeat(factor[:1], S, axis=0)
    factor = factor.astype(np.float32)
    return scores.astype(np.float32), factor @ factor.T


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("task", ["classification", "ordinal", "regression"])
def test_a_row_alone_measures_as_it_does_in_a_batch(task: Task, shifted: bool) -> None:
    rng = np.random.default_rng(5)
    for _ in range(400):
        scores, covariance = random_case(rng, task)
        scale = float(10 ** rng.uniform(-1, 1))
        shift = rng.normal(size=len(scores)) * 0.1
        if task == "ordinal":
            shift[:] = shift[0]
        link = link_of(task, len(scores))
        one = diagnose_row(
            link,
            scores.astype(float).tolist(),
            covariance.astype(float).tolist(),
            scale,
            shift.tolist() if shifted else None,
        )
        batch = diagnose(link, scores[None], covariance[None], np.array([scale]), shift[None] if shifted else None)
        for name, expected in batch._asdict().items():
            found = getattr(one, name)
            np.testing.assert_allclose(found, expected[0], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("scores", "covariance"),
    [
        pytest.param([2.0, 2.0, 1.0], np.eye(3), id="tie"),
        pytest.param([1.0, 3.0, 2.0], np.zeros((3, 3)), id="no noise"),
        pytest.param([900.0, -900.0], np.eye(2) * 1e4, id="saturated"),
        pytest.param([1.0, 1.0, 1.0], np.ones((3, 3)), id="common direction only"),
        pytest.param([1.0, 0.0], np.eye(2) * 1e8, id="two scores that noise dwarfs"),
        pytest.param([1.0, 0.5, 0.0], np.eye(3) * 1e8, id="three scores that noise dwarfs"),
        pytest.param([8.1, 0.0, 0.0], np.eye(3) / 2, id="two rivals just out of reach"),
        pytest.param([7.9, 0.0, 0.0], np.eye(3) / 2, id="two rivals just within reach"),
        pytest.param([7.9, 0.0, -9.0], np.eye(3) / 2, id="one rival within reach"),
        pytest.param([0.0, 0.0, -1.0], np.ones((3, 3)) + 2e-7 * np.eye(3), id="leads that only rounding moves"),
        pytest.param([0.0, 0.0, -1.0], np.ones((3, 3)) + 2e-6 * np.eye(3), id="leads that little moves"),
        pytest.param([0.0, 0.0, -1.0], np.eye(3) * 1e-320, id="a variance that is hardly a number"),
    ],
)
def test_edges_are_the_same(scores: list[float], covariance: NDArray[np.float64]) -> None:
    link = link_of("classification", len(scores))
    one = diagnose_row(link, scores, covariance.tolist(), 1.0)
    batch = diagnose(link, np.array([scores]), covariance[None], np.ones(1))
    for name, expected in batch._asdict().items():
        np.testing.assert_allclose(getattr(one, name), expected[0], rtol=1e-9, err_msg=name)
