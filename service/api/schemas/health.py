"""Describes the answer about whether the service wants traffic."""

from chainzrule.service.api.schemas.schema import Schema


class Readiness(Schema):
    """What `/readyz` answers."""

    ready: bool
    draining: bool
    waiting_for: list[str]
    models: dict[str, dict[str, dict[str, str | None]]]
