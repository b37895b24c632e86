"""Finds out what a model's numbers are: a value, probabilities of labels, or scores that a softmax makes such.

The graph says it where it ends in a softmax, a logistic function, or trees whose leaves hold shares. Only where it does
not say does the sample decide, with room for rounding.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from chainzrule.service.artifact.interface import MAX_SCORES, Task
from chainzrule.training.adopt.graph import attribute
from chainzrule.training.adopt.source import OUTPUT
from chainzrule.training.errors import AdoptionError

ROUNDING = 1e-5  # how far a number that the graph says nothing of may lie outside 0 to 1
STATED_ROUNDING = 1e-3  # the same where the graph says that they are probabilities, which float16 rounds
SUM = 1e-3  # how far a row's probabilities may sum to another number than 1

Matrix = NDArray[np.float32]
Meaning = Literal["value", "probabilities", "scores", "margin"]
Answers = Literal["probabilities", "logits"]

PASSING = frozenset(("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Clip", "Dropout", "Normalizer"))
TRANSFORMS = {1: b"SOFTMAX", 2: b"LOGISTIC", 3: b"SOFTMAX_ZERO", 4: b"PROBIT"}


@dataclass(frozen=True)
class Reading:
    """Holds what the numbers are taken for.

    Attributes:
        kind: what they are.
        why: how that is known, in words.
    """

    kind: Meaning
    why: str


def read_answer(task: Task, answer: Matrix, graph: onnx.GraphProto, declared: Answers | None = None) -> Reading:
    """Returns what a model's numbers are.

    Args:
        task: the sample's.
        answer: (rows, columns) to the sample.
        graph: of the plain model.
        declared: what the user says that they are; None leaves it to the graph and the sample.

    Raises:
        AdoptionError: a shape that does not fit the task, or numbers that are not what they are said to be.
    """
    columns = answer.shape[1]
    if task == "regression":
        if declared is not None:
            raise AdoptionError("--answers is of labels; the target is a quantity")
        if columns != 1:
            raise AdoptionError(
                f"the model gives {columns} numbers a row where the target is one quantity; --which N serves the N-th "
                "alone, or say --task classification if they are scores of labels"
            )
        return Reading("value", "the target is a quantity")
    if columns > MAX_SCORES:
        raise AdoptionError(f"the model has {columns} labels; at most {MAX_SCORES} can be served")
    if declared == "logits":
        return Reading("scores", "logits, as --answers says")
    if declared == "probabilities":
        return _probabilities(answer, "as --answers says", STATED_ROUNDING)
    said = stated(graph)
    if said is not None and said.kind == "probabilities":
        return _probabilities(answer, said.why, STATED_ROUNDING)
    if columns == 2 and np.abs(answer).max() > 0 and (answer[:, 0] == -answer[:, 1]).all():
        return Reading("margin", "two numbers of which one is the other's negative, taken for one logit")
    return said if said is not None else _by_the_sample(answer)


def _by_the_sample(answer: Matrix) -> Reading:
    """Returns what the sample's numbers look like, where the graph does not say it."""
    if _are_shares(answer, ROUNDING):
        why = "every row of the sample is a distribution; the graph does not say; else give --answers logits"
        return _probabilities(answer, why, ROUNDING)
    _refuse_several_answers(answer)
    return Reading(
        "scores", "the sample's rows are no distributions; the graph does not say; else give --answers probabilities"
    )


def stated(graph: onnx.GraphProto) -> Reading | None:
    """Returns what the graph says of its answer's numbers; None where it says nothing."""
    made = {output: node for node in graph.node for output in node.output}
    node = made.get(OUTPUT)
    while node is not None:
        if (found := _end(node)) is not None:
            return found
        if node.op_type == "Concat" and len(node.input) == 2:
            node = _one_of_a_pair(node, made)
        elif node.op_type in PASSING:
            node = made.get(node.input[0])
        else:
            return None
    return None


