"""Answers a question for predictions, each with its stability."""

import asyncio
import random

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.errors import NonFiniteOutput, TooLarge
from chainzrule.service.serving.asked import asked_noise
from chainzrule.service.serving.deadline import seconds_until
from chainzrule.service.serving.engine import Share
from chainzrule.service.serving.question import Allowance, Question
from chainzrule.service.serving.redraw import redraw
from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.predictions import Measured, Predictions
from chainzrule.service.stability.unmeasured import Unmeasured

LARGE_QUESTION = 2**14  # reading this many values one by one takes milliseconds
LARGE_MATRIX = 2**18  # and so does copying this many

_random = random.Random()


async def predict(
    served: ServedModel, question: Question, allowance: Allowance, deadline: float
) -> Share[Measured] | Share[Unmeasured]:
    """Returns the predictions for a question's rows.

    Their stability is always measured where that takes no further runs, else on request and for a random share of the
    other questions.

    Args:
        served: the model version.
        question: the rows and how to measure them.
        allowance: what the question may take.
        deadline: when the request's time runs out, by the event loop's clock.

    Raises:
        InvalidInput: a row is not a valid input of this model.
        TooLarge: the measures were asked for and would take too many further rows or too long.
        NonFiniteOutput: the model's answer to a row, or to a draw of it, is not finite.
    """
    rows = len(question.instances)
    asked = question.measure or question.noise is not None
    measured = _is_measured(served, rows, asked, allowance, deadline)
    served.require_room(rows, measured)
    # Rows that are objects or have categories are read one value at a time.
    most = LARGE_QUESTION if isinstance(question.instances, list) else LARGE_MATRIX
    encode = served.model.rows.encode
    if rows * len(served.model.rows.names) > most:
        features = await asyncio.to_thread(encode, question.instances)
    else:
        features = encode(question.instances)
    noise = None if question.noise is None else asked_noise(question.noise, served.model.rows)
    observed = question.observe and noise is None
    inputs = inputs_of(features, question.noise_scale, observed, question.confidence)
    if not measured:
        unmeasured = await served.answer(inputs, deadline)
        require_finite(unmeasured)
        return unmeasured
    share = await served.predict(inputs, deadline)
    require_finite(share)
    if noise is not None or share.result.unsound is not None:
        return await redraw(served, features, share, allowance, deadline, noise)
    return share


def check_measuring(
    served: ServedModel, rows: int, allowance: Allowance, deadline: float, place: str = "instances"
) -> None:
    """Raises `TooLarge` where measuring would take more further rows than the allowance has or the deadline permits."""
    fault = _fault(served, rows, allowance, deadline)
    if fault is not None:
        raise TooLarge(fault, place)


def require_finite(share: Share[Measured] | Share[Unmeasured], place: str = "instances") -> None:
    """Raises `NonFiniteOutput` where the model's answer to a question is not finite; others in its run are unaffected.

    `place` is what the question calls its rows.
    """
    predictions: Predictions = share.result
    if predictions.all_finite:
        return
    finite = predictions.finite[share.start : share.stop]
    if not finite.all():
        row = int(finite.argmin())
        raise NonFiniteOutput(
            "the model's answer is not finite; the row may lie far outside the training range", f"{place}[{row}]"
        )


def require_finite_derivatives(derivatives: NDArray[np.float32], place: str = "instances") -> None:
    """Raises `NonFiniteOutput` where the model's derivatives for a question are not finite."""
    if not np.isfinite(derivatives).all():
        raise NonFiniteOutput("the derivatives are not finite; a row may lie far outside the training range", place)


def _is_measured(served: ServedModel, rows: int, asked: bool, allowance: Allowance, deadline: float) -> bool:
    if served.model.probe is None:
        return True
    if asked:
        check_measuring(served, rows, allowance, deadline)
        return True
    return _random.random() < allowance.measured_share and _fault(served, rows, allowance, deadline) is None


def _fault(served: ServedModel, rows: int, allowance: Allowance, deadline: float) -> str | None:
    probe = served.model.probe
    if probe is None:
        return None
    if rows * probe.rows > allowance.draws:
        return (
            f"measuring takes {probe.rows} further runs a row, at most {allowance.draws} in all; "
            f"ask for at most {allowance.draws // probe.rows} rows"
        )
    if served.costs.predict(rows) > seconds_until(deadline):
        return "measuring would take longer than the request may; ask for fewer rows"
    return None
