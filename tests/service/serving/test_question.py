"""A question by itself: its rows alone are a whole question, and all who read or describe one agree on its limits."""

import typing
from typing import Any

import pytest

from chainzrule.service.api.query import read_query
from chainzrule.service.api.requests import PREDICT_MEMBERS, SENSITIVITY_MEMBERS, read_request
from chainzrule.service.api.schemas.questions import Prediction, SensitivityQuestion
from chainzrule.service.errors import InvalidInput
from chainzrule.service.serving.question import (
    DEFAULT_DRAWS,
    INCLUDES,
    MAX_NOISE_SCALE,
    MAX_RADIUS,
    MAX_SEED,
    METHODS,
    Allowance,
    Question,
)
from chainzrule.service.settings import Settings

ROWS = [[1.0, 2.0]]


def read(**members: Any) -> Question:
    return read_request({"instances": ROWS, **members}, SENSITIVITY_MEMBERS, 10)


@pytest.mark.parametrize("members", [PREDICT_MEMBERS, SENSITIVITY_MEMBERS])
@pytest.mark.parametrize("said", [{}, {"noise_scale": 1.0}])
def test_rows_alone_are_a_whole_question(members: tuple[str, ...], said: dict[str, Any]) -> None:
    question = Question(ROWS)
    assert read_request({"instances": ROWS, **said}, members, 10) == question
    assert read_query(b"x=1,2")[0] == question._replace(instances=[])
    # Nothing that costs more than the rows do, and they count as traffic.
    assert (question.draws, question.radius, question.box, question.include) == (0, None, None, frozenset())
    assert (question.noise_scale, question.measure, question.top) == (1.0, False, None)
    assert question.observe


def test_a_question_is_never_changed() -> None:
    question = Question(ROWS)
    with pytest.raises(AttributeError):
        question.draws = 5  # type: ignore[misc]
    assert question._replace(draws=5).draws == 5
    assert question.draws == 0


def test_questions_are_described_with_the_defaults_that_they_have() -> None:
    for described in (Prediction, SensitivityQuestion):
        for name, field in described.model_fields.items():
            if name in Question._field_defaults and name not in ("draws", "include"):
                assert field.default == Question._field_defaults[name], name
    assert SensitivityQuestion.model_fields["include"].default == []
    # Those who ask for draws get so many; a question that does not ask for them has none.
    assert SensitivityQuestion.model_fields["draws"].default == DEFAULT_DRAWS
    assert read(method="monte_carlo").draws == DEFAULT_DRAWS


def test_all_that_may_be_chosen_is_described_and_read() -> None:
    fields = SensitivityQuestion.model_fields
    assert typing.get_args(fields["method"].annotation) == METHODS
    assert fields["method"].default == METHODS[0]
    (include,) = typing.get_args(fields["include"].annotation)
    assert typing.get_args(include) == INCLUDES
    for name in INCLUDES:
        assert read(include=[name]).include == read_query(b"x=1,2&include=" + name.encode())[0].include == {name}
    for method in METHODS:
        assert read(method=method).draws == (DEFAULT_DRAWS if method == "monte_carlo" else 0)


@pytest.mark.parametrize(
    ("member", "most", "beyond"),
    [
        ("noise_scale", MAX_NOISE_SCALE, 1.001 * MAX_NOISE_SCALE),
        ("radius", MAX_RADIUS, 1.001 * MAX_RADIUS),
        ("seed", MAX_SEED, MAX_SEED + 1),
    ],
)
def test_the_limits_are_the_last_values_that_are_taken(member: str, most: float, beyond: float) -> None:
    others = {"method": "monte_carlo"} if member == "seed" else {}
    assert getattr(read(**{member: most}, **others), member) == most
    with pytest.raises(InvalidInput, match=member):
        read(**{member: beyond}, **others)
    (limit,) = [
        found.le
        for found in SensitivityQuestion.model_fields[member].metadata
        if getattr(found, "le", None) is not None
    ]
    assert limit == most


def test_the_limits_are_those_that_are_documented() -> None:
    assert (MAX_NOISE_SCALE, MAX_RADIUS, DEFAULT_DRAWS) == (100.0, 1000.0, 1000)
    assert MAX_SEED == 2**32 - 1  # every language has such numbers, and JSON keeps them exactly


def test_each_setting_becomes_the_part_of_the_allowance_that_it_names() -> None:
    settings = Settings(max_draws=7, measured_share=0.25, max_certificates=3, max_batch_rows=11)
    assert settings.allowance == Allowance(draws=7, measured_share=0.25, certificates=3, batch_rows=11)
    with pytest.raises(AttributeError):
        settings.allowance.draws = 8  # type: ignore[misc]
