"""Cards that people have go on being read, whatever the schema becomes."""

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from chainzrule.service.artifact.card import ModelCard, parse_card
from chainzrule.service.artifact.upgrade import STEPS, Document, upgraded
from chainzrule.service.errors import ArtifactError
from tests.processes import ROOT

# Cards as they were published, one folder a schema version; from the second on, as a step made them of the first.
CARDS = ROOT / "tests" / "data" / "cards"
NEWEST = len(STEPS) + 1
PUBLISHED = sorted(CARDS.glob("*/*.json"))


def number(path: Path) -> int:
    return int(path.parent.name)


def test_every_schema_version_has_its_cards() -> None:
    assert {number(path) for path in PUBLISHED} == set(range(1, NEWEST + 1))
    assert {path.name for path in CARDS.glob("1/*.json")} == {"breast-cancer.json", "diabetes.json", "digits.json"}
    for path in CARDS.glob("1/*.json"):
        assert path.read_bytes() == (ROOT / "models" / path.stem / "1" / "card.json").read_bytes()


def test_the_newest_schema_version_is_the_cards() -> None:
    assert ModelCard.model_fields["schema_version"].default == NEWEST


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_published_card_is_read_as_the_newest(path: Path) -> None:
    card = parse_card(path.read_bytes())
    assert card.schema_version == NEWEST
    newest = CARDS / str(NEWEST) / path.name
    assert card.model_dump_json(indent=1, exclude_none=True) + "\n" == newest.read_text()


# A made-up later schema: `target` is an object in version 2, and needs an origin in version 3.
def nest_target(document: Document) -> Document:
    unit = document.pop("target_unit", None)
    return document | {"target": {"name": document["target"], "unit": unit}}


def name_origin(document: Document) -> Document:
    return document | {"target": document["target"] | {"origin": "unknown"}}


LATER = (nest_target, name_origin)


class LaterCard(ModelCard):
    schema_version: Literal[3] = 3  # type: ignore[assignment]
    target: dict[str, str | None] = Field()  # type: ignore[assignment]


@pytest.fixture
def document() -> Document:
    found: Document = json.loads((CARDS / "1" / "diabetes.json").read_bytes())
    return found


def test_steps_are_taken_in_order_up_to_the_newest(document: Document) -> None:
    text = json.dumps(document).encode()
    card = LaterCard.model_validate_json(upgraded(text, LATER))
    assert card.target == {"name": "disease progression after one year", "unit": None, "origin": "unknown"}
    rest = json.loads(card.model_dump_json(exclude_none=True, exclude={"schema_version", "target"}))
    assert rest == {name: part for name, part in document.items() if name not in ("schema_version", "target")}


def test_only_the_steps_that_are_missing_are_taken(document: Document) -> None:
    second = nest_target(document) | {"schema_version": 2}
    found = json.loads(upgraded(json.dumps(second).encode(), LATER))
    assert found["schema_version"] == 3
    assert found["target"]["origin"] == "unknown"
    third = json.dumps(found).encode()
    assert upgraded(third, LATER) is third


@pytest.mark.parametrize(("version", "steps", "said"), [
    (2, (), "schema_version 2 is unknown; this service reads 1"),
    (0, (), "schema_version 0 is unknown; this service reads 1"),
    (4, LATER, "schema_version 4 is unknown; this service reads 1 to 3"),
    (-1, LATER, "schema_version -1 is unknown; this service reads 1 to 3"),
])  # fmt: skip
def test_a_version_that_is_not_known_is_refused_by_name(
    document: Document, version: int, steps: Any, said: str
) -> None:
    with pytest.raises(ArtifactError) as caught:
        upgraded(json.dumps(document | {"schema_version": version}).encode(), steps)
    assert str(caught.value) == f"card.json: {said}"


def test_a_document_that_a_step_cannot_work_on_is_refused_without_its_values(document: Document) -> None:
    del document["target"]
    with pytest.raises(ArtifactError) as caught:
        upgraded(json.dumps(document).encode(), LATER)
    said = "card.json: is no sound card of schema_version 1: it cannot be upgraded (KeyError)"
    assert str(caught.value) == said
    assert caught.value.__suppress_context__


def test_a_step_may_refuse_in_its_own_words(document: Document) -> None:
    def refuse(document: Document) -> Document:
        raise ArtifactError("has no unit; publish the model again", "card.json.target_unit")

    with pytest.raises(ArtifactError, match="publish the model again"):
        upgraded(json.dumps(document).encode(), (refuse,))


def test_numbers_that_are_none_are_still_refused_behind_a_step(document: Document) -> None:
    text = json.dumps(document).replace('"std": 13.094190207980025', '"std": 1e999', 1).encode()
    with pytest.raises(ValueError, match="std"):
        LaterCard.model_validate_json(upgraded(text, LATER))
