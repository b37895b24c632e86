"""Loads the data sets that scikit-learn carries, which are small, real and need no network."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.utils import Bunch

from chainzrule.training.data.dataset import Dataset
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.images import image_dataset
from chainzrule.training.data.table import table_dataset


def bundled_dataset(name: str, seed: int = 0) -> Dataset:
    """Returns `breast_cancer`, `diabetes`, `digits8x8` or `wine`; all have under 2,000 rows, so no test rows.

    Units are given where the source states them or where, as for the blood values of `diabetes`, the values leave no
    doubt.

    Raises:
        DataError: no data set has that name.
    """
    try:
        build = BUNDLED[name.replace("-", "_")]
    except KeyError:
        raise DataError(f"no bundled data set is named '{name}'; there are {', '.join(BUNDLED)}") from None
    return build(seed)


def _breast_cancer(seed: int) -> Dataset:
    """Returns 569 breast masses with 30 measures of their cell nuclei (Wolberg, Street et al. 1995)."""
    return _classification(datasets.load_breast_cancer(), "diagnosis", {}, seed)


def _wine(seed: int) -> Dataset:
    """Returns 178 wines of three cultivars with 13 chemical measures (Forina et al. 1988)."""
    return _classification(datasets.load_wine(), "cultivar", {"alcohol": "% vol"}, seed)


def _diabetes(seed: int) -> Dataset:
    """Returns 442 patients with ten baseline variables and the progression of their disease (Efron et al. 2004)."""
    bunch = datasets.load_diabetes(scaled=False)
    target = "disease progression after one year"
    frame = pd.DataFrame(bunch.data, columns=bunch.feature_names).assign(**{target: bunch.target})
    units = {"age": "years", "bmi": "kg/m²", "bp": "mmHg"} | dict.fromkeys(("s1", "s2", "s3", "s6"), "mg/dL")
    # `sex` is coded 1 and 2, and the source does not say which is which. Nothing lies between: as a category it has no
    # slope, other values are refused rather than interpolated, and the service answers what switching it would change.
    return table_dataset(frame, target, "regression", categorical=["sex"], units=units, seed=seed)[0]


def _digits8x8(_seed: int) -> Dataset:
    """Returns 1,797 handwritten digits of 8 x 8 pixels (Alpaydin 1998).

    Each pixel is the number of dark points in a block of 4 x 4.
    """
    bunch = datasets.load_digits()
    images, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)
    names = [str(label) for label in bunch.target_names]
    return image_dataset((images, labels), None, target="digit", unit="dark points", high=16, labels=names)


def _classification(bunch: Bunch, target: str, units: Mapping[str, str], seed: int) -> Dataset:
    frame = pd.DataFrame(bunch.data, columns=bunch.feature_names)
    # An ordered category keeps the labels in the order of the source.
    frame[target] = pd.Categorical.from_codes(
        bunch.target, categories=pd.Index(bunch.target_names.astype(str)), ordered=True
    )
    return table_dataset(frame, target, "classification", units=units, seed=seed)[0]


BUNDLED: Mapping[str, Callable[[int], Dataset]] = {
    "breast_cancer": _breast_cancer,
    "diabetes": _diabetes,
    "digits8x8": _digits8x8,
    "wine": _wine,
}