def _end(node: onnx.NodeProto) -> Reading | None:
    """Returns what an operator's output is, where the operator says it."""
    kind = node.op_type
    if kind in ("Softmax", "Sigmoid"):
        return Reading("probabilities", f"the graph ends in a {kind}")
    if kind == "LogSoftmax":
        return Reading("scores", "logarithms of probabilities: the graph ends in a LogSoftmax")
    transform = attribute(node, "post_transform", b"NONE")
    transform = TRANSFORMS.get(transform, b"NONE") if isinstance(transform, int) else transform
    if transform in TRANSFORMS.values():
        return Reading("probabilities", f"the graph's {kind} ends in {transform.decode()}")
    if kind.startswith("TreeEnsemble") and _leaves_hold_shares(node):
        return Reading("probabilities", f"the leaves of the graph's {kind} hold shares")
    if kind == "SVMClassifier":
        if attribute(node, "prob_a"):
            return Reading("probabilities", "the graph's SVMClassifier gives probabilities")
        return Reading("scores", "decision values of the graph's SVMClassifier, taken as logits")
    if kind == "LinearClassifier":
        return Reading("scores", "decision values of the graph's LinearClassifier, taken as logits")
    return None


def _one_of_a_pair(node: onnx.NodeProto, made: dict[str, onnx.NodeProto]) -> onnx.NodeProto | None:
    """Returns what made p, where a Concat joins 1 - p and p."""
    first, second = (made.get(name) for name in node.input)
    return second if first is not None and first.op_type == "Sub" and first.input[1] == node.input[1] else None


def _leaves_hold_shares(node: onnx.NodeProto) -> bool:
    """Returns whether no sum of one leaf of every tree can leave 0 to 1."""
    name = "class" if attribute(node, "class_weights") else "target"
    weights = np.array(attribute(node, f"{name}_weights", []), np.float64)
    if not len(weights) or attribute(node, "aggregate_function", b"SUM") not in (b"SUM", b"AVERAGE"):
        return False
    if attribute(node, "base_values") or attribute(node, "base_values_as_tensor") is not None:
        return False
    trees = np.array(attribute(node, f"{name}_treeids", [0] * len(weights)))
    columns = np.array(attribute(node, f"{name}_ids", [0] * len(weights)))
    _, places = np.unique(np.stack([trees, columns]), axis=1, return_inverse=True)
    largest = np.full(places.max() + 1, -np.inf)
    np.maximum.at(largest, places.ravel(), weights)
    owner = np.zeros(len(largest), np.int64)
    owner[places.ravel()] = columns
    most = np.bincount(owner, largest).max()
    if attribute(node, "aggregate_function", b"SUM") == b"AVERAGE":
        most /= len(np.unique(trees))
    return bool(weights.min() >= -ROUNDING and most <= 1 + STATED_ROUNDING)


def _are_shares(answer: Matrix, rounding: float) -> bool:
    within = bool(((answer >= -rounding) & (answer <= 1 + rounding)).all())
    return within and (answer.shape[1] == 1 or bool((np.abs(answer.sum(axis=1) - 1) < SUM).all()))


def _probabilities(answer: Matrix, why: str, rounding: float) -> Reading:
    """Returns that the numbers are probabilities, once they are known to be such.

    Raises:
        AdoptionError: a row of them is no distribution.
    """
    if _are_shares(answer, rounding):
        return Reading("probabilities", why)
    _refuse_several_answers(answer)
    raise AdoptionError(
        f"the model's numbers would be probabilities ({why}), but those of the sample reach from {answer.min():.3g} to "
        f"{answer.max():.3g}; export the probabilities, or say --answers logits"
    )


def _refuse_several_answers(answer: Matrix) -> None:
    """Refuses rows of several shares that do not sum to 1, because one label cannot be made of them."""
    if answer.shape[1] == 1 or not ((answer >= -ROUNDING) & (answer <= 1 + ROUNDING)).all():
        return
    sums = answer.sum(axis=1)
    raise AdoptionError(
        f"the model's numbers lie within 0 and 1 but a row's sum to {sums.min():.3g} to {sums.max():.3g}, not to 1: "
        "several labels may hold at once, or each was judged alone. --which N serves the N-th alone, held or "
        "not; or export probabilities that sum to 1, or say --answers logits if a softmax of these numbers is meant"
    )
