"""What the routes work with."""

import asyncio
from dataclasses import dataclass, field

from chainzrule.service.api.deadlines import BodyDeadlines
from chainzrule.service.serving.catalog import Catalog
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.settings import Settings
from chainzrule.service.telemetry.metrics import Metrics


@dataclass
class Context:
    """The wired parts of one application."""

    settings: Settings
    catalog: Catalog[ServedModel]
    metrics: Metrics
    draining: bool = False
    in_progress: int = 0
    bodies: BodyDeadlines = field(default_factory=BodyDeadlines)

    @property
    def ready(self) -> bool:
        """Whether traffic is welcome."""
        return self.catalog.ready() and not self.draining

    def drain(self) -> None:
        """Say from now on that no more traffic is wanted; answer what comes all the same."""
        self.draining = True
        self.metrics.draining.set(1)

    def deadline(self, timeout: float | None) -> float:
        """The event-loop time at which a request's time runs out; `timeout` seconds may only shorten the setting."""
        limit = self.settings.request_timeout
        return asyncio.get_running_loop().time() + (limit if timeout is None else min(limit, timeout))
