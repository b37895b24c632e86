"""Holds a model that was converted here, and what its library answers to the sample."""

from dataclasses import dataclass, field, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from chainzrule.training.errors import AdoptionError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Converted:
    """Is a model of another library.

    Attributes:
        model: the graph that it was converted to.
        answers: (rows, labels) probabilities or (rows, 1) values, by the library itself; of `raw`, what it gives.
        labels: the library's labels, in the order of its columns; empty where it has none.
        raw: whether `answers` are the bare outputs, which may be logits.
        levels: by column of categories that the library itself numbers, its levels in the order of their numbers.
    """

    model: onnx.ModelProto
    answers: Floats
    labels: tuple[str, ...] = ()
    raw: bool = False
    levels: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def alone(self, which: int) -> "Converted":
        """Returns the answers for one of several targets, counted from 1; the graph still answers all.

        Raises:
            AdoptionError: there is none of that number.
        """
        if which > self.answers.shape[1]:
            raise AdoptionError(f"--which {which}: the model answers {self.answers.shape[1]} targets")
        return replace(self, answers=self.answers[:, [which - 1]], labels=())
