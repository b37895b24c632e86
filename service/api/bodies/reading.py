"""Holds what the reading of all bodies shares."""

from dataclasses import dataclass, field

from chainzrule.service.api.bodies.deadlines import BodyDeadlines
from chainzrule.service.api.bodies.steps import StepThread
from chainzrule.service.budget import Budget


@dataclass(frozen=True)
class Reading:
    """Holds the shared parts of one application's reading of bodies.

    Attributes:
        budget: bounds the bytes that are held for all requests together.
        deadlines: the deadlines of the bodies that are being read.
        thread: decompresses and parses what would take too long on the event loop.
    """

    budget: Budget
    deadlines: BodyDeadlines = field(default_factory=BodyDeadlines)
    thread: StepThread = field(default_factory=StepThread)
