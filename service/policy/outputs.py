"""Gives the outputs of the open inference protocol where a policy decides about the rows."""

import numpy as np

from chainzrule.service.policy.desk import Decided
from chainzrule.service.policy.substitutes import Substitute
from chainzrule.service.serving.infer import Inference
from chainzrule.service.serving.tensors import DECISION, JACOBIAN, UNMEASURED, Values, tensors_of, to_tensor
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.predictions import Measured

# Outputs that say what the model answers, or from which that follows.
ANSWERING = (UNMEASURED - {DECISION, "novelty"}) | {JACOBIAN, "covariance"}


def decided_output(name: str, served: ServedModel, inference: Inference, decided: Decided | None) -> Values:
    """Returns one output: withheld rows have an empty text or NaN in it, and others may be another model's."""
    if name == DECISION:
        if decided is None:
            return ["answer"] * len(inference.share)
        return [decision.action for decision in decided.decisions]
    values = inference.output(name, served.card)
    if decided is None:
        return values
    values = values.copy()  # the run's other requests need theirs
    for row, decision in enumerate(decided.decisions):
        substitute = decided.substitutes.get(row)
        found = None if substitute is None else _output(name, substitute)
        if found is not None:
            values[row] = found[0]
        elif substitute is not None or (decision.withholds and name in ANSWERING):
            _blank(values, row)
    return values


def _output(name: str, substitute: Substitute) -> Values | None:
    """Returns an output of the model that answers a row instead; None where it has none of that name."""
    result = substitute.share.result
    if name == JACOBIAN or name not in tensors_of(substitute.served.card).outputs:
        return None
    if name not in UNMEASURED and not isinstance(result, Measured):
        return None
    return to_tensor(name, substitute.served.card, result, slice(substitute.row, substitute.row + 1))


def _blank(values: Values, row: int) -> None:
    if isinstance(values, list):
        values[row] = ""
    else:
        values[row] = np.nan
