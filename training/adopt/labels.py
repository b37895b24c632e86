"""Matches labels to the columns of a model's answer, and holds them to the labels that the file itself gives."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chainzrule.training.adopt.meaning import Answers
from chainzrule.training.adopt.sample import Sample
from chainzrule.training.errors import AdoptionError


def match_labels(
    declared: Sequence[str], named: Sequence[str], sample: Sample, columns: int
) -> tuple[tuple[str, ...], NDArray[np.generic]]:
    """Returns the labels in the order of the model's columns, and the rows' true labels as indices into them.

    A regression has no labels, and its rows keep their values.

    Args:
        declared: the labels that the user declares; empty where there are none.
        named: the labels that the model's file names; empty where it names none.
        sample: the rows.
        columns: the answer's number of columns; one column is the second of two labels' probability or score.

    Raises:
        AdoptionError: the labels are not as many as the model has, or the sample has others.
    """
    if sample.task == "regression":
        return (), sample.y
    count = max(columns, 2)
    labels = tuple(declared) or _as_the_target_has_them(tuple(named), sample.labels)
    if not labels:
        labels = sample.labels
        if len(labels) < count and all(label.isdecimal() and int(label) < count for label in labels):
            labels = tuple(map(str, range(count)))
    if len(labels) != count:
        known = f"{len(labels)} are known ({', '.join(labels[:10])})"
        if columns == 1:
            raise AdoptionError(
                f"the model gives one number a row, which stands for two labels, but {known}; say --task regression "
                "if the target is a quantity, or name both labels with --labels"
            )
        raise AdoptionError(
            f"the model has {count} labels, but {known}; name them in the order of its columns with --labels"
        )
    strange = [label for label in sample.labels if label not in labels]
    if strange:
        raise AdoptionError(
            f"target '{sample.target}' has the label '{strange[0][:40]}', which is none of the model's "
            f"({', '.join(labels[:10])}); write the target as the model names it, or give --labels"
        )
    places = np.array([labels.index(label) for label in sample.labels])
    return labels, places[sample.y.astype(np.int64)]


TRUTHS = {"0": "false", "1": "true", "False": "false", "True": "true"}  # as files name them, and as targets do


def _as_the_target_has_them(named: tuple[str, ...], target: Sequence[str]) -> tuple[str, ...]:
    """Returns a file's labels, truths by the names that a target's have."""
    if set(target) <= {"false", "true"} and set(named) <= TRUTHS.keys():
        return tuple(TRUTHS[label] for label in named)
    return named


TIED = 1e-4  # two probabilities that are nearer than this may be told apart in either order


def compare_labels(
    probabilities: NDArray[np.float32], labels: Sequence[str], own: NDArray[np.str_], declared: Answers | None
) -> str | None:
    """Holds the labels that would be served to those that the file itself gives.

    Args:
        probabilities: (rows, labels) that would be served.
        labels: their names.
        own: (rows,) the file's own labels, as text.
        declared: what the user says the numbers are, by which the largest decides whatever the file says.

    Returns:
        A note where they differ and the user has said what the numbers are.

    Raises:
        AdoptionError: they differ, and the user has not said so.
    """
    places = {label: place for place, label in enumerate(labels)}
    lowered = {label.lower(): place for label, place in places.items()}
    found = np.array([places.get(label, lowered.get(label.lower(), -1)) for label in own])
    if (found < 0).all() and set(own) <= {str(place) for place in range(len(labels))}:
        found = own.astype(np.int64)  # the file counts its columns
    rows = np.arange(len(own))
    served = probabilities.argmax(axis=1)
    told = np.where(found < 0, -np.inf, probabilities[rows, found])
    off = (found != served) & ~(probabilities[rows, served] - told < TIED)
    if not off.any():
        return None
    row = int(off.argmax())
    said = (
        f"the file's own label differs from that of the largest number in {int(off.sum())} of {len(own)} rows (row "
        f"{row + 1}: '{own[row][:40]}' against '{labels[served[row]][:40]}')"
    )
    if declared is not None:
        return f"{said}; the label of the largest number is served, as --answers says what they are"
    raise AdoptionError(
        f"{said}: the numbers may be no scores of the labels, such as distances (KMeans), the labels may be in another "
        "order (--labels), or the file may decide by a threshold of its own; say --answers probabilities or logits if "
        "the largest shall decide all the same"
    )
