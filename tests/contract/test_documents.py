"""The generated documents are those of the code, and say what is so."""

import json
from typing import Any

import pytest

from chainzrule.service.artifact.card import ModelCard
from tests.artifacts import ALL, Toy
from tests.contract.regenerate import DOCS, documents, openapi

DOCUMENTS = documents()


@pytest.mark.parametrize("name", list(DOCUMENTS))
def test_a_generated_document_is_not_stale(name: str) -> None:
    found = (DOCS / name).read_text() if (DOCS / name).exists() else ""
    assert found == DOCUMENTS[name], "run `python -m tests.contract.regenerate` and commit what it writes"


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for item in value.values() for found in references(item)]
    return [found for item in value for found in references(item)] if isinstance(value, list) else []


@pytest.mark.parametrize("name", list(DOCUMENTS))
def test_every_reference_leads_somewhere(name: str) -> None:
    document = json.loads(DOCUMENTS[name])
    found = references(document)
    assert found
    for reference in found:
        assert reference.startswith("#/"), reference
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_every_route_is_described() -> None:
    paths = openapi()["paths"]
    for path, methods in {
        "/predict": {"post"},
        "/sensitivity": {"get", "post"},
        "/models": {"get"},
        "/models/{name}": {"get"},
        "/models/{name}/stability": {"get"},
        "/healthz": {"get"},
        "/readyz": {"get"},
        "/metrics": {"get"},
    }.items():
        assert set(paths[path]) == methods
        for operation in paths[path].values():
            assert operation["summary"]
    statuses = set(paths["/predict"]["post"]["responses"])
    assert {"200", "400", "404", "413", "415", "422", "429", "503", "504"} <= statuses
    assert {"x", "model", "version", "noise_scale", "confidence", "top", "include"} == {
        parameter["name"] for parameter in paths["/sensitivity"]["get"]["parameters"]
    }


@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
def test_a_card_survives_being_written_and_read(toy: Toy) -> None:
    card = toy.card()
    assert ModelCard.model_validate_json(card.model_dump_json(exclude_none=True)) == card
    assert ModelCard.model_validate_json(card.model_dump_json()) == card
