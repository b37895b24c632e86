"""A model as named tensors: which it takes and gives, and what is in them."""

from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.errors import InvalidInput
from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.serving.tensors import FEATURES, TensorSpec, Values, tensors_of, to_matrix, to_tensor
from chainzrule.service.stability.verdict import VERDICTS
from tests.artifacts import ALL, CLASSIFIER, MIXED, ORDINAL, REGRESSION, Toy
from tests.runs import runs_of

PLAIN, TABLE = RowEncoder(CLASSIFIER.card()), RowEncoder(MIXED.card())


def columns(**changes: Values) -> dict[str, Values]:
    """Two rows of the mixed table, a tensor a feature."""
    numbers = np.array([[3.0], [-2.0]], np.float32)
    return {"age": numbers, "colour": ["red", "blue"], "dose": numbers, "site": ["north", "south"], **changes}


@pytest.mark.parametrize(
    ("toy", "usual", "by_name"),
    [
        (
            CLASSIFIER,
            ["label", "probabilities", "volatility", "flip_probability", "verdict"],
            ["set", "gradient_norm", "scores", "covariance", "jacobian", "decision"],
        ),
        (
            ORDINAL,
            ["label", "value", "probabilities", "volatility", "flip_probability", "verdict"],
            ["set", "gradient_norm", "scores", "covariance", "jacobian", "decision"],
        ),
        (
            REGRESSION,
            ["value", "volatility", "verdict"],
            ["interval", "gradient_norm", "scores", "covariance", "jacobian", "decision"],
        ),
        (
            replace(REGRESSION, changes={"conformity": None}),
            ["value", "volatility", "verdict"],
            ["gradient_norm", "scores", "covariance", "jacobian", "decision"],
        ),
    ],
    ids=lambda one: getattr(one, "name", None),
)
def test_a_task_has_its_outputs(toy: Toy, usual: list[str], by_name: list[str]) -> None:
    found = tensors_of(toy.card())
    assert [spec.name for spec in found.usual] == usual
    assert list(found.outputs) == usual + by_name
    assert all(spec is found.outputs[spec.name] for spec in found.usual)
    assert {spec.shape[0] for spec in (*found.inputs, *found.outputs.values())} == {-1}  # any number of rows


def test_numbers_come_as_one_matrix_and_a_table_with_levels_by_column() -> None:
    assert tensors_of(CLASSIFIER.card()).inputs == (TensorSpec(FEATURES, "FP32", (-1, 2)),)
    assert [(one.name, one.datatype, one.shape) for one in tensors_of(MIXED.card()).inputs] == [
        ("age", "FP32", (-1, 1)),
        ("colour", "BYTES", (-1, 1)),
        ("dose", "FP32", (-1, 1)),
        ("site", "BYTES", (-1, 1)),
    ]
    described = {"name": "features", "datatype": "FP32", "shape": [-1, 2]}
    assert tensors_of(CLASSIFIER.card()).inputs[0].describe() == described


def test_a_matrix_is_taken_as_it_is() -> None:
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    assert to_matrix({FEATURES: matrix}, PLAIN).tolist() == matrix.tolist()


def test_columns_are_encoded_in_the_cards_order() -> None:
    backwards = dict(reversed(columns().items()))
    expected = TABLE.encode([[3.0, "red", 3.0, "north"], [-2.0, "blue", -2.0, "south"]])
    assert to_matrix(backwards, TABLE).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("values", "encoder", "place", "match"),
    [
        (columns(site=["north"]), TABLE, "inputs", "same number of rows"),
        (columns(colour=["red", "s3cret"]), TABLE, "inputs[1].colour", "not a level"),
        (columns(age=np.array([[1.0], [np.inf]], np.float32)), TABLE, "inputs[1].age", "not finite"),
        ({FEATURES: np.array([[0.0, 0.0], [0.0, np.nan]], np.float32)}, PLAIN, "inputs[1].weight", "not finite"),
        ({FEATURES: np.zeros((0, 2), np.float32)}, PLAIN, "inputs", "at least one row"),
        ({**dict.fromkeys(TABLE.names, np.zeros((0, 1), np.float32))}, TABLE, "inputs", "at least one row"),
    ],
)
def test_what_is_no_row_is_refused_by_its_place(
    values: dict[str, Values], encoder: RowEncoder, place: str, match: str
) -> None:
    with pytest.raises(InvalidInput, match=match) as caught:
        to_matrix(values, encoder)
    assert caught.value.place == place
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
def test_an_output_is_the_runs_part_in_the_shape_that_it_is_declared_with(toy: Toy) -> None:
    card, rows = toy.card(), toy.rows(4)
    found = runs_of(toy).predict(inputs_of(rows.astype(np.float32), 1.0, observe=True))
    part = slice(1, 3)
    for name, spec in tensors_of(card).outputs.items():
        if name in ("jacobian", "decision"):  # which are no part of a run
            continue
        values = to_tensor(name, card, found, part)
        if spec.datatype == "BYTES":
            assert isinstance(values, list)
            assert len(values) == 2
            continue
        assert isinstance(values, np.ndarray)
        assert values.dtype == np.float32
        assert values.shape == (2, *spec.shape[1:]), name
        if name == "interval":
            assert found.intervals is not None
            np.testing.assert_allclose(values.T, [ends[part] for ends in found.intervals], rtol=1e-6)
        elif name == "set":
            assert found.sets is not None
            assert values.tolist() == found.sets[part].tolist()
        elif name == "novelty":
            assert found.novelty is not None
            np.testing.assert_array_equal(values[:, 0], found.novelty.percentile[part].astype(np.float32))
        elif name not in ("scores", "covariance", "probabilities"):
            whole = found.value if name == "value" else getattr(found.diagnosis, name)
            np.testing.assert_array_equal(values[:, 0], whole[part].astype(np.float32))
    np.testing.assert_array_equal(to_tensor("scores", card, found, part), found.scores[part])
    assert to_tensor("verdict", card, found, part) == [VERDICTS[level] for level in found.level[part]]
    if toy.names:
        assert to_tensor("label", card, found, part) == [toy.names[label] for label in found.label[part]]
