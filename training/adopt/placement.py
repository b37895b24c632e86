"""Matches the columns of a sample to the inputs of a model: by name where it has several, else by order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chainzrule.training.adopt.given import Input
from chainzrule.training.errors import AdoptionError

EXPORT_ONE = "(skl2onnx: initial_types=[('input', FloatTensorType([None, D]))])"


@dataclass(frozen=True)
class Placement:
    """Says which columns a model takes.

    Attributes:
        columns: their names, in the order of the card's features.
        places: by name of an input, which of these it takes, in its order.
        notes: what the user should know of how they were matched.
    """

    columns: tuple[str, ...]
    places: Mapping[str, tuple[int, ...]]
    notes: tuple[str, ...] = ()


def place_columns(inputs: Sequence[Input], names: Sequence[str]) -> Placement:
    """Returns which of the sample's columns feed which input.

    Args:
        inputs: the model's.
        names: the sample's columns beside the target, in its order.

    Raises:
        AdoptionError: names the columns that are missing, or the input that cannot be fed.
    """
    if len(inputs) == 1:
        return _one_matrix(inputs[0], names)
    known = {_plain(name): name for name in names}
    found = [known.get(_plain(one.own_name)) for one in inputs]
    if all(one.width == 1 for one in inputs) and None not in found:
        columns = [name for name in found if name is not None]
        left = [name for name in names if name not in columns]
        notes = (f"columns that the model does not take were left out: {', '.join(left)}",) if left else ()
        return Placement(tuple(columns), {one.name: (place,) for place, one in enumerate(inputs)}, notes)
    return _in_order(inputs, names, found)


def _one_matrix(one: Input, names: Sequence[str]) -> Placement:
    known = int(np.prod([size for size in one.shape if size is not None]))
    free = one.shape.count(None)
    if free > 1 or (free and len(names) % known):
        raise AdoptionError(
            f"input {one.own_name} has an unknown size behind the batch, which the sample's {len(names)} columns do "
            "not tell; export it fixed"
        )
    width = len(names) if free else known
    if width != len(names):
        shape = list(one.shape)
        raise AdoptionError(
            f"the sample has {len(names)} columns beside the target, the model's input {shape} takes {width}; give "
            "the columns that it was trained on, in their order"
        )
    return Placement(tuple(names), {one.name: tuple(range(width))})


def _in_order(inputs: Sequence[Input], names: Sequence[str], found: Sequence[str | None]) -> Placement:
    """Gives the inputs their columns by order, where none of them is named as a column and all columns are taken."""
    widths = [one.width for one in inputs]
    known = [width for width in widths if width is not None]
    described = ", ".join(f"{one.own_name} ({one.width or 'unknown'})" for one in inputs[:8])
    missing = [one.own_name for one, name in zip(inputs, found, strict=True) if name is None]
    if any(name is not None for name in found) and all(width == 1 for width in widths):
        raise AdoptionError(
            f"the model takes a column '{missing[0]}', which the sample does not have; it has {', '.join(names[:20])}"
        )
    if len(known) < len(widths) or sum(known) != len(names):
        raise AdoptionError(
            f"the model has {len(inputs)} inputs ({described}), which do not match the sample's {len(names)} columns; "
            f"name the columns as the inputs are named, or export the model with one float input that holds all "
            f"columns {EXPORT_ONE}"
        )
    ends = np.cumsum(known).tolist()
    places = {one.name: tuple(range(end - width, end)) for one, end, width in zip(inputs, ends, known, strict=True)}
    note = f"the inputs {described} were given the sample's columns in their order, because they are not named as these"
    return Placement(tuple(names), places, (note,))


def _plain(name: str) -> str:
    """Returns a name as converters may write it, who allow letters, digits and underscores."""
    return "".join(letter if letter.isalnum() else "_" for letter in name)
