"""Which library an object is of, and what is said where its converter is missing or fails."""

import sys
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from chainzrule.training.adopt.convert.library import convert, library_of
from chainzrule.training.errors import AdoptionError

X = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 2)), columns=["a", "b"])
Y = X["a"] - X["b"]


@pytest.mark.parametrize(("model", "name"), [
    (make_pipeline(LinearRegression()), "sklearn"),
    (lightgbm.LGBMClassifier(), "lightgbm"),  # which is an estimator of scikit-learn too
    (torch.nn.Linear(2, 1), "torch"),
])  # fmt: skip
def test_a_library_is_told_by_the_objects_type(model: Any, name: str) -> None:
    assert library_of(model) == name


def test_an_object_of_no_known_library_is_refused() -> None:
    with pytest.raises(AdoptionError) as caught:
        library_of(object())
    assert str(caught.value) == (
        "builtins.object is no model of sklearn, lightgbm, xgboost, catboost, torch; export it to ONNX and adopt the "
        "file"
    )


def test_a_missing_converter_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(AdoptionError) as caught:
        list(convert(LinearRegression().fit(X, Y), X))
    assert str(caught.value) == (
        "a model of sklearn is converted with skl2onnx, and skl2onnx is not installed; install it with: pip install "
        "skl2onnx"
    )


def test_a_model_that_does_not_take_the_sample_is_refused_in_one_line() -> None:
    with pytest.raises(AdoptionError) as caught:
        list(convert(LinearRegression(), X))
    said = str(caught.value)
    assert said.startswith("the model of sklearn cannot be converted, or does not take the sample (NotFittedError: ")
    assert "\n" not in said
