"""Classes are the labels with the largest numbers, each as text with its number and its index."""

import numpy as np
import pytest

from chainzrule.service.errors import InvalidInput
from chainzrule.service.serving.classes import classes_of, require_classes
from chainzrule.service.serving.tensors import tensors_of
from tests.artifacts import CLASSIFIER, ORDINAL, REGRESSION

CARD = CLASSIFIER.card()
SPEC = tensors_of(CARD).outputs["probabilities"]
ROWS = np.float32([[0.25, 0.5, 0.25], [0.125, 0.125, 0.75]])


@pytest.mark.parametrize("most", [1, 2, 3, 9])
def test_the_most_likely_come_first(most: int) -> None:
    spec, found = classes_of(SPEC, ROWS, CARD, most)
    every = [
        "0.500000:1:yes",
        "0.250000:0:no",
        "0.250000:2:maybe",
        "0.750000:2:maybe",
        "0.125000:0:no",
        "0.125000:1:yes",
    ]
    count = min(most, 3)
    assert found == every[:count] + every[3 : 3 + count]
    assert (spec.name, spec.datatype, spec.shape) == ("probabilities", "BYTES", (-1, count))


def test_withheld_rows_have_none() -> None:
    assert classes_of(SPEC, np.full((1, 3), np.nan, np.float32), CARD, 2)[1] == ["", ""]


def test_only_what_has_a_number_for_each_label_has_classes() -> None:
    require_classes(tensors_of(CARD), ["probabilities", "scores"], CARD)
    for toy, name in ((CLASSIFIER, "volatility"), (CLASSIFIER, "label"), (REGRESSION, "value"), (ORDINAL, "scores")):
        with pytest.raises(InvalidInput, match="probabilities"):
            require_classes(tensors_of(toy.card()), [name], toy.card())
