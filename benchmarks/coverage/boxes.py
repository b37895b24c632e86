"""Moves rows to the worst points of a box of noise, and counts the regions that hold the truth all the same."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.coverage.subjects import Fold, Subject
from chainzrule.service.runtime.bounds import Boxes, bound
from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.service.stability.certificate import conclude
from chainzrule.service.stability.conformal import Regions, intervals, label_sets, make_conformity
from chainzrule.training.bounds.graph import bounds_graph
from chainzrule.training.export.onnx import OPSET
from chainzrule.training.nn.folded import fold

STEPS = 3  # of the attack on a label, each to a corner of the box
Floats = NDArray[np.float64]


def in_boxes(subject: Subject, radius: float, confidences: Floats) -> list[dict[str, float]]:
    """Returns for each confidence what regions hold, and how large they are, without and with noise.

    The noise of a row is the worst that was found: the corner at which the model's own slope lets the truth's error
    grow most, sought in a few steps from the row.

    Args:
        subject: rows, with the models that were fitted without them.
        radius: half the width of the box, in sigmas of each feature's noise.
        confidences: what is asked for.
    """
    link = subject.link
    known = make_conformity(link, subject.scores, subject.y, subject.volatility, out_of_fold=True)
    regions = Regions(known, link.has_labels and link.has_value)
    parts = [_fold(subject, part, regions, radius, confidences) for part in subject.folds]
    mean = np.average(parts, axis=0, weights=[len(part.index) for part in subject.folds])
    names = ("coverage", "coverage_attacked", "coverage_box_attacked", "size", "size_box")
    return [
        {"confidence": float(one), **dict(zip(names, row.tolist(), strict=True))}
        for one, row in zip(confidences, mean, strict=True)
    ]


def _fold(subject: Subject, part: Fold, regions: Regions, radius: float, confidences: Floats) -> Floats:
    link, model = subject.link, part.model
    graph = Graph(bounds_graph(fold(model), link.task, OPSET), "bounds.onnx", Execution("cpu", 1))
    reach = radius * model.columns.noise
    x, y = subject.x[part.index].astype(np.float64), subject.y[part.index]
    points = _attacks(subject, part, x, y, reach)

    def held(at: Floats, boxed: bool) -> list[tuple[NDArray[np.bool_], Floats]]:
        """Returns for each confidence (rows,) whether the region holds the truth, and its size."""
        s, volatility = _said(model, at)
        label, half = link.label(s), reach if boxed else 0.0 * reach
        found = bound(graph, Boxes(at - half, at + half, label))
        reached = conclude(link, label, *found)
        results = []
        for confidence in confidences:
            limit = regions.limits(np.array([confidence]))
            if link.has_labels:
                assert reached.probabilities is not None
                sets = label_sets(reached.probabilities[1], label, limit, regions.ordered)
                results.append((sets[np.arange(len(at)), y.astype(np.int64)], sets.sum(axis=1).astype(np.float64)))
            else:
                assert reached.value is not None
                assert regions.scale is not None
                low, high = intervals(*reached.value, regions.scale + regions.per_volatility * volatility, limit)
                results.append(((low <= y) & (y <= high), high - low))
        return results

    plain, box = held(x, boxed=False), held(x, boxed=True)
    attacked = [held(point, boxed=False) for point in points]
    boxed = [held(point, boxed=True) for point in points]
    rows = []
    for at in range(len(confidences)):
        worst, worst_boxed = (np.all([one[at][0] for one in ways], axis=0).mean() for ways in (attacked, boxed))
        rows.append([plain[at][0].mean(), worst, worst_boxed, plain[at][1].mean(), box[at][1].mean()])
    return np.array(rows)


def _attacks(subject: Subject, part: Fold, x: Floats, y: NDArray[np.generic], reach: Floats) -> list[Floats]:
    """Returns points of the rows' boxes, (rows, D) each, at which the truth's error is large."""
    if not subject.link.has_labels:
        slope = np.sign(_jacobian(part.model, x)[:, 0])
        return [x + reach * slope, x - reach * slope]
    points, at = [], x
    for _ in range(STEPS):
        s, _ = _said(part.model, at)
        step = 1e-4
        moved = [subject.link.log_likelihood(s + step * np.eye(s.shape[1])[k], y) for k in range(s.shape[1])]
        per_score = (np.stack(moved, axis=1) - subject.link.log_likelihood(s, y)[:, None]) / step
        at = x - reach * np.sign(np.einsum("rs,rsd->rd", per_score, _jacobian(part.model, at)))
        points.append(at)
    return points


def _said(model: Any, x: Floats) -> tuple[Floats, Floats]:
    """Returns the (rows, S) scores and the (rows,) volatility of a regression's output."""
    rows = torch.from_numpy(x.astype(np.float32))
    covariance = model.covariance(rows).numpy().astype(np.float64)
    return model.scores(rows).numpy().astype(np.float64), np.sqrt(covariance.trace(axis1=1, axis2=2))


def _jacobian(model: Any, x: Floats) -> Floats:
    found: Floats = model.jacobian(torch.from_numpy(x.astype(np.float32))).numpy().astype(np.float64)
    return found
