"""The chance that a label is right comes true, whatever the model says of itself."""

import numpy as np
import pytest

from chainzrule.service.stability.link import Link, link_of
from chainzrule.service.stability.temperature import LARGEST, chance_right, fit_temperature

LINKS = [("classification", 2), ("classification", 4), ("ordinal", 3)]


def answered(link: Link, S: int, rows: int, sureness: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are as many times too large, and the truth."""
    random = np.random.default_rng(S)
    if link.task == "ordinal":
        levels = np.linspace(-1.5, 1.5, S)
        latent = 2.0 * random.normal(size=rows)
        return sureness * (latent[:, None] - levels), np.searchsorted(levels, latent + random.logistic(size=rows))
    true = 2.0 * random.normal(size=(rows, S))
    return sureness * true, (true + random.gumbel(size=true.shape)).argmax(axis=1)


@pytest.mark.parametrize("sureness", [0.5, 1.0, 3.0])
@pytest.mark.parametrize(("task", "S"), LINKS)
def test_it_takes_back_what_scores_are_too_large_by(task: str, S: int, sureness: float) -> None:
    link = link_of(task, S)  # type: ignore[arg-type]
    scores, y = answered(link, S, 20_000, sureness)
    temperature = fit_temperature(link, scores, y)
    assert temperature == pytest.approx(sureness, rel=0.04)
    likely = [link.log_likelihood(scores / (temperature * by), y).mean() for by in (0.99, 1.0, 1.01)]
    assert max(likely) == likely[1]


@pytest.mark.parametrize(("task", "S"), LINKS)
def test_the_chance_comes_true_on_other_rows(task: str, S: int) -> None:
    link = link_of(task, S)  # type: ignore[arg-type]
    scores, y = answered(link, S, 40_000, 3.0)
    temperature = fit_temperature(link, scores[::2], y[::2])
    assert temperature is not None
    scores, y = scores[1::2].astype(np.float32), y[1::2]
    label = link.label(scores)
    chance, right = chance_right(link, scores, label, temperature), label == y
    assert chance.dtype == np.float64
    for low in (0.5, 0.6, 0.7, 0.8, 0.9):
        rows = (chance >= low) & (chance < low + 0.1)
        assert right[rows].mean() == pytest.approx(chance[rows].mean(), abs=0.04)


def test_the_chance_is_the_labels_probability_at_that_temperature() -> None:
    scores = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]))
    link, label = link_of("classification", 3), np.array([0, 1])
    np.testing.assert_allclose(chance_right(link, scores, label, 1.0), [0.7, 0.8])
    np.testing.assert_allclose(chance_right(link, scores, label, 0.5), [0.49 / 0.54, 0.64 / 0.66])
    levels, ordinal = np.array([[2.0, -1.0]]), link_of("ordinal", 2)
    expected = 1 / (1 + np.exp(-1.0)) - 1 / (1 + np.exp(0.5))
    np.testing.assert_allclose(chance_right(ordinal, levels, np.array([1]), 2.0), expected)


def test_scores_that_say_nothing_are_flattened_as_far_as_may_be() -> None:
    scores = np.array([[5.0, 0.0]] * 10)
    assert fit_temperature(link_of("classification", 2), scores, np.array([0, 1] * 5)) == pytest.approx(LARGEST, 1e-3)


def test_where_no_row_was_answered_wrongly_nothing_tells() -> None:
    scores = np.array([[2.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(link_of("classification", 2), scores, np.array([0, 1])) is None
    assert fit_temperature(link_of("ordinal", 1), scores[:, :1] - 1.0, np.array([1, 0])) is None


def test_a_regression_has_none() -> None:
    assert fit_temperature(link_of("regression", 1), np.zeros((3, 1)), np.arange(3.0)) is None
