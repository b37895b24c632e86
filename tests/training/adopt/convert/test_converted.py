"""One of several targets' answers."""

import numpy as np
import onnx
import pytest

from chainzrule.training.adopt.convert.converted import Converted
from chainzrule.training.errors import AdoptionError

BOTH = Converted(onnx.ModelProto(), np.array([[1.0, 2.0], [3.0, 4.0]]), ("a", "b"))


def test_one_targets_answers_have_no_labels_of_all() -> None:
    alone = BOTH.alone(2)
    assert (alone.answers.tolist(), alone.labels, BOTH.labels) == ([[2.0], [4.0]], (), ("a", "b"))


def test_a_target_that_there_is_not_is_refused() -> None:
    with pytest.raises(AdoptionError, match="--which 3: the model answers 2 targets"):
        BOTH.alone(3)
