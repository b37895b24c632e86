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
    """The wired parts of one application.

    Attributes:
        settings: what the application was told.
        catalog: the models it serves.
        metrics: what it counts.
        draining: whether it asks for no more traffic.
        in_progress: how many requests are being answered.
        bodies: the requests whose bodies are being read.
    """

    settings: Settings
    catalog: Catalog[ServedModel]
    metrics: Metrics
    draining: bool = False
    in_progress: int = 0
    bodies: BodyDeadlines = field(default_factory=BodyDeadlines)

    @property
    def ready(self) -> bool:
        """Whether the service wants traffic: a model of each required name is ready, and nothing drains."""
        return self.catalog.ready() and not self.draining

    def drain(self) -> None:
        """Says from now on that no more traffic is wanted; what comes is answered all the same."""
        self.draining = True
        self.metrics.draining.set(1)

    def deadline(self, timeout: float | None) -> float:
        """Returns when a request's time runs out, by the event loop's clock.

        Args:
            timeout: the seconds that the caller gives it; they can only shorten the setting's.
        """
        limit = self.settings.request_timeout
        return asyncio.get_running_loop().time() + (limit if timeout is None else min(limit, timeout))
