"""Measures, for an adopted model's card, the graphs that will be served on the sample."""

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Adoption, Calibration, Evidence, Golden, Provenance
from chainzrule.service.runtime.model import Model
from chainzrule.service.runtime.tensors import to_tensor
from chainzrule.service.stability.answers import make_answers
from chainzrule.service.stability.conformal import make_conformity
from chainzrule.service.stability.measures import Diagnosis, join
from chainzrule.service.stability.novelty import make_novelty
from chainzrule.service.stability.reference import make_reference
from chainzrule.training.columns import Columns, synthetic_rows
from chainzrule.training.measure.calibration import compared
from chainzrule.training.measure.quality import of_answers
from chainzrule.training.measure.served import as_served
from chainzrule.training.measure.simulation import DRAWS, NOISE_SCALES, choose_rows, simulate

CALIBRATED_ROWS = 200
GOLDEN_ROWS = 4
CHUNK = 64  # rows that are measured at a time

Matrix = NDArray[np.float32]


def gather_evidence(
    model: Model,
    x: Matrix,
    y: NDArray[np.generic],
    seed: int,
    provenance: Provenance,
    adoption: Adoption,
    surprise: NDArray[np.float64] | None = None,
) -> Evidence:
    """Measures a model on a sample of rows.

    Args:
        model: the interface with the graphs that will be served.
        x: (rows, D) the sample.
        y: (rows,) the true labels as indices, or values.
        seed: the seed of golden rows and calibration.
        provenance: where the artifact comes from.
        adoption: where the model comes from.
        surprise: (rows,) the novelty of the rows by that of others; None where the graph has none.
    """
    scores = model.score(x).astype(np.float64)
    outside = np.asarray(model.rows.ranges.outside(x).any(axis=1))
    quality = of_answers(model.link, y, scores)
    measured, truth = _measured(model, x), _calibration(model, x, seed)
    if model.interface.draws is None:
        measured = as_served(model.link, model.score, model.rows.errors, truth, x, scores, measured)
    return Evidence(
        reference=make_reference(model.link, measured, outside, out_of_fold=False),
        conformity=make_conformity(
            model.link, scores, y, measured.gradient_norm if model.probe is None else None, out_of_fold=False
        ),
        answers=make_answers(model.link, scores),
        novelty=None if surprise is None else make_novelty(surprise, out_of_fold=True),
        quality=quality,
        calibration=truth,
        golden=_golden(model, seed),
        provenance=provenance,
        adoption=adoption,
    )


def _measured(model: Model, x: Matrix, noise_scale: float = 1.0) -> Diagnosis:
    """Returns the stability measures of rows at a multiple of the noise."""
    parts = np.split(x, range(CHUNK, len(x), CHUNK))
    return join([model.diagnose(part, np.full(len(part), noise_scale))[1] for part in parts])


def _calibration(model: Model, x: Matrix, seed: int) -> Calibration:
    chosen = x[choose_rows(len(x), x.shape[1], CALIBRATED_ROWS, seed)]
    # The draws of the verdicts must differ from those that they are compared with.
    truth = simulate(model.link, model.score, chosen, model.rows.errors, seed + 1)
    stated = [_measured(model, chosen, scale) for scale in NOISE_SCALES]
    return compared(model.link, model.score(chosen), stated, *truth, seed=seed + 1, draws=DRAWS)


def _golden(model: Model, seed: int) -> Golden:
    """Returns golden rows: synthetic rows around the columns' means, inside their ranges, with the model's answers."""
    x = synthetic_rows(Columns.of(model.interface.features, None), GOLDEN_ROWS, seed)
    outputs = model.predict(x, np.ones(GOLDEN_ROWS))
    assert outputs.covariance is not None  # `predict` computes every output
    return Golden(
        features=to_tensor(x),
        scores=to_tensor(outputs.scores),
        covariance=to_tensor(outputs.covariance),
        jacobian=to_tensor(model.differentiate(x)),
        novelty=None if outputs.novelty is None else to_tensor(outputs.novelty[:, None]),
        deviations=None if outputs.deviations is None else to_tensor(outputs.deviations),
    )
