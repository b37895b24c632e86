"""Which columns of a sample feed which input of a model."""

import pytest

from chainzrule.training.adopt.given import Input
from chainzrule.training.adopt.placement import place_columns
from chainzrule.training.errors import AdoptionError


def take(name: str, *shape: int | None, kind: int = 1) -> Input:
    return Input(f"source_{name}", kind, None, shape)


def test_one_matrix_takes_all_columns_in_their_order() -> None:
    for one in (take("x", 3), take("x", None), take("x", 1, 3), take("x", None, 1), take("x", 3, None)):
        found = place_columns([one], ["c", "a", "b"])
        assert (found.columns, found.places, found.notes) == (("c", "a", "b"), {"source_x": (0, 1, 2)}, ())


def test_several_columns_are_found_by_name_not_by_order() -> None:
    found = place_columns([take("a", 1), take("mean_radius", 1), take("c")], ["c", "mean radius", "more", "a"])
    assert found.columns == ("a", "mean radius", "c")
    assert found.places == {"source_a": (0,), "source_mean_radius": (1,), "source_c": (2,)}
    assert found.notes == ("columns that the model does not take were left out: more",)


def test_inputs_of_other_names_take_the_columns_in_their_order_and_that_is_said() -> None:
    found = place_columns([take("numbers", 2), take("code")], ["a", "b", "c"])
    assert found.places == {"source_numbers": (0, 1), "source_code": (2,)}
    assert found.notes == (
        "the inputs numbers (2), code (1) were given the sample's columns in their order, because they are not named "
        "as these",
    )


@pytest.mark.parametrize(("inputs", "said"), [
    (
        [take("x", 3)],
        "the sample has 2 columns beside the target, the model's input [3] takes 3; give the columns that it was "
        "trained on, in their order",
    ),
    *(
        (
            [take("x", *shape)],
            "input x has an unknown size behind the batch, which the sample's 2 columns do not tell; export it fixed",
        )
        for shape in ((8, None), (None, None))
    ),
    (
        [take("a", 1), take("d", 1)],
        "the model takes a column 'd', which the sample does not have; it has a, b",
    ),
    (
        [take("x", 3), take("z", 1)],
        "the model has 2 inputs (x (3), z (1)), which do not match the sample's 2 columns; name the columns as the "
        "inputs are named, or export the model with one float input that holds all columns (skl2onnx: "
        "initial_types=[('input', FloatTensorType([None, D]))])",
    ),
])  # fmt: skip
def test_columns_that_do_not_fit_are_refused_with_the_way_out(inputs: list[Input], said: str) -> None:
    with pytest.raises(AdoptionError) as caught:
        place_columns(inputs, ["a", "b"])
    assert str(caught.value) == said
