"""Nothing escapes the bounds: points of boxes, drawn, at corners and by ascent, run by the served graph itself."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import chainzrule.training.bounds.graph
from chainzrule.service.artifact.card import Role
from chainzrule.service.artifact.interface import Task
from chainzrule.service.runtime.bounds import Bounds, Boxes, bound
from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.training.bounds.graph import bounds_graph
from chainzrule.training.export.onnx import OPSET, export_graphs
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.folded import fold
from chainzrule.training.publish.golden import synthetic_rows
from tests.training.bounds.graphs import wave
from tests.training.conftest import MakeModel

Floats = NDArray[np.float64]
Score = Callable[[Floats], Floats]


def graph(content: bytes) -> Graph:
    return Graph(content, "a.onnx", Execution("cpu", threads=1))


def escapes(scores: Floats, bounds: Bounds, label: int) -> bool:
    """Whether any row of scores of one box lies outside its bounds."""
    found = bool(((scores < bounds.lower[0]) | (scores > bounds.upper[0])).any())
    if bounds.margin_lower.size:
        margins = scores[:, label : label + 1] - scores
        found |= bool(((margins < bounds.margin_lower[0]) | (margins > bounds.margin_upper[0])).any())
    return found


def attacks(model: FittedModel, low: Floats, high: Floats, points: int, seed: int) -> Iterator[Floats]:
    """Points of one box, (rows, D) each: drawn, at corners, and by gradient ascent of every score and margin."""
    random = np.random.default_rng(seed)
    middle, radius = (low + high) / 2, (high - low) / 2
    yield middle + radius * random.uniform(-1, 1, (points // 2, len(low)))
    yield middle + radius * random.choice([-1.0, 1.0], (points // 4, len(low)))
    jacobian = model.jacobian(torch.from_numpy(middle[None])).numpy()[0]
    count = len(jacobian)
    directions = np.concatenate([np.eye(count), -np.eye(count), *(np.eye(count) - row for row in np.eye(count))])
    starts = max(1, points // 4 // len(directions) // 8)
    wanted = np.repeat(directions, starts, axis=0)
    at = middle + radius * random.uniform(-1, 1, (len(wanted), len(low)))
    for step in range(8):
        slopes = model.jacobian(torch.from_numpy(at)).numpy()
        ascent = np.sign(np.einsum("rs,rsd->rd", wanted, slopes))
        at = np.clip(at + 2.0 / (step + 1) * radius * ascent, low, high)
        yield at


def exact(model: FittedModel) -> Score:
    """The scores in float64."""
    return lambda rows: model.scores(torch.from_numpy(rows)).numpy()


def served(graphs: dict[Role, bytes]) -> Score:
    """The scores that the model graph gives."""
    model = graph(graphs["model"])
    return lambda rows: model.run(rows.astype(np.float32))["scores"].astype(np.float64)


def attack(
    model: FittedModel, score: Score, bounds: Graph, scale: float, points: int, seed: int, steep: bool = False
) -> None:
    """Attack the box around a synthetic row; a `steep` network may have no finite bounds."""
    row = synthetic_rows(model.columns, 1, seed).astype(np.float64)
    radius = scale * model.columns.std
    low, high = row - radius, row + radius
    label = score(row).argmax(axis=1)
    found = bound(bounds, Boxes(low, high, label))
    assert steep or np.isfinite(found.lower).all()
    for rows in attacks(model, low[0], high[0], points, seed):
        assert not escapes(score(rows), found, int(label[0]))


@pytest.mark.parametrize("scale", [0.0, 1e-4, 0.01, 0.1, 0.5])
def test_nothing_escapes(exported: tuple[FittedModel, dict[Role, bytes]], scale: float) -> None:
    model, graphs = exported
    for seed in range(2):
        attack(model, served(graphs), graph(graphs["bounds"]), scale, 2000, seed)


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("hidden", [(7,), (6, 5), (5, 4, 6)])
def test_nothing_escapes_from_any_degree_and_depth(make_model: MakeModel, hidden: tuple[int, ...], degree: int) -> None:
    for task, scores in (("classification", 3), ("regression", 1), ("ordinal", 3)):
        model = make_model(task, hidden=hidden, degree=degree, scores=scores, seed=degree)
        for scale in (0.02, 0.3):
            attack(model, exact(model), graph(bounds_graph(fold(model), task, OPSET)), scale, 800, degree)


@pytest.mark.parametrize("degree", [1, 3, 5])
@pytest.mark.parametrize("factor", [1e-6, 10.0, 100.0])
def test_nothing_escapes_from_extreme_weights(make_model: MakeModel, degree: int, factor: float) -> None:
    model = make_model(hidden=(6, 5), degree=degree, seed=degree)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter *= factor
    content = bounds_graph(fold(model), "classification", OPSET)
    for scale in (0.0, 1e-3, 0.2):
        attack(model, exact(model), graph(content), scale, 1500, degree, steep=True)


@pytest.mark.parametrize("hidden", [(6, 5), (5, 4, 6)])
def test_nothing_escapes_where_matrices_would_be_too_large(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, hidden: tuple[int, ...]
) -> None:
    monkeypatch.setattr(chainzrule.training.bounds.graph, "MATRIX_VALUES", 0)
    model = make_model(hidden=hidden)
    for scale in (0.02, 0.3):
        attack(model, exact(model), graph(bounds_graph(fold(model), "classification", OPSET)), scale, 2000, 3)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.01, 0.1, 0.3])
def test_nothing_escapes_in_1e5_points(exported: tuple[FittedModel, dict[Role, bytes]], scale: float) -> None:
    model, graphs = exported
    attack(model, served(graphs), graph(graphs["bounds"]), scale, 130_000, 1)


def test_an_escape_is_seen(classifier: tuple[FittedModel, dict[Role, bytes]]) -> None:
    model, graphs = classifier
    row = synthetic_rows(model.columns, 1, 0).astype(np.float64)
    score = served(graphs)
    label = score(row).argmax(axis=1)
    radius = 0.1 * model.columns.std
    narrow = bound(graph(graphs["bounds"]), Boxes(row - 0.9 * radius, row + 0.9 * radius, label))
    points = attacks(model, (row - radius)[0], (row + radius)[0], 4000, 0)
    assert any(escapes(score(rows), narrow, int(label[0])) for rows in points)


def test_a_box_of_one_point_is_bounded_by_rounding_alone(exported: tuple[FittedModel, dict[Role, bytes]]) -> None:
    model, graphs = exported
    rows = synthetic_rows(model.columns, 4, 1).astype(np.float64)
    scores = model.scores(torch.from_numpy(rows)).numpy()
    found = bound(graph(graphs["bounds"]), Boxes(rows, rows, scores.argmax(axis=1)))
    assert (found.lower <= scores).all()
    assert (scores <= found.upper).all()
    assert (found.upper - found.lower <= 1e-3 * np.abs(scores).max()).all()


def test_a_straight_network_is_bounded_exactly(linear_classifier: tuple[FittedModel, dict[Role, bytes]]) -> None:
    model, graphs = linear_classifier
    rows = synthetic_rows(model.columns, 4, 2).astype(np.float64)
    radius = 0.5 * model.columns.std
    x = torch.from_numpy(rows)
    reach = (np.abs(model.jacobian(x).numpy()) * radius).sum(axis=2)
    found = bound(graph(graphs["bounds"]), Boxes(rows - radius, rows + radius, np.zeros(4, np.int64)))
    np.testing.assert_allclose(found.upper, model.scores(x).numpy() + reach, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.lower, model.scores(x).numpy() - reach, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("hidden", "degree"), [((6,), 1), ((6,), 2), ((6, 5), 3)])
def test_what_float32_cannot_hold_is_not_bounded(make_model: MakeModel, hidden: tuple[int, ...], degree: int) -> None:
    model = make_model(hidden=hidden, degree=degree, scores=2)
    score, bounds = served(export_graphs(model)), graph(bounds_graph(fold(model), "classification", OPSET))
    row = synthetic_rows(model.columns, 1, 0).astype(np.float64)
    label = score(row).argmax(axis=1)
    points = np.random.default_rng(0).uniform(-1, 1, (200, row.shape[1]))
    for exponent in range(0, 39, 2):
        radius = 10.0**exponent * model.columns.std
        with np.errstate(over="ignore"):
            scores = score(np.clip(row + radius * points, -3.4e38, 3.4e38))
        found = bound(bounds, Boxes(row - radius, row + radius, label))
        held = (scores >= found.lower) & (scores <= found.upper)
        assert (held | ~np.isfinite(found.lower) | ~np.isfinite(found.upper)).all()


@pytest.mark.parametrize(
    ("task", "hidden", "degree", "expected"),
    [
        (
            "classification",
            (6,),
            3,
            [
                -0.71647593845,
                0.33657315316,
                0.28496066188,
                -0.66575217786,
                0.41155374047,
                0.34914064285,
                -1.2906377597e-06,
                -1.119900102,
                -1.0520720785,
            ],
        ),
        (
            "classification",
            (5, 4),
            2,
            [
                -0.73264356222,
                0.48068061545,
                0.21890477146,
                -0.70946873157,
                0.51335812333,
                0.22916874548,
                -9.9213781292e-07,
                -1.2459947317,
                -0.95196710599,
            ],
        ),
        (
            "classification",
            (5, 4, 3),
            5,
            [
                -0.35011767335,
                0.014795090755,
                0.31231721435,
                -0.34470291851,
                0.037613912695,
                0.33009438525,
                -7.4863136472e-07,
                -0.38758529714,
                -0.67500401843,
            ],
        ),
        (
            "ordinal",
            (5, 4),
            3,
            [-0.22657133002, -0.70944154319, -1.2806777102, -0.19867726336, -0.68154714975, -1.2527828326],
        ),
        ("regression", (5, 4), 4, [-240.36292371, -238.70951109]),
    ],
)
def test_bounds_are_as_tight_as_they_were(
    make_model: MakeModel, task: Task, hidden: tuple[int, ...], degree: int, expected: list[float]
) -> None:
    np.testing.assert_allclose(waved_bounds(make_model, task, hidden, degree), expected, rtol=1e-8, atol=1e-10)


def waved_bounds(make_model: MakeModel, task: Task, hidden: tuple[int, ...], degree: int) -> list[float]:
    """Bounds of a network whose numbers no version of a generator can change."""
    model = make_model(task, hidden=hidden, degree=degree, scores=1 if task == "regression" else 3)
    with torch.no_grad():
        for number, parameter in enumerate(model.network.parameters()):
            values = 0.5 * wave(*parameter.shape, start=number)
            parameter.copy_(torch.from_numpy(np.sort(values) if parameter.ndim == 1 else values))
    columns = model.columns
    row = columns.mean + 0.5 * columns.std * wave(columns.width)
    found = bound(graph(bounds_graph(fold(model), task, OPSET)), Boxes(
        row[None] - 0.05 * columns.std, row[None] + 0.05 * columns.std, np.zeros(1, np.int64)
    ))  # fmt: skip
    return [float(f"{value:.11g}") for part in (found.lower, found.upper, found.margin_lower) for value in part.ravel()]
