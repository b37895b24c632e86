"""Upgrades older cards when they are read, so that existing models can still be served after a change of the schema.

A change of the schema that older cards do not satisfy needs one step here, which turns the JSON document of one schema
version into that of the next. Files are never rewritten: a published version stays as it is.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel

from chainzrule.service.errors import ArtifactError

Document = dict[str, Any]
Step = Callable[[Document], Document]

STEPS: tuple[Step, ...] = ()
"""Lists the steps: the first turns a document of schema version 1 into one of version 2, the second 2 into 3."""


def upgraded(text: bytes, steps: Sequence[Step] = STEPS) -> bytes:
    """Returns a card's JSON in the newest schema version, which is one more than there are steps.

    A card of that version is returned unchanged. The result still has to be validated, because steps do not validate.

    Raises:
        ArtifactError: the schema version is unknown to this service, or a step fails on the document.
        ValidationError: the text is no JSON object with a schema version.
    """
    newest = len(steps) + 1
    version = _Version.model_validate_json(text).schema_version
    if not 1 <= version <= newest:
        known = "1" if newest == 1 else f"1 to {newest}"
        raise ArtifactError(f"schema_version {version} is unknown; this service reads {known}", "card.json")
    if version == newest:
        return text
    document: Document = json.loads(text)
    for number in range(version, newest):
        try:
            document = {**steps[number - 1](document), "schema_version": number + 1}
        except ArtifactError:
            raise
        except Exception as error:  # the document has not been validated, so a step may raise anything
            message = f"is no sound card of schema_version {number}: it cannot be upgraded ({type(error).__name__})"
            raise ArtifactError(message, "card.json") from None
    return json.dumps(document).encode()


class _Version(BaseModel):
    schema_version: int
