"""The file as it was given, beside the model made plain."""

from dataclasses import replace

import numpy as np
import pytest

from chainzrule.training.adopt.graph import copied
from chainzrule.training.adopt.original import first_faithful, largest_difference, require_finite
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import model, source_of, sources_of, zipped

X = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


@pytest.mark.parametrize(("found", "expected", "difference"), [
    ([0.25, 0.5], [0.25, 0.375], 0.125),
    ([100.0, 1.0], [100.0, 2.0], 0.01),
    ([1.0, -200.0], [2.0, -200.0], 0.005),
])  # fmt: skip
def test_a_difference_is_relative_to_what_is_large(
    found: list[float], expected: list[float], difference: float
) -> None:
    assert largest_difference(np.array(found), np.array(expected)) == difference


@pytest.mark.parametrize("kind", ["float", "double", "float16"])
def test_the_plain_graph_answers_as_the_file_does(kind: str) -> None:
    sources = sources_of(model("y = Exp (x)", f"{kind}[batch,2,3] x", f"{kind}[batch,2,3] y"))
    source, answers = first_faithful(sources, X)
    assert source is sources[0]
    assert answers.difference < (2e-3 if kind == "float16" else 1e-6)
    np.testing.assert_allclose(answers.plain, np.exp(X), rtol=1e-2 if kind == "float16" else 1e-6)
    assert answers.labels is None


def test_the_files_own_labels_come_along_with_what_it_makes_a_list_of() -> None:
    _, answers = first_faithful(sources_of(zipped()), X[:, :3])
    assert answers.plain.shape == (5, 2)
    assert answers.labels is not None
    assert answers.labels.tolist() == np.array(["no", "yes"])[answers.plain.argmax(axis=1)].tolist()


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_a_file_of_a_fixed_number_of_rows_is_run_piece_by_piece(rows: int) -> None:
    graph = model("y = Exp (x)", f"float[{rows},6] x", f"float[{rows},6] y")
    _, answers = first_faithful(sources_of(graph), X)
    np.testing.assert_allclose(answers.plain, np.exp(X), rtol=1e-6)


def test_a_fixed_number_of_rows_that_the_graph_needs_is_refused() -> None:
    graph = model(
        "e = Expand (c, shape) s = Add (x, e) f = Reshape (s, flat) y = Reshape (f, back)", "float[1,6] x",
        "float[1,6] y", {"c": np.ones((1, 1), np.float32), "shape": np.array([1, 6]), "flat": np.array([6]),
                         "back": np.array([1, 6])},
    )  # fmt: skip
    with pytest.raises(AdoptionError, match="takes exactly 1 rows, and its graph does not answer the same for others"):
        first_faithful(sources_of(graph), X)


def test_a_plain_graph_that_answers_otherwise_is_refused() -> None:
    source = source_of(model("y = Exp (x)", "float[batch,6] x", "float[batch,6] y"))
    other = copied(source.graph)
    next(node for node in other.graph.node if node.op_type == "Exp").op_type = "Sin"
    with pytest.raises(AdoptionError, match="does not answer as the file does; please report the model"):
        first_faithful([replace(source, graph=other)], X)
    assert first_faithful([replace(source, graph=other), source], X)[0] is source


def test_a_file_that_cannot_be_run_on_the_sample_is_refused_in_one_line() -> None:
    graph = model("r = Reshape (x, shape) y = Neg (r)", "float[batch,6] x", "float[1,6] y", {"shape": np.array([1, 6])})
    with pytest.raises(AdoptionError) as caught:
        first_faithful(sources_of(graph), X)
    said = str(caught.value)
    assert said.startswith("ONNX Runtime cannot run the file on the sample (Reshape: ")
    assert "\n" not in said


@pytest.mark.parametrize(("body", "declared", "shape"), [
    ("y = ReduceMean <keepdims = 0> (x)", "float y", "a single number"),
    ("y = ReduceMean <keepdims = 1> (x, a)", "float[1,6] y", "1 x 6"),
    ("t = Transpose (x) y = Neg (t)", "float[6,batch] y", "6 x 5"),
])  # fmt: skip
def test_answers_that_are_not_one_a_row_are_refused(body: str, declared: str, shape: str) -> None:
    graph = model(body, "float[batch,6] x", declared, {"a": np.array([0])} if "(x, a)" in body else {})
    with pytest.raises(AdoptionError) as caught:
        first_faithful(sources_of(graph), X)
    assert str(caught.value) == (
        f"the model does not answer each row by itself: to 5 rows it gives {shape}; export a model whose output has "
        "one row for each row of its input"
    )


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_answers_that_are_not_finite_are_refused(value: float) -> None:
    require_finite(X, X)
    bad = X.copy()
    bad[2, 1] = value
    for answers in ((bad,), (X, bad), (bad, X)):
        with pytest.raises(AdoptionError, match="not all finite; look for outliers"):
            require_finite(*answers)
    source = source_of(model("y = Exp (x)", "float[batch,6] x", "float[batch,6] y"))
    with pytest.raises(AdoptionError, match="not all finite; look for outliers"):
        first_faithful([source], X * 1e4)


def test_a_model_that_draws_at_random_is_called_so() -> None:
    graph = model("r = RandomNormalLike (x) y = Add (x, r)", "float[batch,6] x", "float[batch,6] y")
    with pytest.raises(AdoptionError, match="by the operator RandomNormalLike, which draws at random"):
        first_faithful(sources_of(graph), X)
