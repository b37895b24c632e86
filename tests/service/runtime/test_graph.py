"""ONNX graphs in ONNX Runtime, and where they run."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from chainzrule.service.errors import ArtifactError, DeviceError
from chainzrule.service.runtime import graph as module
from chainzrule.service.runtime.graph import CPU_ROWS, Execution, Graph, choose_execution, runtime_version
from tests.artifacts import BINARY, CLASSIFIER, CUBIC

CPU = Execution("cpu", threads=1)


def test_signature_and_run() -> None:
    graph = Graph(CLASSIFIER.graphs["model"], "model.onnx", CPU)
    assert graph.inputs == {"features": ("tensor(float)", ("batch", 2))}
    assert graph.outputs == {
        "scores": ("tensor(float)", ("batch", 3)),
        "covariance": ("tensor(float)", ("batch", 3, 3)),
        "probabilities": ("tensor(float)", ("batch", 3)),
    }
    rows = CLASSIFIER.rows(5)
    found = graph.run(rows.astype(np.float32))
    assert list(found) == list(graph.outputs)
    np.testing.assert_allclose(found["scores"], CLASSIFIER.scores(rows), atol=1e-6)
    np.testing.assert_allclose(found["covariance"], CLASSIFIER.covariance(rows), atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x00" * 1000, CLASSIFIER.graphs["model"][:-20]])
def test_garbage_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(ArtifactError, match="cannot load it") as caught:
        Graph(content, "model.onnx", CPU)
    assert caught.value.place == "model.onnx"


def test_unknown_operators_are_refused() -> None:
    node = helper.make_node("LaunchMissiles", ["features"], ["scores"], domain="made.up")
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in ("features", "scores")]
    model = helper.make_model(helper.make_graph([node], "g", value[:1], value[1:]), ir_version=9)
    model.opset_import.append(helper.make_opsetid("made.up", 1))
    with pytest.raises(ArtifactError, match="cannot load it"):
        Graph(model.SerializeToString(), "model.onnx", CPU)


@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "{folder}/weights.bin"])
def test_data_outside_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    monkeypatch.chdir(tmp_path)  # where a loader would look
    (tmp_path / "weights.bin").write_bytes(np.ones((2, 3), np.float32).tobytes())
    (tmp_path.parent / "weights.bin").write_bytes(np.ones((2, 3), np.float32).tobytes())
    model = onnx.load_from_string(CLASSIFIER.graphs["model"])
    weights = next(initializer for initializer in model.graph.initializer if initializer.name == "Wt")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", location.format(folder=tmp_path)
    with pytest.raises(ArtifactError, match="cannot load it"):
        Graph(model.SerializeToString(), "model.onnx", CPU)
    # The same graph with the data inside is fine: it is their place that was refused.
    weights.CopyFrom(numpy_helper.from_array(np.ones((2, 3), np.float32), "Wt"))
    Graph(model.SerializeToString(), "model.onnx", CPU)


def test_cuda_is_refused_with_a_reason_where_it_does_not_work() -> None:
    if module._cuda_fault(1) is None:
        pytest.skip("CUDA works on this machine")
    with pytest.raises(DeviceError, match=r"device=cuda cannot be used: .*(chainzrule|CUDA|driver)"):
        choose_execution("cuda", 1)


def test_auto_falls_back_and_says_so() -> None:
    if module._cuda_fault(1) is None:
        pytest.skip("CUDA works on this machine")
    execution = choose_execution("auto", 3)
    assert (execution.device, execution.threads, execution.provider) == ("cpu", 3, "CPUExecutionProvider")
    assert execution.note.startswith("device=auto runs on the CPU: ")


def test_cpu_needs_no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_cuda_fault", lambda threads: pytest.fail("CUDA was probed"))
    assert choose_execution("cpu", 2) == Execution("cpu", 2)


def test_where_cuda_works_it_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_cuda_fault", lambda threads: None)
    for device in ("cuda", "auto"):
        assert choose_execution(device, 2) == Execution("cuda", 2)  # type: ignore[arg-type]
    assert Execution("cuda", 2).provider == "CUDAExecutionProvider"


def test_a_silent_fallback_of_onnx_runtime_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # It says that CUDA is there, takes the provider, and runs on the CPU all the same.
    real = module._session
    monkeypatch.setattr(module.ort, "get_available_providers", lambda: [module._CUDA, module._CPU])
    monkeypatch.setattr(module, "_session", lambda content, execution, arena: real(content, CPU, arena))
    with pytest.raises(DeviceError, match="could not load CUDA"):
        choose_execution("cuda", 1)
    assert "could not load CUDA" in choose_execution("auto", 1).note
    with pytest.raises(DeviceError, match=r"model\.onnx was to run on cuda"):
        Graph(BINARY.graphs["model"], "model.onnx", Execution("cuda", 1))


def test_a_provider_that_raises_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(content: bytes, execution: Execution, arena: bool) -> None:
        raise RuntimeError("libcudart is missing")

    monkeypatch.setattr(module.ort, "get_available_providers", lambda: [module._CUDA, module._CPU])
    monkeypatch.setattr(module, "_session", fail)
    with pytest.raises(DeviceError, match=r"failed to start CUDA \(RuntimeError\)"):
        choose_execution("cuda", 1)


def test_the_probe_is_a_graph() -> None:
    graph = Graph(module._PROBE, "probe", CPU)
    assert list(graph.inputs) == ["x"]
    assert list(graph.outputs) == ["y"]


def test_the_runtime_has_a_version() -> None:
    assert runtime_version().count(".") >= 1


@pytest.mark.parametrize("arena", [True, False])
def test_memory_is_kept_between_runs_unless_told_otherwise(arena: bool) -> None:
    content = BINARY.graphs["model"]
    usual, own = Graph(content, "model.onnx", CPU), Graph(content, "model.onnx", CPU, arena=arena)
    assert usual._session.get_session_options().enable_cpu_mem_arena
    assert own._session.get_session_options().enable_cpu_mem_arena == arena
    assert own._session.get_session_options().intra_op_num_threads == CPU.threads
    assert own._session.get_session_options().inter_op_num_threads == 1


@pytest.mark.parametrize("rows", [1, 2, 8, 9, 64, 65, 1024, 1025])
def test_bound_buffers_answer_as_plain_runs_do_whatever_they_held_before(rows: int) -> None:
    content = CUBIC.graphs["model"]
    bound, plain = Graph(content, "model.onnx", CPU), Graph(content, "model.onnx", CPU)
    bound.bind("cpu")
    first, second = CUBIC.rows(rows).astype(np.float32), CUBIC.rows(rows, seed=2).astype(np.float32)
    kept = bound.run(first)
    again = bound.run(second)
    for found, features in ((kept, first), (again, second)):
        expected = plain.run(features)
        assert list(found) == list(expected)
        for name, values in expected.items():
            assert found[name].shape == values.shape
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("rows", [0, 1, CPU_ROWS, CPU_ROWS + 1, 3 * CPU_ROWS - 1])
def test_many_rows_run_in_parts_whose_answers_come_in_their_order(rows: int) -> None:
    graph, features = Graph(CUBIC.graphs["model"], "model.onnx", CPU), CUBIC.rows(rows).astype(np.float32)
    found, whole = graph.run(features), graph._session.run(None, {"features": features})
    sizes = []
    session = graph._session

    class Watched:
        def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            sizes.append(len(inputs["features"]))
            answers: list[np.ndarray] = session.run(names, inputs)
            return answers

    graph._session = Watched()
    graph.run(features)
    assert sum(sizes) == rows
    assert max(sizes) <= CPU_ROWS
    for values, expected in zip(found.values(), whole, strict=True):
        assert values.shape == expected.shape
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)


def test_buffers_are_made_once_for_each_of_few_sizes_and_padded_with_zeros() -> None:
    graph = Graph(CUBIC.graphs["model"], "model.onnx", CPU)
    graph.bind("cpu")
    assert graph._bound is not None
    for rows in (1, 2, 7, 8, 3, 1000, 2000):
        graph.run(CUBIC.rows(rows).astype(np.float32))
    assert sorted(graph._bound._buffers) == [1, 8, 1024]  # more rows are run in parts
    held = graph._bound._buffers[8].host
    np.testing.assert_array_equal(held[:3], CUBIC.rows(3).astype(np.float32))
    assert not held[3:].any()


def test_a_graph_in_float64_computes_from_named_inputs() -> None:
    nodes = [helper.make_node("Sub", ["high", "low"], ["width"]), helper.make_node("Add", ["high", "low"], ["sum"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["batch", 2]) for name in ("low", "high")]
    made = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["batch", 2]) for name in ("width", "sum")]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ends, made), ir_version=9, opset_imports=[helper.make_opsetid("", 20)]
    )
    low, high = np.array([[1.0, 2.0]]), np.array([[1.0 + 1e-12, 5.0]])
    found = Graph(model.SerializeToString(), "bounds.onnx", CPU).compute(low=low, high=high)
    np.testing.assert_array_equal(found["width"], high - low)
    np.testing.assert_array_equal(found["sum"], high + low)
