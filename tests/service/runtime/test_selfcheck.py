"""Each kind of damage keeps a model version out of service, by name."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from chainzrule.service.artifact.card import Role
from chainzrule.service.errors import ArtifactError
from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.service.runtime.model import Model
from chainzrule.service.runtime.selfcheck import accept, golden_features, load, open_bounds, parity_rows
from tests.artifacts import (
    ALL,
    CLASSIFIER,
    CUBIC,
    FAMILIAR,
    MIXED,
    ORDINAL,
    PICTURE,
    REGRESSION,
    SILENT,
    Toy,
    edited,
    probed,
    tensor,
)
from tests.service.serving.bounded import bounded

CPU = Execution("cpu", threads=1)
Change = Callable[[onnx.ModelProto], None]


def refused(toy: Toy) -> str:
    with pytest.raises(ArtifactError) as caught:
        accept(toy.artifact())
    return str(caught.value)


def damaged(change: Change, role: Role = "model", toy: Toy = CLASSIFIER) -> str:
    return refused(toy.with_graph(role, edited(toy.graphs[role], change)))


def rename(old: str, new: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        for node in model.graph.node:
            node.input[:] = [new if name == old else name for name in node.input]
            node.output[:] = [new if name == old else name for name in node.output]
        for value in (*model.graph.input, *model.graph.output):
            value.name = new if value.name == old else value.name

    return change


def shape(name: str, *dimensions: int | str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        for value in (*model.graph.input, *model.graph.output):
            if value.name == name:
                value.CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, dimensions))

    return change


def constant(name: str, edit: Callable[[np.ndarray], None]) -> Change:
    def change(model: onnx.ModelProto) -> None:
        stored = next(initializer for initializer in model.graph.initializer if initializer.name == name)
        values = numpy_helper.to_array(stored).copy()
        edit(values)
        stored.CopyFrom(numpy_helper.from_array(values, name))

    return change


def put(at: tuple[int, ...], value: float) -> Callable[[np.ndarray], None]:
    def edit(values: np.ndarray) -> None:
        values[at] = value

    return edit


@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
def test_sound_artifacts_are_accepted(toy: Toy) -> None:
    accept(toy.artifact())
    load(toy.artifact(), CPU)
    np.testing.assert_array_equal(golden_features(toy.card()), toy.rows(4, seed=toy.seed + 100).astype(np.float32))


def test_other_outputs() -> None:
    expected = "model.onnx: must have exactly the outputs covariance, probabilities, scores"
    assert damaged(rename("scores", "logits")) == expected
    assert damaged(rename("covariance", "Scores")) == expected
    assert damaged(lambda model: model.graph.output.pop()) == expected
    assert "jacobian.onnx: must have exactly the outputs jacobian, layer_norms" in damaged(
        rename("layer_norms", "norms"), "jacobian"
    )
    assert damaged(rename("scores", "value"), toy=REGRESSION).endswith("outputs covariance, scores")


def test_novelty_that_the_card_does_not_promise_and_promised_novelty_that_is_missing() -> None:
    every = "model.onnx: must have exactly the outputs covariance, deviations, novelty, probabilities, scores"
    assert damaged(rename("novelty", "surprise"), toy=FAMILIAR) == every
    assert damaged(rename("deviations", "residuals"), toy=FAMILIAR) == every
    silent = replace(CLASSIFIER, features=FAMILIAR.features, name="familiar")
    assert refused(silent.with_graph("model", FAMILIAR.graphs["model"])).endswith("covariance, probabilities, scores")


def test_outputs_too_many() -> None:
    def more(model: onnx.ModelProto) -> None:
        model.graph.node.append(helper.make_node("Identity", ["scores"], ["more"]))
        model.graph.output.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["batch", 3]))

    assert damaged(more) == "model.onnx: must have exactly the outputs covariance, probabilities, scores"


def test_other_inputs() -> None:
    assert damaged(rename("features", "x")) == "model.onnx: must have exactly the input features"
    assert damaged(rename("features", "x"), "jacobian") == "jacobian.onnx: must have exactly the input features"

    def more(model: onnx.ModelProto) -> None:
        model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["batch", 3]))

    assert damaged(more) == "model.onnx: must have exactly the input features"


@pytest.mark.parametrize("role", ["model", "jacobian"])
def test_a_fixed_batch(role: Role) -> None:
    assert damaged(shape("features", 4, 2), role) == f"{role}.onnx: features must have the shape ('batch', 2)"


def test_graphs_of_another_width() -> None:
    wider = replace(CLASSIFIER, features=MIXED.features)
    content = wider.graphs["model"]
    assert refused(CLASSIFIER.with_graph("model", content)) == "model.onnx: features must have the shape ('batch', 2)"


def test_graphs_of_other_outputs() -> None:
    four = replace(CLASSIFIER, labels=("a", "b", "c", "d"))
    reason = refused(CLASSIFIER.with_graph("model", four.graphs["model"]))
    assert reason.startswith("model.onnx: ")
    assert "must have the shape ('batch', 3" in reason
    reason = refused(CLASSIFIER.with_graph("jacobian", four.graphs["jacobian"]))
    assert reason == "jacobian.onnx: jacobian must have the shape ('batch', 3, 2)"


def test_another_type() -> None:
    def double(model: onnx.ModelProto) -> None:
        rename("scores", "single")(model)
        for node in model.graph.node:
            node.input[:] = ["single" if name == "scores" else name for name in node.input]
        model.graph.node.append(helper.make_node("Cast", ["single"], ["scores"], to=TensorProto.DOUBLE))
        outputs = [value for value in model.graph.output if value.name != "single"]
        del model.graph.output[:]
        model.graph.output.extend([*outputs, helper.make_tensor_value_info("scores", TensorProto.DOUBLE, ["batch", 3])])

    assert damaged(double) == "model.onnx: scores must be float32"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
def test_weights_that_are_no_weights(value: float) -> None:
    assert damaged(constant("Wt", put((0, 0), value))) == "model.onnx: does not reproduce the golden rows' scores"
    assert damaged(constant("W", put((0, 0), value))) == "model.onnx: does not reproduce the golden rows' covariance"
    reason = damaged(constant("W", put((0, 0), value)), "jacobian")
    assert reason == "jacobian.onnx: does not reproduce the golden rows' jacobian"


def test_a_slightly_wrong_weight() -> None:
    def nudge(values: np.ndarray) -> None:
        values[0, 0] += 0.02

    assert "golden rows' scores" in damaged(constant("Wt", nudge))
    assert "golden rows' covariance" in damaged(constant("W", nudge))
    assert "golden rows' scores" in damaged(constant("Wt", nudge), toy=REGRESSION)


def shifting() -> Toy:
    """A model whose graph also says how the noise shifts the mean of its scores: by a hundredth of them."""

    def add(model: onnx.ModelProto) -> None:
        model.graph.node.append(helper.make_node("Mul", ["scores", "hundredth"], ["mean_shift"]))
        model.graph.initializer.append(numpy_helper.from_array(np.array(0.01, dtype=np.float32), "hundredth"))
        model.graph.output.append(helper.make_tensor_value_info("mean_shift", TensorProto.FLOAT, ["batch", 3]))

    golden = CLASSIFIER.card().golden
    shift = 0.01 * CLASSIFIER.scores(CLASSIFIER.rows(4, seed=CLASSIFIER.seed + 100))
    changes = {"golden": golden.model_copy(update={"mean_shift": tensor(shift)})}
    return replace(CLASSIFIER, changes=changes).with_graph("model", edited(CLASSIFIER.graphs["model"], add))


def moved_by(toy: Toy, name: str, share: float) -> Toy:
    """The same graphs, with one golden value moved by a share of the largest."""
    golden = toy.card().golden
    stored = getattr(golden, name)
    values = np.frombuffer(stored.raw, dtype="<f4").reshape(stored.shape).astype(np.float64)
    values.flat[1] += share * np.abs(values).max()
    other = replace(toy, changes=toy.changes | {"golden": golden.model_copy(update={name: tensor(values)})})
    other.__dict__["graphs"] = toy.graphs
    return other


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(
    ("toy", "name", "tolerance"),
    [
        (CLASSIFIER, "scores", 1e-3),
        (CLASSIFIER, "covariance", 1e-3),
        (CLASSIFIER, "jacobian", 1e-3),
        (shifting(), "mean_shift", 1e-3),
        (FAMILIAR, "novelty", 1e-3),
        (FAMILIAR, "deviations", 1e-3),
        (PICTURE, "novelty", 1e-3),
        (probed(CLASSIFIER, "finite_difference"), "scores", 1e-3),
        (probed(CLASSIFIER, "finite_difference"), "covariance", 2e-2),
        (probed(CLASSIFIER, "finite_difference"), "jacobian", 2e-2),
        (probed(CLASSIFIER, "monte_carlo"), "covariance", 1e-3),
    ],
    ids=lambda case: getattr(case, "name", case),
)
def test_golden_rows_are_reproduced_to_a_tolerance(toy: Toy, name: str, tolerance: float, sign: float) -> None:
    accept(moved_by(toy, name, 0.8 * sign * tolerance).artifact())
    reason = refused(moved_by(toy, name, 1.3 * sign * tolerance))
    assert reason.endswith(f".onnx: does not reproduce the golden rows' {name}")


def test_rounding_is_no_damage() -> None:
    def nudge(values: np.ndarray) -> None:
        values *= 1.0 + 1e-6

    toy = CLASSIFIER.with_graph("model", edited(CLASSIFIER.graphs["model"], constant("Wt", nudge)))
    accept(toy.artifact())


def test_golden_rows_of_another_model() -> None:
    other = replace(CLASSIFIER, seed=99)
    card = CLASSIFIER.card().model_copy(update={"golden": other.card().golden})
    assert "golden rows' scores" in refused(replace(CLASSIFIER, changes={"golden": card.golden}))


def test_golden_rows_that_are_not_finite() -> None:
    golden = CLASSIFIER.card().golden
    broken = golden.model_copy(update={"scores": tensor(np.full((4, 3), np.nan))})
    assert "golden rows' scores" in refused(replace(CLASSIFIER, changes={"golden": broken}))
    broken = golden.model_copy(update={"features": tensor(np.full((4, 2), np.nan))})
    assert "golden rows' scores" in refused(replace(CLASSIFIER, changes={"golden": broken}))


def test_probabilities_that_are_not_those_of_the_scores() -> None:
    def reverse(model: onnx.ModelProto) -> None:
        rename("probabilities", "forward")(model)
        last = helper.make_node("Gather", ["forward", "order"], ["probabilities"], axis=1)
        model.graph.node.append(last)
        model.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0]), "order"))
        for value in model.graph.output:
            value.name = "probabilities" if value.name == "forward" else value.name

    assert damaged(reverse) == "model.onnx: its probabilities are not those of its scores"
    nan = constant("differences", put((0, 0), float("nan")))
    assert damaged(nan, toy=ORDINAL) == "model.onnx: its probabilities are not those of its scores"


def test_a_truncated_graph() -> None:
    for role in ("model", "jacobian"):
        toy = CLASSIFIER.with_graph(role, CLASSIFIER.graphs[role][: len(CLASSIFIER.graphs[role]) // 2])
        assert refused(toy).startswith(f"{role}.onnx: ONNX Runtime cannot load it")


def opened(toy: Toy) -> Model:
    artifact = toy.artifact()
    return Model(artifact.card, artifact.graphs, CPU)


def test_the_bounds_graph_is_checked_by_publishers_and_only_prepared_by_the_service() -> None:
    assert open_bounds(CLASSIFIER.artifact(), opened(CLASSIFIER)) is None
    toy = bounded(CLASSIFIER)
    accept(toy.artifact())
    garbage = toy.with_graph("bounds", b"garbage")
    artifact = garbage.artifact()
    found = open_bounds(artifact, load(artifact, CPU))  # a service opens it with the first question for it
    assert found is not None
    with pytest.raises(ArtifactError, match=r"bounds\.onnx: ONNX Runtime cannot load it"):
        found.open()
    assert refused(garbage).startswith("bounds.onnx: ONNX Runtime cannot load it")


@pytest.mark.parametrize("toy", [CLASSIFIER, MIXED], ids=lambda toy: toy.name)
def test_devices_are_compared_on_the_golden_rows_with_noise(toy: Toy) -> None:
    model, card = opened(toy), toy.card()
    rows, golden = parity_rows(model, card), golden_features(card)
    assert rows.dtype == np.float32
    assert rows.shape == (64, golden.shape[1])
    np.testing.assert_array_equal(rows, parity_rows(model, card))  # the same each time
    moved = np.abs(rows - np.resize(golden, rows.shape))
    noisy = model.rows.noise > 0
    assert (moved[:, ~noisy] == 0).all(), "what has no noise, such as a level, stays"
    assert (moved[:, noisy] > 0).all()
    assert (moved <= 6 * model.rows.noise + 1e-6).all()


def test_a_graph_on_another_device_is_held_against_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where there is no other device, the CPU is given another's name; the runs and the comparison are real.
    monkeypatch.setattr(Execution, "provider", property(lambda self: "CPUExecutionProvider"))
    monkeypatch.setattr("chainzrule.service.runtime.graph._providers", lambda execution: ["CPUExecutionProvider"])
    bind, run = Graph.bind, Graph.run
    monkeypatch.setattr(Graph, "bind", lambda self, device: bind(self, "cpu"))
    device = Execution("cuda", threads=1)
    assert load(CUBIC.artifact(), device).execution is device

    def imprecise(graph: Graph, features: np.ndarray) -> dict[str, np.ndarray]:
        return {name: values * (1.0005 if graph._bound else 1.0) for name, values in run(graph, features).items()}

    monkeypatch.setattr(Graph, "run", imprecise)
    with pytest.raises(ArtifactError, match=r"model\.onnx: differs from the CPU by 5\.\de-04"):
        load(CUBIC.artifact(), device)
    load(CUBIC.artifact(), CPU)


def with_layers() -> Toy:
    """The Jacobian's graph without the norms of the layers, which have a graph of their own."""

    def only(name: str) -> Change:
        def change(model: onnx.ModelProto) -> None:
            kept = [value for value in model.graph.output if value.name == name]
            del model.graph.output[:]
            model.graph.output.extend(kept)

        return change

    graph = CUBIC.graphs["jacobian"]
    split = CUBIC.with_graph("jacobian", edited(graph, only("jacobian")))
    return split.with_graph("layers", edited(graph, only("layer_norms")))


def test_layers_may_have_a_graph_of_their_own() -> None:
    toy = with_layers()
    accept(toy.artifact())
    reason = refused(toy.with_graph("layers", edited(toy.graphs["layers"], rename("layer_norms", "norms"))))
    assert reason == "layers.onnx: must have exactly the outputs layer_norms"
    reason = refused(toy.with_graph("jacobian", CUBIC.graphs["jacobian"]))
    assert reason == "jacobian.onnx: must have exactly the outputs jacobian"


def test_a_model_without_noise_reproduces_covariances_of_nothing() -> None:
    accept(SILENT.artifact())
    assert "golden rows' covariance" in refused(moved_to(SILENT, "covariance", 1e-6))


def moved_to(toy: Toy, name: str, value: float) -> Toy:
    """The same graphs, with golden values that are all the same."""
    golden = toy.card().golden
    other = tensor(np.full(getattr(golden, name).shape, value))
    changed = replace(toy, changes=toy.changes | {"golden": golden.model_copy(update={name: other})})
    changed.__dict__["graphs"] = toy.graphs
    return changed
