"""A run is measured in plain floats or in numpy, whichever is quicker: which of both, and that both say the same."""

import numpy as np
import pytest

from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.stability.batch import Batch
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.lone.measures import MAX_SCORES
from chainzrule.service.stability.lone.prediction import LonePrediction
from chainzrule.service.stability.measures import diagnose
from chainzrule.service.stability.measuring import measure
from chainzrule.service.stability.outputs import Inputs, Outputs
from chainzrule.service.stability.ranges import Ranges
from chainzrule.service.stability.standard import Standard
from chainzrule.service.stability.verdict import Thresholds
from tests.answers import assert_same
from tests.artifacts import CLASSIFIER


def a_run(rows: int, scores: int) -> tuple[Standard, Inputs, Outputs]:
    """A run of a classification with so many scores, of features that reach out of their ranges."""
    random = np.random.default_rng(rows + scores)
    ranges = Ranges(["a", "b"], np.arange(2), [-1.0, -1.0], [1.0, 1.0], width=2)
    standard = Standard(link_of("classification", scores), ranges, CLASSIFIER.card().reference, Thresholds())
    factor = 0.2 * random.normal(size=(rows, scores, 3))
    outputs = Outputs(
        random.normal(size=(rows, scores)).astype(np.float32),
        np.full((rows, scores), 1 / scores, np.float32),
        (factor @ factor.transpose(0, 2, 1)).astype(np.float32),
        (0.1 * random.normal(size=(rows, scores))).astype(np.float32),
    )
    return standard, inputs_of(random.normal(size=(rows, 2)).astype(np.float32), 1.0, observe=True), outputs


@pytest.mark.parametrize(
    ("rows", "scores", "alone"),
    [(1, 2, True), (1, MAX_SCORES, True), (1, MAX_SCORES + 1, False), (2, 2, False), (2, MAX_SCORES, False)],
)
def test_one_row_of_few_scores_is_measured_alone(rows: int, scores: int, alone: bool) -> None:
    assert type(measure(*a_run(rows, scores))) is (LonePrediction if alone else Batch)


def test_what_was_counted_over_draws_stays_as_counted() -> None:
    standard, inputs, outputs = a_run(1, 3)
    counted = diagnose(standard.link, np.array([[0.0, 9.0, 0.0]]), np.eye(3)[None], np.ones(1))
    found = measure(standard, inputs, outputs._replace(counted=counted))
    assert found.diagnosis is counted


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("scores", [2, 3, MAX_SCORES])
def test_both_ways_say_the_same(scores: int, scale: float) -> None:
    standard, inputs, outputs = a_run(1, scores)
    inputs = inputs_of(inputs.features, scale, observe=True)
    found, batch = measure(standard, inputs, outputs), Batch(standard, inputs, outputs)
    for name, expected in batch.diagnosis._asdict().items():
        np.testing.assert_allclose(getattr(found.diagnosis, name), expected, rtol=1e-9, atol=1e-12, err_msg=name)
    assert found.level.tolist() == batch.level.tolist()
    [ours], [theirs] = found.listed(), batch.listed()
    assert ours[-1] is not None
    assert theirs[-1] is not None
    assert (ours[0], ours[3]) == (theirs[0], theirs[3])
    assert ours[-1][:2] == theirs[-1][:2]
    assert_same(list(ours[-1][2]), list(theirs[-1][2]))
    assert (found.observed() is None) == (batch.observed() is None) == (scale != 1.0)
