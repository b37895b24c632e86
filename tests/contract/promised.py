"""What the committed OpenAPI document promises of a route: people write their clients by it."""

import json
from typing import Any

from chainzrule.service.api.route import Route
from tests.contract.regenerate import DOCS


def assert_promised(route: Route) -> None:
    """The route has the statuses, the parameters and the body that the document says."""
    paths = json.loads((DOCS / "openapi.json").read_text())["paths"]
    said: dict[str, Any] = paths[route.path][route.method.lower()]
    unready = (503,) if route.unready else ()
    assert set(said["responses"]) == {"200", *map(str, (*route.problems, *unready))}, route.path
    assert said.get("parameters", []) == list(route.parameters), route.path
    assert ("requestBody" in said) == (route.body is not None), route.path
    assert said.get("requestBody", {"required": True})["required"] == route.body_required, route.path
