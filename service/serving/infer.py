"""Answers an inference request of the open inference protocol, whichever API it came through."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.errors import InvalidInput, TooLarge
from chainzrule.service.serving.engine import Share
from chainzrule.service.serving.predict import check_measuring, require_finite, require_finite_derivatives
from chainzrule.service.serving.question import Allowance
from chainzrule.service.serving.redraw import redraw
from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.serving.tensors import JACOBIAN, UNMEASURED, Tensors, Values, to_matrix, to_tensor
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.predictions import Measured
from chainzrule.service.stability.unmeasured import Unmeasured


def require_outputs(tensors: Tensors, names: Sequence[str]) -> None:
    """Raises `InvalidInput` for names that are not outputs of the model."""
    if any(name not in tensors.outputs for name in names):
        known = ", ".join(tensors.outputs)
        raise InvalidInput(f"asks for an output the model does not have; it has {known}", "outputs")


class Inference(NamedTuple):
    """Holds the answer to a request's rows.

    Attributes:
        share: the predictions.
        jacobian: (rows, S, D) derivatives of the scores; empty where they were not asked for.
    """

    share: Share[Measured] | Share[Unmeasured]
    jacobian: NDArray[np.float32]

    def output(self, name: str, card: ModelCard) -> Values:
        """Returns one output of the model that has this card."""
        if name == JACOBIAN:
            return self.jacobian
        return to_tensor(name, card, self.share.result, slice(self.share.start, self.share.stop))


async def infer(
    served: ServedModel,
    values: Mapping[str, Values],
    outputs: Sequence[str],
    noise_scale: float,
    confidence: float,
    observe: bool,
    allowance: Allowance,
    max_jacobian_rows: int,
    deadline: float,
) -> Inference:
    """Returns the answer to a request's rows, with what the named outputs take.

    Args:
        served: the model version.
        values: each input's data by name, with all dimensions.
        outputs: the outputs that are asked for.
        noise_scale: multiple of the card's noise at which to measure.
        confidence: with which sets and intervals are to hold the truth.
        observe: whether the rows enter metrics and window.
        allowance: what the request may take.
        max_jacobian_rows: the number of rows up to which the Jacobian may be asked for.
        deadline: when the request's time runs out, by the event loop's clock.
    """
    features = to_matrix(values, served.model.rows)
    derived = JACOBIAN in outputs
    if derived and len(features) > max_jacobian_rows:
        raise TooLarge(f"must be at most {max_jacobian_rows} rows with the jacobian; send several requests", "inputs")
    # Rows are measured only if a measure is asked for, as it is among the usual outputs.
    measured = any(name not in UNMEASURED for name in outputs)
    if measured:
        check_measuring(served, len(features), allowance, deadline, "inputs")
    inputs = inputs_of(features, noise_scale, observe, confidence)
    share: Share[Measured] | Share[Unmeasured]
    if measured:
        share = found = await served.predict(inputs, deadline)
        require_finite(share, "inputs")
        if found.result.unsound is not None:
            share = await redraw(served, features, found, allowance, deadline)
    else:
        share = await served.answer(inputs, deadline)
        require_finite(share, "inputs")
    jacobian = np.empty(0, np.float32)
    if derived:
        jacobian = await served.differentiate(features, deadline)
        require_finite_derivatives(jacobian, "inputs")
    return Inference(share, jacobian)
