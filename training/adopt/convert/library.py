"""Tells which library an object is of, and converts it."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from chainzrule.training.adopt.convert.converted import Converted
from chainzrule.training.errors import AdoptionError

# What converts the models of each library.
NEEDED = {
    "sklearn": ("skl2onnx",),
    "lightgbm": ("onnxmltools", "skl2onnx"),
    "xgboost": (),
    "catboost": (),
    "torch": ("onnxscript",),
}


def library_of(model: Any) -> str:
    """Returns the library that an object is of.

    Raises:
        AdoptionError: it is of none that is known.
    """
    homes = [kind.__module__.partition(".")[0] for kind in type(model).__mro__]
    for name in ("lightgbm", "xgboost", "catboost", "torch", "sklearn"):
        if name in homes:
            return name
    raise AdoptionError(
        f"{type(model).__module__}.{type(model).__name__} is no model of {', '.join(NEEDED)}; export it to ONNX and "
        "adopt the file"
    )


def convert(model: Any, frame: pd.DataFrame, which: int | None = None, decisions: bool = False) -> Iterator[Converted]:
    """Yields the conversions of an object, the better ones first, with its library's answers to the sample.

    Args:
        model: a fitted model.
        frame: the sample's columns, as the model takes them.
        which: the target, counted from 1, whose answers are wanted, where it answers several at once.
        decisions: whether decision values may stand for logits, where a classifier gives no probabilities.

    Raises:
        AdoptionError: a converter is missing, or cannot convert the model.
    """
    name = library_of(model)
    try:
        yield from _convert(name, model, frame, which, decisions)
    except ModuleNotFoundError as error:
        missing = (error.name or "one of them").partition(".")[0]
        raise AdoptionError(
            f"a model of {name} is converted with {' and '.join(NEEDED[name])}, and {missing} is not installed; "
            f"install it with: pip install {' '.join(NEEDED[name]) or missing}"
        ) from None
    except AdoptionError:
        raise
    except Exception as error:  # converters and libraries raise whatever they like
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise AdoptionError(f"the model of {name} cannot be converted, or does not take the sample ({said})") from None


def _convert(name: str, model: Any, frame: pd.DataFrame, which: int | None, decisions: bool) -> Iterator[Converted]:
    if name == "sklearn":
        from chainzrule.training.adopt.convert.scikit import from_scikit

        yield from from_scikit(model, frame, which, decisions)
        return
    if name == "torch":
        from chainzrule.training.adopt.convert.torchmodule import from_torch

        found = from_torch(model, frame)
    else:
        from chainzrule.training.adopt.convert import boosters

        found = getattr(boosters, f"from_{name}")(model, frame)
    yield found if which is None else found.alone(which)
