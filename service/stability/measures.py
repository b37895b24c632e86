"""Computes the stability measures of a batch, from the scores and their covariance under the declared noise.

With s the scores of a row and C = J N^2 J^T their first-order covariance under one noise sigma (N: the card's noise of
every feature), all measures follow without running the network again. `noise_scale` multiplies the noise, and so C by
its square. Where the artifact also gives the second-order shift of the scores' mean under the noise, flip probability
and volatility are computed around the shifted mean; the shift grows with the noise's square as well. All arrays are
float64 with the rows first.

`MEASURES` declares each measure once: the answers' members, the open inference protocol's outputs, the metrics and the
documentation follow from it. A new measure needs its declaration, a field of `Diagnosis` and its formula here, and the
same field in `lone.measures`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability import flips, volatility
from chainzrule.service.stability.link import Binary, Link, Ordinal, Reading, Regression, margins

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# Three bounds a decade from 1e-6 to 1e3, because volatility is in the output's own unit, which may be anything.
_VOLATILITY_BUCKETS = (*(float(f"{mantissa}e{power}") for power in range(-6, 3) for mantissa in (1, 2, 5)), 1e3)
# These are multiples of the card's mean.
_RELATIVE_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
# These are closest around the verdicts' thresholds of 0.01 and 0.05; 0.5 is a tie.
_PROBABILITY_BUCKETS = (1e-6, 1e-5, 1e-4, 1e-3, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Distribution:
    """Declares a histogram of observed rows in the service's metrics: its name, its help text and its buckets."""

    name: str
    help: str
    buckets: tuple[float, ...]


@dataclass(frozen=True)
class Measure:
    """Declares one measure.

    Attributes:
        name: its name as a field of `Diagnosis`, a member of an answer and an output of the open inference protocol.
        description: one sentence for the API's documentation.
        kind: a `number`, a `distance`, which may be infinite and is then answered by null, a `probability`, or the
            index of a `label`, which is answered by its name.
        needs_labels: whether it exists only where there are labels.
        tensor: whether it is an output of the open inference protocol, usual or only where asked for by name.
        in_reference: whether cards hold its distribution over held-out rows, in the field of their reference that has
            its name.
        sound: whether it is right however large the noise is; other measures are not given where the noise's effect is
            beyond the closed form.
        rank: the member that gives the row's percentile among the card's held-out rows, and its description.
        histogram: its distribution in the metrics.
        relative_histogram: the distribution of its ratio to the mean over the card's held-out rows.
    """

    name: str
    description: str
    kind: Literal["number", "distance", "probability", "label"] = "number"
    needs_labels: bool = False
    tensor: Literal["usual", "by name"] | None = None
    in_reference: bool = False
    sound: bool = False
    rank: tuple[str, str] | None = None
    histogram: Distribution | None = None
    relative_histogram: Distribution | None = None


MEASURES = (
    Measure(
        "volatility",
        "standard deviation of the reported output, in its unit",
        tensor="usual",
        in_reference=True,
        rank=("percentile", "of the volatility among held-out rows; null unless noise_scale is 1"),
        histogram=Distribution(
            "prediction_volatility",
            "Standard deviation of the reported output under the declared input noise, in the output's unit.",
            _VOLATILITY_BUCKETS,
        ),
        relative_histogram=Distribution(
            "prediction_volatility_relative",
            "Prediction volatility divided by the mean volatility of the model card's held-out rows.",
            _RELATIVE_BUCKETS,
        ),
    ),
    Measure(
        "flip_distance",
        "noise sigmas to the nearest decision boundary; null: none is near",
        kind="distance",
        needs_labels=True,
    ),
    Measure(
        "flip_probability",
        "chance that the noise changes the label",
        kind="probability",
        needs_labels=True,
        tensor="usual",
        in_reference=True,
        histogram=Distribution(
            "prediction_flip_probability",
            "Chance that the declared input noise changes the predicted label.",
            _PROBABILITY_BUCKETS,
        ),
    ),
    Measure(
        "runner_up",
        "the label that the noise makes most likely instead",
        kind="label",
        needs_labels=True,
    ),
    Measure(
        "gradient_norm",
        "sensitivity of the scores per noise sigma",
        tensor="by name",
        in_reference=True,
        sound=True,
        histogram=Distribution(
            "input_gradient_norm",
            "Frobenius norm of the scores' derivative with respect to the inputs, per sigma of the declared noise.",
            _VOLATILITY_BUCKETS,
        ),
    ),
)


def measures_of(link: Link) -> tuple[Measure, ...]:
    """Returns the measures that a task has, in the order in which answers give them."""
    return tuple(measure for measure in MEASURES if link.has_labels or not measure.needs_labels)


class Diagnosis(NamedTuple):
    """Holds the predictions of a batch and their stability measures.

    Attributes:
        label: (rows,) index of the label; 0 for regression.
        value: (rows,) the reported number: the output (regression, in the target's unit), the expected level
            (ordinal), the label's probability (classification).
        volatility: (rows,) standard deviation of `value` under the noise, in its unit.
        flip_distance: (rows,) noise sigmas to the nearest decision boundary, to first order; infinite where no noise
            moves the label.
        flip_probability: (rows,) probability that the noise changes the label; NaN for regression.
        runner_up: (rows,) index of the label that the noise makes most likely instead; -1 for regression.
        gradient_norm: (rows,) square root of the trace of C at one noise sigma, whatever `noise_scale` is.
        gradient: (rows, S) derivative of `value` with respect to the scores.
        curvature: (rows,) the second-order shift of the lead over `runner_up`, in its standard deviations: where it is
            not small, the closed form does not hold. 0 where it is not known.
    """

    label: Indices
    value: Floats
    volatility: Floats
    flip_distance: Floats
    flip_probability: Floats
    runner_up: Indices
    gradient_norm: Floats
    gradient: Floats
    curvature: Floats


