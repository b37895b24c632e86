"""What an adopted card says of its own numbers."""

from dataclasses import replace

import numpy as np
import onnx

from chainzrule.training.adopt.comparison import Comparison
from chainzrule.training.adopt.head import Head
from chainzrule.training.adopt.meaning import Reading
from chainzrule.training.adopt.method import Choice
from chainzrule.training.adopt.obtained import obtained
from chainzrule.training.adopt.sample import Sample
from tests.training.adopt.graphs import described

SAMPLE = Sample(
    "regression", "y", described(2), np.zeros((7, 2), np.float32), np.zeros(7, np.float32), (), "0" * 64
)  # fmt: skip
READING = Reading("value", "the target is a quantity")
HEAD = Head(onnx.ModelProto(), [], "the model's output")
CHOICE = Choice("analytic", {}, "exact derivatives")


def test_every_number_says_where_it_comes_from() -> None:
    said = obtained(SAMPLE, READING, HEAD, CHOICE, None, has_novelty=True)
    assert said["answers"] == "the target is a quantity"
    assert said["scores"] == "the model's output"
    assert said["stability"] == "exact derivatives"
    assert "the 7 rows of the sample" in said["reference"]
    assert said["source_library"] == "not compared: no --expected was given"
    assert not {"not_better", "codes"} & set(said)


def test_what_is_not_as_good_is_said() -> None:
    sample = replace(SAMPLE, codes=("job", "town"))
    choice = replace(CHOICE, notes=("no rule", "too steep"))
    said = obtained(sample, READING, HEAD, choice, Comparison(7, 0.0021, 3, 2), has_novelty=False)
    assert said["not_better"] == "no rule; too steep"
    assert said["codes"].endswith("job, town")
    assert said["novelty"].startswith("none: that takes a graph of opset 13")
    assert said["source_library"] == (
        "7 predictions of the library, of which 3 are off by more than 1e-05, by 0.0021 at worst; accepted by "
        "--tolerance"
    )
    whole = obtained(sample, READING, HEAD, choice, Comparison(7, 1e-6, 0, 2), has_novelty=True)
    assert whole["source_library"] == "7 predictions of the library, within 1e-05"
