"""Defines encodings, which turn texts into numbers: fixed functions, learned elsewhere and never trained here."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to their (texts, D) numbers, which depend on nothing but the text."""


class Encoding(Protocol):
    """Turns texts into numbers."""

    @property
    def names(self) -> Sequence[str]:
        """Returns the names of the D numbers."""

    @property
    def fingerprint(self) -> str:
        """Returns a hash of everything that shapes the numbers."""

    def prepare(self, texts: Iterable[str]) -> Encode:
        """Returns the function that encodes these texts, which are passed over at most once."""
