"""The novelty in a model's graph: what it computed before stays as it was, and what is new is the definition's."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.training.nn.folded import fold
from chainzrule.training.novelty.activations import network_of
from chainzrule.training.novelty.graph import NOVELTY_OPSET, with_novelty
from chainzrule.training.novelty.novelty import fit_novelty
from chainzrule.training.publish.golden import synthetic_rows
from tests.training.conftest import Exported
from tests.training.novelty.written import columns_of


def run(content: bytes, x: np.ndarray) -> dict[str, np.ndarray]:
    return Graph(content, "model.onnx", Execution("cpu", threads=1)).run(x)


@pytest.mark.parametrize("pooled", [False, True], ids=["as a table", "as an image"])
def test_a_graph_gains_the_outputs_and_keeps_the_others(exported: Exported, pooled: bool) -> None:
    model, graphs = exported
    columns = replace(model.columns, pooled=pooled)
    x = synthetic_rows(columns, 300, seed=1)
    label = np.arange(300) % 2 if model.link.has_labels else None
    novelty = fit_novelty(x, label, columns, network_of(fold(model), model.task), seed=2)
    assert novelty is not None
    content = with_novelty(graphs["model"], novelty)
    before, after = run(graphs["model"], x[:50]), run(content, x[:50])
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values, err_msg=name)
    assert set(after) - set(before) == ({"novelty"} if pooled else {"novelty", "deviations"})
    np.testing.assert_allclose(after["novelty"][:, 0], novelty.score(x[:50]), rtol=1e-3, atol=2e-3)
    if not pooled:
        expected = novelty.deviations(x[:50])
        assert expected is not None
        np.testing.assert_allclose(after["deviations"], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_gaps_are_judged_by_what_stands_in_for_them() -> None:
    text = '<ir_version: 7, opset_import: ["" : 18]> m (float[n,3] features) => (float[n,3] scores)'
    content = onnx.parser.parse_model(f"{text} {{ scores = Identity(features) }}").SerializeToString()
    x = np.random.default_rng(0).normal(size=(250, 3)).astype(np.float32)
    novelty = fit_novelty(x, None, columns_of(x), None, seed=1)
    assert novelty is not None
    fill = np.array([0.5, -0.25, 1.0], np.float32)
    gapped = x[:20].copy()
    gapped[::2, 1] = np.nan
    found = run(with_novelty(content, novelty, fill), gapped)
    filled = np.where(np.isnan(gapped), fill, gapped)
    np.testing.assert_allclose(found["novelty"], run(with_novelty(content, novelty), filled)["novelty"], rtol=1e-5)
    np.testing.assert_array_equal(np.isnan(found["scores"]), np.isnan(gapped))  # the model itself sees the gap


def test_the_same_novelty_gives_the_same_bytes(classifier: Exported) -> None:
    model, graphs = classifier
    x = synthetic_rows(model.columns, 100, seed=1)
    first, second = (fit_novelty(x, None, model.columns, None, seed=2) for _ in range(2))
    assert first is not None
    assert second is not None
    assert with_novelty(graphs["model"], first) == with_novelty(graphs["model"], second)


@pytest.mark.parametrize("opset", [NOVELTY_OPSET, 17, 20])
@pytest.mark.parametrize("width", [3, 200])
def test_graphs_of_any_opset_from_the_oldest_on_take_it(opset: int, width: int) -> None:
    text = f'<ir_version: 7, opset_import: ["" : {opset}]> m (float[n,{width}] features) => (float[n,{width}] scores)'
    content = onnx.parser.parse_model(f"{text} {{ scores = Neg(features) }}").SerializeToString()
    random = np.random.default_rng(0)
    x = random.normal(size=(250, width)).astype(np.float32)
    novelty = fit_novelty(x, None, columns_of(x), None, seed=1)
    assert novelty is not None
    found = run(with_novelty(content, novelty), x[:9])
    np.testing.assert_allclose(found["novelty"][:, 0], novelty.score(x[:9]), rtol=1e-3, atol=2e-3)