def take(diagnosis: Diagnosis, rows: Any) -> Diagnosis:
    """Returns the measures of some rows: a slice, a mask or indices."""
    return Diagnosis(*(field[rows] for field in diagnosis))


def without(diagnosis: Diagnosis, rows: NDArray[np.bool_]) -> Diagnosis:
    """Returns the measures with NaN in place of those of some rows, (rows,), that do not hold; `sound` ones stay."""
    lost = {
        measure.name: np.where(rows, np.nan, getattr(diagnosis, measure.name))
        for measure in MEASURES
        if not measure.sound and measure.kind != "label"
    }
    return diagnosis._replace(**lost)


def join(parts: Sequence[Diagnosis]) -> Diagnosis:
    """Returns the measures of several batches as one."""
    return Diagnosis(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))


def diagnose(
    link: Link,
    scores: NDArray[np.floating],
    covariance: NDArray[np.floating],
    noise_scale: Floats,
    mean_shift: NDArray[np.floating] | None = None,
) -> Diagnosis:
    """Returns the measures of a batch.

    Args:
        link: what the scores mean.
        scores: (rows, S) the scores.
        covariance: (rows, S, S) their covariance at one noise sigma.
        noise_scale: (rows,) multiples of the card's noise.
        mean_shift: (rows, S) what one noise sigma adds to the scores' mean, to second order; None stands for 0.
    """
    s = scores.astype(np.float64)
    square = noise_scale * noise_scale
    C = covariance * square[:, None, None]
    trace = covariance.trace(axis1=1, axis2=2, dtype=np.float64)
    gradient_norm = np.sqrt(np.maximum(trace, 0.0))
    reading = link.read(s)
    centre = s if mean_shift is None else s + mean_shift * square[:, None]
    if isinstance(link, Regression):
        spread, found = gradient_norm * noise_scale, flips.none(len(s))
    elif isinstance(link, Binary):
        spread, found = _two_labels(s, centre, C, reading)
    elif isinstance(link, Ordinal):
        spread, found = _levels(s, centre, C, reading)
    else:
        spread, found = _many_labels(s, centre, C, reading)
    return Diagnosis(
        label=reading.label,
        value=reading.value,
        volatility=spread,
        flip_distance=found.distance,
        flip_probability=found.probability,
        runner_up=found.runner_up,
        gradient_norm=gradient_norm,
        gradient=reading.gradient,
        curvature=found.curvature,
    )


def count(reading: Reading, outputs: Floats, found: flips.Flips, covariance: Floats) -> Diagnosis:
    """Returns the measures of rows that were run again with draws of the noise.

    Args:
        reading: what the scores without noise say.
        outputs: (rows, draws) the reported output of every draw.
        found: what the draws do to the labels.
        covariance: (rows, S, S) of the scores over the draws, per sigma squared.
    """
    return Diagnosis(
        label=reading.label,
        value=reading.value,
        volatility=outputs.std(axis=1, ddof=1),
        flip_distance=found.distance,
        flip_probability=found.probability,
        runner_up=found.runner_up,
        gradient_norm=np.sqrt(covariance.trace(axis1=1, axis2=2)),
        gradient=reading.gradient,
        curvature=np.zeros(len(outputs)),
    )


def _two_labels(s: Floats, centre: Floats, C: Floats, reading: Reading) -> tuple[Floats, flips.Flips]:
    margin = np.abs(s[:, 0] - s[:, 1])
    displaced = np.where(reading.label == 0, 1.0, -1.0) * (centre[:, 0] - centre[:, 1])
    scale = C[:, 0, 0] + C[:, 1, 1]
    variance = scale - 2.0 * C[:, 0, 1]
    sd = np.sqrt(np.where(variance > flips.ROUNDING * scale, variance, 0.0))
    return volatility.of_two_labels(displaced, sd), flips.of_two_labels(margin, displaced, sd, reading.label)


def _many_labels(s: Floats, centre: Floats, C: Floats, reading: Reading) -> tuple[Floats, flips.Flips]:
    margin = margins(s, reading.label)
    displaced = margin if centre is s else margins(centre, reading.label)
    return (
        volatility.of_label(displaced, C, reading.gradient, reading.label),
        flips.of_many_labels(margin, displaced, C, reading.label),
    )


def _levels(s: Floats, centre: Floats, C: Floats, reading: Reading) -> tuple[Floats, flips.Flips]:
    each, S, label = np.arange(len(s)), s.shape[1], reading.label

    def edges(s: Floats) -> tuple[Floats, Floats]:
        below = np.where(label > 0, s[each, np.maximum(label - 1, 0)], np.inf)
        return below, np.where(label < S, -s[each, np.minimum(label, S - 1)], np.inf)

    sd = np.sqrt(np.maximum(C[:, 0, 0], 0.0))
    own = edges(s)
    moved = own if centre is s else edges(centre)
    return volatility.of_expected_level(centre, C, reading.gradient), flips.of_levels(*own, *moved, sd, label)
