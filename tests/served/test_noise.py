"""Any noise, through the service, against draws of one's own: correlated, by request, large, and on a rough network."""

from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer

from chainzrule.loaded import LoadedModel, load
from tests.processes import ROOT

Floats = NDArray[np.float64]
DRAWS = 4000


@pytest.fixture(scope="module")
def shipped() -> LoadedModel:
    return load(ROOT / "models", "breast-cancer")


@pytest.fixture(scope="module")
def rows() -> NDArray[np.float32]:
    return load_breast_cancer().data[::19].astype(np.float32)


def truth(model: LoadedModel, rows: NDArray[np.float32], root: Floats) -> tuple[Floats, Floats]:
    """How often noise with that root flips each row's label, and how far it moves the label's probability."""
    random = np.random.default_rng(11)
    flips, spread = np.zeros((2, len(rows)))
    for at, row in enumerate(rows):
        noisy = (row + random.standard_normal((DRAWS, len(root))) @ root.T).astype(np.float32)
        scores = model._model.score(np.concatenate([row[None], noisy])).astype(np.float64)
        label = int(scores[0].argmax())
        flips[at] = (scores[1:].argmax(axis=1) != label).mean()
        spread[at] = model._model.link.output(scores[1:], np.full(DRAWS, label)).std()
    return flips, spread


def assert_true(stability: list[dict[str, Any]], flips: Floats, spread: Floats) -> None:
    stated = np.array([row["flip_probability"] for row in stability])
    uncertain = (flips >= 0.02) & (flips <= 0.98)
    assert uncertain.sum() >= 3
    assert np.abs(stated - flips)[uncertain].mean() <= 0.02
    assert not [
        row for row, often in zip(stability, flips, strict=True) if row["verdict"] == "stable" and often >= 0.05
    ]
    moving = spread > 0.02
    ratio = np.array([row["volatility"] for row in stability])[moving] / spread[moving]
    assert 0.95 <= np.median(ratio) <= 1.05
    assert np.quantile(ratio, 0.05) >= 0.8


def ask(shipped_server: str, rows: NDArray[np.float32], **question: Any) -> list[dict[str, Any]]:
    body = {"model": "breast-cancer", "instances": rows.tolist(), "observe": False, **question}
    response = httpx.post(f"{shipped_server}/predict", json=body, timeout=60)
    assert response.status_code == 200, response.text
    return [row["stability"] for row in response.json()["predictions"]]


def test_errors_that_move_together_are_measured_as_such(
    shipped_server: str, shipped: LoadedModel, rows: NDArray[np.float32]
) -> None:
    """As the columns themselves are correlated, at twice the noise: volatility was six times too small."""
    names = [feature.name for feature in shipped.card.inputs()]
    sd = 2.0 * shipped._rows.noise
    correlation = 0.9 * np.corrcoef(load_breast_cancer().data, rowvar=False) + 0.1 * np.eye(30)
    covariance = correlation * np.outer(sd, sd)
    asked = {"features": names, "covariance": covariance.tolist()}
    stability = ask(shipped_server, rows, noise=asked)
    assert {row["method"] for row in stability} == {"monte_carlo"}
    assert {row["percentile"] for row in stability} == {None}
    assert_true(stability, *truth(shipped, rows, np.linalg.cholesky(covariance)))


def test_a_better_instrument_makes_answers_steadier(shipped_server: str, rows: NDArray[np.float32]) -> None:
    usual, better = (
        ask(shipped_server, rows),
        ask(shipped_server, rows, noise={"worst concave points": 0.0, "worst texture": 0.0}),
    )
    moving = [(a["volatility"], b["volatility"]) for a, b in zip(usual, better, strict=True) if a["volatility"] > 0.01]
    assert len(moving) > 5
    assert all(b < a for a, b in moving)


@pytest.mark.parametrize("scale", [4.0, 16.0])
def test_beyond_what_the_card_bears_out_rows_are_drawn(
    shipped_server: str, shipped: LoadedModel, rows: NDArray[np.float32], scale: float
) -> None:
    stability = ask(shipped_server, rows, noise_scale=scale)
    assert {row["method"] for row in stability} == {"monte_carlo"}
    assert_true(stability, *truth(shipped, rows, np.diag(scale * shipped._rows.noise)))


def test_at_usual_noise_nothing_is_drawn(shipped_server: str, shipped: LoadedModel, rows: NDArray[np.float32]) -> None:
    stability = ask(shipped_server, rows)
    assert [row["method"] for row in stability].count("monte_carlo") <= 1
    flips, _ = truth(shipped, rows, np.diag(shipped._rows.noise))
    stated = np.array([row["flip_probability"] for row in stability])
    assert np.abs(stated - flips).max() <= 0.03
