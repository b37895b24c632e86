"""A device must compute what the CPU does. The CPU stands in for the device: buffers are bound on it all the same."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.errors import ArtifactError
from chainzrule.service.runtime import parity, selfcheck
from chainzrule.service.runtime.graph import BOUND_ROWS, Execution, Graph
from chainzrule.service.runtime.parity import PARITY_TOLERANCE, differences, require_parity
from tests.artifacts import CLASSIFIER, CUBIC, ORDINAL, Toy

CPU = Execution("cpu", threads=1)


def graphs(toy: Toy, role: str = "model") -> tuple[Graph, Graph]:
    """The same graph with bound buffers and without."""
    bound, plain = (Graph(toy.graphs[role], f"{role}.onnx", CPU) for _ in range(2))  # type: ignore[index]
    bound.bind("cpu")
    return bound, plain


@pytest.mark.parametrize("role", ["model", "jacobian"])
@pytest.mark.parametrize("rows", [1, 2, 7, 8, 9, 65, 1000, BOUND_ROWS[-1], BOUND_ROWS[-1] + 1])
def test_bound_runs_answer_what_plain_runs_do(role: str, rows: int) -> None:
    bound, plain = graphs(CUBIC, role)
    features = CUBIC.rows(rows).astype(np.float32)
    found, expected = bound.run(features), plain.run(features)
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name].shape == values.shape
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6)


def test_an_answer_stays_what_it_was_when_the_buffers_are_used_again() -> None:
    bound, plain = graphs(CUBIC)
    first, second = CUBIC.rows(8).astype(np.float32), CUBIC.rows(3, seed=9).astype(np.float32)
    kept = bound.run(first)
    bound.run(second)
    np.testing.assert_allclose(kept["scores"], plain.run(first)["scores"], rtol=1e-5, atol=1e-6)


def test_threads_do_not_write_over_each_other() -> None:
    bound, plain = graphs(CUBIC)
    batches = [CUBIC.rows(1 + n % 9, seed=n).astype(np.float32) for n in range(200)]
    with ThreadPoolExecutor(4) as pool:
        for batch, found in zip(batches, pool.map(bound.run, batches), strict=True):
            np.testing.assert_allclose(found["scores"], plain.run(batch)["scores"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("toy", [CLASSIFIER, CUBIC, ORDINAL], ids=lambda toy: toy.name)
def test_equal_graphs_are_on_par_and_it_is_reported(toy: Toy, caplog: pytest.LogCaptureFixture) -> None:
    bound, plain = graphs(toy)
    with caplog.at_level(logging.INFO):
        require_parity(bound, plain, toy.rows(16).astype(np.float32))
    (record,) = [record for record in caplog.records if record.message == "parity with the CPU"]
    reported = record.largest_relative_difference  # type: ignore[attr-defined]
    assert reported.keys() >= {"scores", "covariance"}
    assert all(0.0 <= value < 1e-5 for value in reported.values())


@pytest.mark.parametrize("share", [0.25, 2.0])
def test_what_differs_too_much_is_refused(share: float) -> None:
    off = replace(CLASSIFIER, weights=CLASSIFIER.W * (1.0 + share * PARITY_TOLERANCE))
    bound, plain = graphs(off)[0], graphs(CLASSIFIER)[1]
    rows = CLASSIFIER.rows(16).astype(np.float32)
    assert differences(bound, plain, rows)["scores"] == pytest.approx(share * PARITY_TOLERANCE, rel=0.01)
    if 2.0 * share < 1.0:  # the covariance is off by twice as much
        require_parity(bound, plain, rows)
        return
    with pytest.raises(ArtifactError, match=r"model\.onnx: differs from the CPU by 8\.0e-04 .* in its covariance"):
        require_parity(bound, plain, rows)


def test_nan_is_infinitely_far() -> None:
    bound, plain = graphs(CLASSIFIER)
    assert differences(bound, plain, np.full((1, 2), np.nan, dtype=np.float32))["scores"] == np.inf


def test_a_version_is_held_against_the_cpu_when_it_runs_elsewhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Where there is no other device, the CPU is given another's name: buffers are bound on it, and the check is made.
    monkeypatch.setattr(Execution, "provider", property(lambda self: "CPUExecutionProvider"))
    monkeypatch.setattr("chainzrule.service.runtime.graph._providers", lambda execution: ["CPUExecutionProvider"])
    bind = Graph.bind
    monkeypatch.setattr(Graph, "bind", lambda self, device: bind(self, "cpu"))
    with caplog.at_level(logging.INFO):
        model = selfcheck.load(CUBIC.artifact(), Execution("cuda", 1))
    assert model.execution.device == "cuda"
    assert [record.graph for record in caplog.records] == ["model.onnx", "jacobian.onnx"]  # type: ignore[attr-defined]

    monkeypatch.setattr(selfcheck, "require_parity", lambda *_: (_ for _ in ()).throw(ArtifactError("too far", "x")))
    with pytest.raises(ArtifactError, match="too far"):
        selfcheck.load(CUBIC.artifact(), Execution("cuda", 1))


def test_the_largest_difference_that_is_allowed_still_is(monkeypatch: pytest.MonkeyPatch) -> None:
    off = replace(CLASSIFIER, weights=CLASSIFIER.W * 1.001)
    bound, plain = graphs(off)[0], graphs(CLASSIFIER)[1]
    rows = CLASSIFIER.rows(16).astype(np.float32)
    largest = max(differences(bound, plain, rows).values())
    monkeypatch.setattr(parity, "PARITY_TOLERANCE", largest)
    require_parity(bound, plain, rows)
    monkeypatch.setattr(parity, "PARITY_TOLERANCE", np.nextafter(largest, 0.0))
    with pytest.raises(ArtifactError, match="differs from the CPU"):
        require_parity(bound, plain, rows)
