"""A refusal says what the service said, whoever it was."""

from typing import Any

import pytest

from chainzrule.client.refusals import refused


@pytest.mark.parametrize(
    ("document", "kind", "text"),
    [
        (
            {"type": "urn:chainzrule:problem:invalid-input", "detail": "must be a number", "place": "instances[0]"},
            "invalid-input",
            "instances[0]: must be a number",
        ),
        ({"error": "inputs: is missing"}, "status-400", "inputs: is missing"),
        (None, "status-400", "the answer has the status 400 and no reason"),
        ([], "status-400", "the answer has the status 400 and no reason"),
    ],
)
def test_every_shape_has_its_words(document: Any, kind: str, text: str) -> None:
    error = refused(400, document, "abc", 2.0)
    assert (error.status, error.kind, str(error)) == (400, kind, text)
    assert (error.request_id, error.retry_after) == ("abc", 2.0)
