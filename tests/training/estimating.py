"""What the tests of the estimators share: a table with three targets, and an estimator for each."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chainzrule.training.estimators import (
    ChainzRuleClassifier,
    ChainzRuleEstimator,
    ChainzRuleOrdinal,
    ChainzRuleRegressor,
)

ESTIMATORS = (ChainzRuleClassifier, ChainzRuleRegressor, ChainzRuleOrdinal)
LEVELS = ["none", "mild", "severe"]
SMALL: dict[str, Any] = {"hidden": (6, 5), "epochs": 12, "random_state": 0}

Estimator = type[ChainzRuleEstimator]


def graded_patients() -> pd.DataFrame:
    """Numbers, a category, gaps in both, and three targets."""
    random = np.random.default_rng(3)
    rows = 200
    age, dose = random.normal(50, 12, rows), random.gamma(2.0, 3.0, rows)
    colour = random.choice(["blue", "green", "red"], rows)
    f = 0.1 * (age - 50) + 0.3 * (dose - 6) + 1.2 * (colour == "red") + random.normal(0, 0.5, rows)
    frame = pd.DataFrame({"age": age.round(1), "dose": dose.round(2), "colour": colour})
    frame.loc[::17, "dose"] = np.nan
    frame.loc[::23, "colour"] = None
    level = np.array(LEVELS)[np.digitize(f, [-0.7, 1.2])]
    return frame.assign(outcome=np.where(f > 0, "sick", "well"), level=level, stay=(20 + 5 * f).round(1))


def of_task(estimator: Estimator, patients: pd.DataFrame, **options: Any) -> tuple[ChainzRuleEstimator, Any, Any]:
    """An estimator for the table, its features and its target."""
    X = patients[["age", "dose", "colour"]]
    if estimator is ChainzRuleOrdinal:
        return ChainzRuleOrdinal(levels=LEVELS, **SMALL | options), X, patients["level"]
    y = patients["outcome" if estimator is ChainzRuleClassifier else "stay"]
    return estimator(**SMALL | options), X, y


def outputs(estimator: ChainzRuleEstimator, X: Any) -> NDArray[Any]:
    found: NDArray[Any] = getattr(estimator, "predict_proba", estimator.predict)(X)  # type: ignore[attr-defined]
    return found
