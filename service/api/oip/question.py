"""Holds an inference request once it is read and checked, whichever door it came through."""

from collections.abc import Mapping
from dataclasses import dataclass

from chainzrule.service.serving.tensors import Values
from chainzrule.service.stability.conformal import DEFAULT_CONFIDENCE


@dataclass(frozen=True)
class WantedOutput:
    """Names an output that was asked for, and says how it is to be given.

    Attributes:
        name: its name.
        binary: whether it is to be raw bytes.
        classes: how many classes to give instead of its values, the most likely first; 0 for the values.
    """

    name: str
    binary: bool
    classes: int = 0


@dataclass(frozen=True)
class InferRequest:
    """Holds a checked inference request.

    Attributes:
        values: each input's data by name, with all dimensions.
        outputs: the outputs asked for; None for the model's usual ones.
        id: the request's id, which the answer repeats; None where there was none.
        binary: whether outputs are raw bytes unless they say otherwise.
        noise_scale: multiple of the card's noise at which to measure.
        confidence: with which sets and intervals are to hold the truth.
        observe: whether the rows enter metrics and window.
        timeout: the seconds that the caller allows; None where it says nothing.
    """

    values: Mapping[str, Values]
    outputs: tuple[WantedOutput, ...] | None = None
    id: str | None = None
    binary: bool = False
    noise_scale: float = 1.0
    confidence: float = DEFAULT_CONFIDENCE
    observe: bool = True
    timeout: float | None = None
