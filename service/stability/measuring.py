"""Chooses how a run is measured: a single row of few scores in plain floats, all else as a batch."""

from chainzrule.service.stability.batch import Batch
from chainzrule.service.stability.lone.measures import MAX_SCORES
from chainzrule.service.stability.lone.prediction import LonePrediction
from chainzrule.service.stability.outputs import Inputs, Outputs
from chainzrule.service.stability.predictions import Measured
from chainzrule.service.stability.standard import Standard


def measure(standard: Standard, inputs: Inputs, outputs: Outputs) -> Measured:
    """Returns the measured predictions of a run, whose outputs must hold a covariance."""
    if len(outputs.scores) == 1 and outputs.scores.shape[1] <= MAX_SCORES and outputs.counted is None:
        return LonePrediction(standard, inputs, outputs)
    return Batch(standard, inputs, outputs)
