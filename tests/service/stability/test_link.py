"""What scores mean: each link against definitions written out, and its gradient against differences."""

import numpy as np
import pytest
from numpy.typing import NDArray

from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability.link import (
    Binary,
    Classification,
    Link,
    link_of,
    margins,
    other_share,
    softmax,
    softmax_gradient,
)

CASES: tuple[tuple[Task, int], ...] = (("classification", 2), ("classification", 5), ("ordinal", 4), ("regression", 1))


def scores_of(task: Task, S: int, rows: int = 40) -> NDArray[np.float64]:
    scores = np.random.default_rng(S).normal(size=(rows, S)) * 3
    return -np.sort(-scores, axis=1) if task == "ordinal" else scores


def definition(task: Task, s: NDArray[np.float64], label: NDArray[np.int64]) -> NDArray[np.float64]:
    """The reported output."""
    if task == "regression":
        return s[:, 0]
    if task == "ordinal":
        return np.asarray((1 / (1 + np.exp(-s))).sum(axis=1))
    odds = np.exp(s)
    return np.asarray(odds[np.arange(len(s)), label] / odds.sum(axis=1))


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def case(request: pytest.FixtureRequest) -> tuple[Task, Link, NDArray[np.float64]]:
    task, S = request.param
    return task, link_of(task, S), scores_of(task, S)


Case = tuple[Task, Link, NDArray[np.float64]]


def test_the_label_is_the_largest_score_or_the_level_reached(case: Case) -> None:
    task, link, s = case
    expected = {"classification": s.argmax(axis=1), "ordinal": (s > 0).sum(axis=1), "regression": np.zeros(len(s))}
    assert link.task == task
    assert link.label(s).tolist() == expected[task].tolist()
    assert link.read(s).label.tolist() == expected[task].tolist()


def test_a_tie_goes_to_the_lower_index() -> None:
    assert link_of("classification", 2).label(np.array([[1.0, 1.0]])).tolist() == [0]
    assert link_of("classification", 2).read(np.array([[1.0, 1.0]])).label.tolist() == [0]
    assert link_of("classification", 3).label(np.array([[0.0, 1.0, 1.0]])).tolist() == [1]
    assert link_of("ordinal", 2).label(np.array([[0.0, -1.0]])).tolist() == [0]


def test_the_reported_output_is_the_definitions(case: Case) -> None:
    task, link, s = case
    label = link.label(s)
    np.testing.assert_allclose(link.read(s).value, definition(task, s, label), rtol=1e-12)
    np.testing.assert_allclose(link.output(s, label), definition(task, s, label), rtol=1e-12)
    other = (label + 1) % max(s.shape[1], 1)
    np.testing.assert_allclose(link.output(s, other), definition(task, s, other), rtol=1e-9, atol=1e-15)


def test_the_gradient_is_that_of_differences(case: Case) -> None:
    task, link, s = case
    label = link.label(s)
    steps = 1e-6 * np.eye(s.shape[1])
    differences = np.stack(
        [(definition(task, s + step, label) - definition(task, s - step, label)) / 2e-6 for step in steps], axis=1
    )
    np.testing.assert_allclose(link.read(s).gradient, differences, atol=1e-9)


def test_a_deviation_is_the_output_up_to_a_constant_and_a_sign(case: Case) -> None:
    task, link, s = case
    label = np.zeros(len(s), np.int64)
    change = np.diff(definition(task, s, label))
    np.testing.assert_allclose(np.abs(np.diff(link.deviation(s, label))), np.abs(change), atol=1e-12)


def test_a_deviation_keeps_its_digits_where_the_label_is_all_but_certain() -> None:
    for link in (link_of("classification", 2), link_of("classification", 3)):
        s = np.array([[50.0, 0.0, -9.0]])[:, : 2 if isinstance(link, Binary) else 3]
        expected = np.exp(s[:, 1:] - s[:, :1]).sum(axis=1)
        np.testing.assert_allclose(link.deviation(s, np.zeros(1, np.int64)), expected, rtol=1e-12)


