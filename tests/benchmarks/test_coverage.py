"""`benchmarks.coverage` on drawn rows: the service's regions, in a box and without, and the report."""

import numpy as np
import pytest

from benchmarks.coverage.boxes import in_boxes
from benchmarks.coverage.contenders import ours
from benchmarks.coverage.report import table
from benchmarks.coverage.subjects import Fold, Subject
from chainzrule.service.stability.link import link_of
from chainzrule.training.data.dataset import Rows
from chainzrule.training.measure.outputs import predict
from chainzrule.training.publish.golden import synthetic_rows
from tests.training.conftest import MakeModel

CONFIDENCES = np.array([0.8, 0.9])


def subject(make_model: MakeModel, task: str, rows: int = 120) -> Subject:
    """Rows whose truth is drawn around what a random network says of them."""
    model = make_model(task, scores={"classification": 3, "ordinal": 3, "regression": 1}[task])
    x, random = synthetic_rows(model.columns, rows, seed=1), np.random.default_rng(2)
    y = np.zeros(rows, np.int64 if task != "regression" else np.float32)
    outputs = predict(model, Rows(x, y))
    assert outputs.covariance is not None
    scores = outputs.scores.astype(np.float64)
    link = link_of(task, scores.shape[1])  # type: ignore[arg-type]
    probabilities = link.probabilities(scores)
    if probabilities is None:
        y = scores[:, 0] + scores[:, 0].std() * random.normal(size=rows)
    else:
        y = np.array([random.choice(len(p), p=p / p.sum()) for p in probabilities])
    volatility = np.sqrt(outputs.covariance.trace(axis1=1, axis2=2, dtype=np.float64))
    return Subject(task, link, x, y, scores, volatility, (Fold(model, np.arange(rows)),))


@pytest.mark.parametrize("task", ["classification", "ordinal", "regression"])
def test_regions_hold_the_truth_also_where_noise_is_the_worst(make_model: MakeModel, task: str) -> None:
    found = subject(make_model, task)
    [(held, sizes)] = ours(found, np.arange(60), np.arange(60, 120), CONFIDENCES).values()
    assert (np.abs(held - CONFIDENCES) < 0.15).all()
    assert 0 < sizes[0] <= sizes[1]
    for box, confidence in zip(in_boxes(found, 1.0, CONFIDENCES), CONFIDENCES, strict=True):
        assert box["coverage"] > confidence - 0.02
        assert box["coverage_attacked"] < box["coverage_box_attacked"]
        assert box["coverage_box_attacked"] >= box["coverage"] - 0.02
        assert box["size"] < box["size_box"]


def test_the_report_names_the_smallest_rival_that_covers() -> None:
    def way(name: str, coverage: float, size: float) -> dict[str, object]:
        return {
            "way": name,
            "coverage": [coverage],
            "coverage_error": [0.001],
            "size": [size],
            "size_error": [0.01],
            "size_over_ours": [size / 2.0],
        }

    ways = [way("ChainzRule", 0.901, 2.0), way("small", 0.8, 1.0), way("fair", 0.895, 2.2), way("large", 0.99, 3.0)]
    box = {"confidence": 0.9, "coverage": 0.9, "coverage_attacked": 0.7, "coverage_box_attacked": 0.91}
    facts = {"subject": "rows", "rows": 10, "ways": ways, "boxes": [box | {"size": 2.0, "size_box": 2.5}]}
    written = table({"splits": 3, "confidences": [0.9], "radius": 1.0, "subjects": [facts]})
    assert "| rows | 90% | +0.10 points | fair | 1.100 |" in written
    assert "| rows | 90% | 90.00 | 70.00 | 91.00 | 2 | 2.5, 1.25x |" in written
