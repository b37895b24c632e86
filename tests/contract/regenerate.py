"""Write the generated documents: `python -m tests.contract.regenerate`. Tests fail while they are stale."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from chainzrule.service.app import create_app
from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


def card_schema() -> dict[str, Any]:
    """The model card's JSON schema."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ModelCard.model_json_schema()}


def openapi() -> dict[str, Any]:
    """The API's OpenAPI document; its version is left out, so that a release changes nothing here."""
    with tempfile.TemporaryDirectory() as empty:
        document = create_app(Settings(models=Path(empty))).openapi()
    document["info"]["version"] = "0"
    return document


def documents() -> dict[str, str]:
    """File names below docs/ with their content."""
    parts = {"card.schema.json": card_schema(), "openapi.json": openapi()}
    return {name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in parts.items()}


def main() -> int:
    for name, content in documents().items():
        (DOCS / name).write_text(content)
        print(f"docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
