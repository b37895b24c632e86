"""Defines the settings that a method may choose on validation rows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Holds one choice; a field that a method does not use keeps its default.

    Attributes:
        learning_rate: the one-cycle schedule's peak; of boosted trees, their own.
        weight_decay: AdamW's, on weight matrices.
        strength: the factor of the method's own penalty, where it has one; of boosted trees, the leaves of a tree.
        degree: of the polynomials, where there are any.
        layers: the factor of the per-layer penalty beside the method's own.
    """

    learning_rate: float
    weight_decay: float = 0.01
    strength: float = 0.0
    degree: int = 3
    layers: float = 0.0