@pytest.mark.parametrize("extreme", [1e3, 3e38])
def test_extreme_scores_are_defined(case: Case, extreme: float) -> None:
    _, link, s = case
    reading = link.read(np.sign(s) * extreme)
    assert np.isfinite(reading.gradient).all()
    assert np.isfinite(reading.value).all()


def test_probabilities_sum_to_one_and_follow_the_label(case: Case) -> None:
    task, link, s = case
    p = link.probabilities(s)
    if task == "regression":
        assert p is None
        return
    assert p is not None
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    each = np.arange(len(s))
    if task == "classification":
        np.testing.assert_allclose(p[each, link.label(s)], link.read(s).value, rtol=1e-12)
        np.testing.assert_allclose(softmax_gradient(p, link.label(s)), link.read(s).gradient, rtol=1e-9, atol=1e-15)
    else:
        np.testing.assert_allclose(p @ np.arange(p.shape[1]), link.read(s).value, rtol=1e-12)


def test_log_likelihoods_are_those_of_the_probabilities(case: Case) -> None:
    task, link, s = case
    if task == "regression":
        with pytest.raises(TypeError, match="no probabilities"):
            link.log_likelihood(s, np.zeros(len(s)))
        return
    p = link.probabilities(s)
    assert p is not None
    y = np.random.default_rng(0).integers(p.shape[1], size=len(s))
    np.testing.assert_allclose(link.log_likelihood(s, y), np.log(p[np.arange(len(s)), y]), rtol=1e-9)


def test_an_unlikely_level_has_a_finite_log_likelihood() -> None:
    s = np.array([[900.0, 899.0], [-900.0, -901.0]])
    found = link_of("ordinal", 2).log_likelihood(s, np.array([0, 2]))
    np.testing.assert_allclose(found, [-900.0, -901.0], rtol=1e-12)


def test_names_are_labels_levels_exceeded_or_the_target() -> None:
    labels = ("a", "b", "c")
    assert link_of("classification", 3).names(labels, "t") == ["a", "b", "c"]
    assert link_of("ordinal", 2).names(labels, "t") == ["> a", "> b"]
    assert link_of("regression", 1).names((), "t") == ["t"]


def test_two_labels_have_a_link_of_their_own() -> None:
    assert type(link_of("classification", 2)) is Binary
    assert type(link_of("classification", 3)) is Classification


def test_other_labels_have_all_of_it_where_noise_has_carried_them_far_ahead() -> None:
    far = np.array([[-1e4, np.inf, 3.0], [1e4, np.inf, 1e4]])
    assert other_share(far[:, 0]).tolist() == [1.0, 0.0]
    assert other_share(far, axis=1).tolist() == [1.0, 0.0]


def test_margins_are_leads() -> None:
    found = margins(np.array([[3.0, 1.0, 4.0]]), np.array([2]))
    assert found.tolist() == [[1.0, 3.0, np.inf]]


@pytest.mark.parametrize(
    ("task", "S", "labels", "value"),
    [
        ("classification", 2, True, False),
        ("classification", 5, True, False),
        ("ordinal", 4, True, True),
        ("regression", 1, False, True),
    ],
)
def test_a_task_says_what_it_answers(task: Task, S: int, labels: bool, value: bool) -> None:
    link = link_of(task, S)
    assert (link.task, link.has_labels, link.has_value) == (task, labels, value)
    assert (link.probabilities(scores_of(task, S)) is not None) == labels


def test_probabilities_of_extreme_scores_are_defined() -> None:
    scores = np.array([[1000.0, 0.0, -1000.0], [-1000.0, -1000.0, -1000.0], [1e300, -1e300, 1e300]])
    np.testing.assert_allclose(softmax(scores), [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0, 0.5]], atol=1e-300)
    for task, S in CASES[:3]:
        found = link_of(task, S).probabilities(800.0 * scores_of(task, S))
        assert found is not None
        np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
