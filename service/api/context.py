"""Holds what the routes work with."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from chainzrule.service.api.bodies.reading import Reading
from chainzrule.service.budget import Budget
from chainzrule.service.policy.desk import Desk
from chainzrule.service.serving.catalog import Catalog
from chainzrule.service.serving.repository import Repository
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.settings import Settings
from chainzrule.service.telemetry.metrics import Metrics

# One is computed while the other is written, each by a thread of its own: more at a time would be no faster.
LARGE_ANSWERS = 2


@dataclass
class Context:
    """Holds the wired parts of one application.

    Attributes:
        settings: the application's settings.
        catalog: the models that it serves.
        repository: where they come from.
        metrics: its metrics.
        desk: applies the policies about answers; None where there are no policies.
        draining: whether it is draining, and so wants no more traffic.
        in_progress: how many requests are being answered.
        reading: what the reading of all bodies shares.
        large_answers: lets only so many large answers be made at a time, because what they are made of is larger still.
        writer: the thread in which large answers are written, one after the other.
    """

    settings: Settings
    catalog: Catalog[ServedModel]
    repository: Repository[ServedModel]
    metrics: Metrics
    desk: Desk | None = None
    draining: bool = False
    in_progress: int = 0
    large_answers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LARGE_ANSWERS))
    writer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "writer"))
    reading: Reading = field(init=False)

    def __post_init__(self) -> None:
        self.reading = Reading(Budget(self.settings.max_held_bytes))

    @property
    def ready(self) -> bool:
        """Returns whether the service wants traffic: all required models are ready, and it is not draining."""
        return self.catalog.ready() and not self.draining

    def drain(self) -> None:
        """Reports from now on that no more traffic is wanted; requests that arrive are still answered."""
        self.draining = True
        self.metrics.draining.set(1)

    def deadline(self, timeout: float | None) -> float:
        """Returns when a request's time runs out, by the event loop's clock.

        Args:
            timeout: the seconds that the caller allows; they can only shorten the timeout of the settings.
        """
        limit = self.settings.request_timeout
        return asyncio.get_running_loop().time() + (limit if timeout is None else min(limit, timeout))
