"""The measures against the truth: the shipped digits model itself, run on noisy copies of held-out digits."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from chainzrule.service.artifact.listing import list_versions
from chainzrule.service.artifact.store import read_artifact
from chainzrule.service.runtime.graph import Execution
from chainzrule.service.runtime.model import Model
from chainzrule.service.stability.measures import Diagnosis

ROOT = Path(__file__).parents[2]
DRAWS = 2000
ROWS = 160


def held_out_digits() -> NDArray[np.float32]:
    with gzip.open(ROOT / "tests/data/t10k-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), dtype=np.uint8, offset=16)
    return pixels.reshape(-1, 784).astype(np.float32)


@dataclass(frozen=True)
class Truth:
    """Rows with what 2,000 draws of the card's noise did to them."""

    features: NDArray[np.float32]
    volatility: NDArray[np.float64]
    flips: NDArray[np.float64]


@pytest.fixture(scope="module")
def digits() -> Model:
    stored = next(version for version in list_versions(ROOT / "models") if version.name == "digits")
    artifact = read_artifact(stored.path)
    return Model(artifact.card, artifact.graphs, Execution("cpu", threads=2))


def diagnosed(digits: Model, features: NDArray[np.float32], scale: float = 1.0) -> Diagnosis:
    return digits.diagnose(features, np.full(len(features), scale))[1]


@pytest.fixture(scope="module")
def truth(digits: Model) -> Truth:
    rng = np.random.default_rng(20)
    features = held_out_digits()
    diagnosis = diagnosed(digits, features)
    # From the rows whose label may flip, from those whose probability moves, and from all: most digits are far too
    # stable to test anything.
    flipping = np.flatnonzero(diagnosis.flip_probability > 0.005)
    moving = np.flatnonzero(diagnosis.volatility > 0.008)
    chosen = np.unique([rng.permutation(rows)[: ROWS // 3] for rows in (flipping, moving, np.arange(len(features)))])
    noise = digits.rows.noise[0]
    volatility, flips = [], []
    for row in features[chosen]:
        noisy = row + rng.normal(0.0, noise, (DRAWS, 784)).astype(np.float32)
        outputs = digits.graphs["model"].run(noisy)
        label = digits.graphs["model"].run(row[None])["scores"].argmax()
        volatility.append(outputs["probabilities"][:, label].astype(np.float64).std())
        flips.append((outputs["scores"].argmax(axis=1) != label).mean())
    return Truth(features[chosen], np.array(volatility), np.array(flips))


def volatility_agrees(predicted: NDArray[np.float64], truth: Truth) -> bool:
    rows = truth.volatility > 0.01
    ratio = predicted[rows] / truth.volatility[rows]
    low, median, high = np.quantile(ratio, (0.01, 0.5, 0.99))
    print(f"volatility over Monte-Carlo on {rows.sum()} rows: median {median:.3f}, p1 {low:.3f}, p99 {high:.3f}")
    return bool(abs(median - 1.0) <= 0.03 and low >= 0.8 and high <= 1.25)


def flips_agree(predicted: NDArray[np.float64], truth: Truth) -> bool:
    """Whether the differences are what sampling alone makes of rows with the predicted probabilities."""
    rows = (predicted > 1e-4) | (truth.flips > 0)
    error = predicted[rows] - truth.flips[rows]
    spread = np.sqrt(np.maximum(predicted[rows] * (1 - predicted[rows]), 1 / DRAWS) / DRAWS)
    z = error / spread
    print(
        f"flip probability on {rows.sum()} rows: mean error {error.mean():+.5f}, "
        f"mean |error| {np.abs(error).mean():.5f}, "
        f"root mean square z {np.sqrt((z**2).mean()):.2f}, largest |z| {np.abs(z).max():.2f}"
    )
    # First order leaves a little beyond sampling: z has a root mean square of 1 where there is nothing but sampling.
    return bool(abs(error.mean()) <= 0.002 and np.abs(error).mean() <= 0.01 and np.sqrt((z**2).mean()) <= 1.5)


def test_volatility_is_the_spread_that_noise_really_makes(digits: Model, truth: Truth) -> None:
    assert (truth.volatility > 0.01).sum() >= 50
    predicted = diagnosed(digits, truth.features)
    assert volatility_agrees(predicted.volatility, truth)


def test_flip_probability_is_the_share_of_labels_that_noise_really_changes(digits: Model, truth: Truth) -> None:
    assert ((truth.flips > 0.02) & (truth.flips < 0.98)).sum() >= 20
    predicted = diagnosed(digits, truth.features)
    assert flips_agree(predicted.flip_probability, truth)


def test_both_would_be_seen_to_fail_at_twice_the_noise(digits: Model, truth: Truth) -> None:
    wrong = diagnosed(digits, truth.features, 2.0)
    assert not volatility_agrees(wrong.volatility, truth)
    assert not flips_agree(wrong.flip_probability, truth)
