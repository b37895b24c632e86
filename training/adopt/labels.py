"""Matches labels to the columns of a model's answer."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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
    labels = tuple(declared) or tuple(named)
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
