"""What makes numbers of texts: always the same numbers of the same text, learned elsewhere and left as they are."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to their (texts, D) numbers, which depend on nothing but the text."""


class Encoding(Protocol):
    """A way from texts to numbers."""

    @property
    def names(self) -> Sequence[str]:
        """Of the D numbers."""

    @property
    def fingerprint(self) -> str:
        """Returns a hash of everything that shapes the numbers."""

    def prepare(self, texts: Iterable[str]) -> Encode:
        """Ready to encode these texts, which are passed over at most once."""
