"""The best method that holds: exact derivatives, else differences, else draws; and why it is no better one."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import onnx
import pytest

from chainzrule.service.artifact.interface import MAX_PROBED_COLUMNS
from chainzrule.training.adopt.graph import opened
from chainzrule.training.adopt.head import add_head
from chainzrule.training.adopt.method import Choice, choose_method
from chainzrule.training.adopt.rules import RULES
from chainzrule.training.adopt.steps import ROWS
from chainzrule.training.columns import Columns
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import described, model, source_of, sources_of

X = np.random.default_rng(3).normal(size=(80, 3)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(3, 1)).astype(np.float32)
Choose = Callable[..., Choice]


@pytest.fixture
def choose() -> Choose:
    """Chooses for a model of one value, on a sample of unit standard deviations."""

    def make(graph: onnx.ModelProto, x: np.ndarray = X, noise: Sequence[float] = ()) -> Choice:
        source = sources_of(graph)[-1]
        head = add_head(source, "value", 1)
        scores = opened(head.graph)
        columns = Columns.of(described(x.shape[1]), None)
        if noise:
            columns = replace(columns, noise=np.array(noise))
        return choose_method(head, source.operators, lambda x: scores.run(x)["scores"], x, columns, 0)

    return make


def value(body: str, kind: str = "float", **constants: np.ndarray) -> onnx.ModelProto:
    return model(
        body, f"{kind}[batch,3] x", f"{kind}[batch,1] y", {"W": W.astype(kind.replace("float", "f4"))} | constants
    )


def test_exact_derivatives_are_the_best(choose: Choose) -> None:
    found = choose(value("t = Tanh (x) y = MatMul (t, W)"))
    assert (found.method, found.notes) == ("analytic", ())
    assert set(found.graphs) == {"model", "jacobian"}
    assert (found.differences, found.draws) == (None, None)
    assert found.how.startswith("exact derivatives, by the chain rule")
    assert found.jacobian_difference is not None
    assert found.jacobian_difference < 1e-3
    jacobian = opened(found.graphs["jacobian"]).run(X)["jacobian"]
    np.testing.assert_allclose(jacobian[:, 0], (1 - np.tanh(X) ** 2) * W[:, 0], rtol=1e-4, atol=1e-6)


def test_kinks_do_not_speak_against_exact_derivatives(choose: Choose) -> None:
    body = "h = MatMul (x, V) r = Relu (h) y = MatMul (r, U)"
    random = np.random.default_rng(2)
    V, U = (random.normal(size=shape).astype(np.float32) for shape in ((3, 40), (40, 1)))
    assert choose(value(body, V=V, U=U)).method == "analytic"


def differenced(found: Choice) -> str:
    """What a choice of differences says against exact derivatives."""
    assert found.method == "finite_difference"
    assert set(found.graphs) == {"model"}
    assert found.draws is None
    assert found.jacobian_difference is None
    assert found.differences is not None
    assert found.how.startswith(f"central differences at {found.differences.step:g} standard deviations")
    (note,) = found.notes
    return note


def test_without_a_rule_there_are_differences(choose: Choose) -> None:
    note = differenced(choose(value("s = Sin (x) y = MatMul (s, W)")))
    assert note == "no exact derivative: operator Sin has no derivative here"


def test_a_graph_that_does_not_load_is_not_the_best(choose: Choose) -> None:
    # The derivative's own numbers are float32, and ONNX does not mix them with doubles.
    note = differenced(choose(value("t = Tanh (x) y = MatMul (t, W)", "double")))
    assert note.startswith("no exact derivative: its graph does not load (the model: ONNX Runtime cannot load it")


@pytest.mark.parametrize("rule", ["raises", "does not run"])
def test_a_graph_that_cannot_be_made_is_not_the_best(
    choose: Choose, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    def fault(reverse: object, node: object, adjoint: object) -> None:
        raise ZeroDivisionError

    def misfit(reverse, node, adjoint) -> None:  # type: ignore[no-untyped-def]
        reverse.accumulate(node.input[0], adjoint.reshape(-1, 1, 7).reshape(-1, 1, 3))

    monkeypatch.setitem(RULES, "Tanh", fault if rule == "raises" else misfit)
    note = differenced(choose(value("t = Tanh (x) y = MatMul (t, W)")))
    kind = "ZeroDivisionError" if rule == "raises" else "Fail"
    assert note == f"no exact derivative: its graph cannot be made ({kind})"


@pytest.mark.parametrize(("factor", "accepted"), [(1.001, True), (1.05, False), (-1.0, False)])
def test_a_derivative_that_is_not_what_differences_say_is_not_taken(
    choose: Choose, monkeypatch: pytest.MonkeyPatch, factor: float, accepted: bool
) -> None:
    right = RULES["Tanh"]
    monkeypatch.setitem(RULES, "Tanh", lambda reverse, node, adjoint: right(reverse, node, adjoint * factor))
    found = choose(value("t = Tanh (x) y = MatMul (t, W)"))
    if accepted:  # within what differences can tell
        assert found.method == "analytic"
        return
    said, off = differenced(found).split(" are off by ")
    assert said == "no exact derivative: it is not what differences say: half of the rows"
    assert float(off.removesuffix(" or more")) == pytest.approx(abs(factor - 1), rel=0.1)


def test_a_derivative_that_is_wrong_in_an_eighth_of_the_rows_is_not_taken(
    choose: Choose, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = RULES["Tanh"]

    def sometimes(reverse, node, adjoint) -> None:  # type: ignore[no-untyped-def]
        wrong = reverse.writer.node("Greater", reverse.value(node.input[0]), 0.8).cast(1)
        right(reverse, node, adjoint * (1.0 + wrong.reshape(-1, 1, 3)))

    monkeypatch.setitem(RULES, "Tanh", sometimes)
    note = differenced(choose(value("t = Tanh (x) y = MatMul (t, W)")))
    assert note.startswith("no exact derivative: it is not what differences say")


def test_the_exact_derivative_of_fine_stairs_is_not_taken(choose: Choose) -> None:
    """Their treads are flat, which no noise ever sees: differences over many of them do."""
    edges = np.arange(-4, 4, 0.01, dtype=np.float32)[None]
    body = "h = MatMul (x, W) d = Sub (h, edges) f = Mul (d, steep) s = Sigmoid (f) y = MatMul (s, heights)"
    found = choose(value(
        body, edges=edges, steep=np.full(1, 1e4, np.float32), heights=np.full((edges.size, 1), 0.01, np.float32)
    ))  # fmt: skip
    assert found.method != "analytic"
    assert found.notes[0].startswith("no exact derivative: ")


def test_trees_are_drawn_and_never_differenced(choose: Choose) -> None:
    tree = (
        "y = ai.onnx.ml.TreeEnsembleRegressor <nodes_treeids = [0, 0, 0], nodes_nodeids = [0, 1, 2], "
        'nodes_featureids = [0, 0, 0], nodes_modes = ["BRANCH_LEQ", "LEAF", "LEAF"], nodes_values = [0.0, 0.0, 0.0], '
        "nodes_truenodeids = [1, 0, 0], nodes_falsenodeids = [2, 0, 0], target_treeids = [0, 0], target_nodeids = "
        "[1, 2], target_ids = [0, 0], target_weights = [-1.0, 1.0], n_targets = 1> (x)"
    )
    found = choose(model(tree, "float[batch,3] x", "float[batch,1] y"))
    assert found.method == "monte_carlo"
    assert found.draws is not None
    assert (found.draws.count, found.draws.seed) == (512, 0)
    assert found.how.startswith("counted over 512 draws of the noise, the same for every row")
    assert found.notes == ("TreeEnsembleRegressor is a step function: its derivative is 0 almost everywhere",)


def test_where_differences_do_not_hold_noise_is_drawn(choose: Choose) -> None:
    found = choose(value("f = Floor (x) y = MatMul (f, W)"))
    assert found.method == "monte_carlo"
    assert found.differences is None
    assert set(found.graphs) == {"model"}
    exact, differences = found.notes
    assert exact == "no exact derivative: operator Floor has no derivative here"
    assert differences.startswith("differences do not hold: they disagree by ")
    assert differences.endswith("of what noise does")


@pytest.mark.parametrize(("columns", "count"), [(100, 512), (129, 516), (130, 520)])
def test_many_columns_take_more_draws(choose: Choose, columns: int, count: int) -> None:
    body = "f = Floor (x) y = ReduceSum <keepdims = 1> (f, axis)"
    graph = model(body, f"float[batch,{columns}] x", "float[batch,1] y", {"axis": np.array([1])})
    x = np.random.default_rng(0).normal(size=(4, columns)).astype(np.float32)
    found = choose(graph, x)
    assert found.draws is not None
    assert found.draws.count == count


@pytest.mark.parametrize("operator", ["Floor", "Sin"])
def test_too_many_columns_are_refused_where_further_rows_are_needed(choose: Choose, operator: str) -> None:
    columns = MAX_PROBED_COLUMNS + 1
    body = f"f = {operator} (x) y = ReduceSum <keepdims = 1> (f, axis)"
    graph = model(body, f"float[batch,{columns}] x", "float[batch,1] y", {"axis": np.array([1])})
    x = np.random.default_rng(0).normal(size=(1, columns)).astype(np.float32)
    with pytest.raises(AdoptionError) as caught:
        choose(graph, x)
    exact, *differences, many = str(caught.value).split("; ")
    assert exact == f"no exact derivative: operator {operator} has no derivative here"
    assert len(differences) == (operator == "Floor")
    assert all(note.startswith("differences do not hold") for note in differences)
    assert many == "and 4097 columns are too many for differences or draws (at most 4096)"


def test_columns_without_noise_are_left_out_of_the_checks(choose: Choose) -> None:
    graph = value("c = Gather <axis = 1> (x, two) f = Floor (c) t = Add (x, f) y = MatMul (t, W)", two=np.array([2]))
    assert choose(graph).method != "analytic"
    assert choose(graph, noise=(0.1, 0.1, 0.0)).method == "analytic"


def test_derivatives_have_to_be_finite_beside_gaps(choose: Choose) -> None:
    gapped = X.copy()
    gapped[::3, 1] = np.nan
    filled = value("n = IsNaN (x) f = Where (n, zero, x) t = Tanh (f) y = MatMul (t, W)", zero=np.zeros(1, "f4"))
    assert choose(filled, gapped).method == "analytic"
    note = differenced(choose(value("t = Tanh (x) y = MatMul (t, W)"), gapped))
    assert note == "no exact derivative: it is not finite beside a gap"


def test_some_rows_of_a_large_sample_are_tried() -> None:
    asked: list[np.ndarray] = []
    source = source_of(value("s = Sin (x) y = MatMul (s, W)"))
    head = add_head(source, "value", 1)
    graph = opened(head.graph)

    def scores(x: np.ndarray) -> np.ndarray:
        asked.append(x)
        return graph.run(x)["scores"]

    x = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    choose_method(head, source.operators, scores, x, Columns.of(described(3), None), 0)
    assert min(map(len, asked)) == ROWS
    assert {len(rows) for rows in asked} == {ROWS, 6 * ROWS}  # as they are, and moved both ways in each column
    own = next(rows for rows in asked if len(rows) == ROWS and (rows[:, None] == x).all(axis=2).any(axis=1).all())
    assert not np.array_equal(own, x[:ROWS])  # drawn from all of them
