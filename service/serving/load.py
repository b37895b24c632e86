"""Loads one stored version: reads it, checks it, warms it up, and makes it ready to answer."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.artifact.listing import StoredVersion
from chainzrule.service.artifact.store import CARD_FILE, Artifact
from chainzrule.service.errors import ArtifactError
from chainzrule.service.runtime.bounds import BoundsGraph
from chainzrule.service.runtime.graph import Execution
from chainzrule.service.runtime.model import Model
from chainzrule.service.runtime.selfcheck import golden_features, load, open_bounds
from chainzrule.service.serving.background import in_background
from chainzrule.service.serving.costs import Costs
from chainzrule.service.serving.engine import Limits
from chainzrule.service.serving.runs import Runs, standard_of
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.answers import AnswerWatch
from chainzrule.service.stability.standard import Standard
from chainzrule.service.stability.verdict import Thresholds, unstable_share
from chainzrule.service.stability.window import Window
from chainzrule.service.telemetry.metrics import Metrics
from chainzrule.service.telemetry.version import VersionMetrics

if TYPE_CHECKING:  # it needs an extra, which only those who check signatures have
    from chainzrule.service.artifact.keys import Keyring

IN_HAND_SECONDS = 10.0  # that the version in hand gets to be opened when the service stops


@dataclass(frozen=True)
class Loader:
    """Loads versions, all with the same settings.

    Attributes:
        execution: where graphs run.
        limits: the limits of the engines.
        thresholds: the thresholds at which verdicts begin.
        window_rows: the number of rows in a rolling window.
        window_minimum_rows: the number of rows that a window must hold before ratios are computed from it.
        metrics: the application's metrics.
        keys: the keys of which one must have signed a version; None serves unsigned versions too.
        turn: held while a version is opened, so that the costs of its runs are measured undisturbed by another one.
    """

    execution: Execution
    limits: Limits
    thresholds: Thresholds
    window_rows: int
    window_minimum_rows: int
    metrics: Metrics
    keys: "Keyring | None" = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def load(self, stored: StoredVersion, digest: str | None = None) -> ServedModel:
        """Returns what answers for a version, as it was when it had this digest; None takes it as it is.

        Raises:
            ArtifactError: the version must not be served, or has become another one.
        """
        async with self.turn:
            opening = asyncio.ensure_future(in_background(self.open, stored, digest))
            try:
                opened = await asyncio.shield(opening)
            except asyncio.CancelledError:
                # ONNX Runtime must not be at work when the process ends.
                await asyncio.wait({opening}, timeout=IN_HAND_SECONDS)
                raise
        card, standard = opened.card, opened.standard
        return ServedModel(
            card,
            opened.model,
            opened.runs,
            opened.bounds,
            opened.costs,
            self.limits,
            Window(self.window_rows, self.window_minimum_rows, card.reference),
            VersionMetrics(self.metrics, card.name, card.version, standard),
            unstable_share(standard.link, card.reference, self.thresholds),
            None if card.novelty is None else 1.0 - self.thresholds.novel_percentile / 100.0,
            None if card.answers is None else AnswerWatch(card.answers, card.labels),
        )

    def open(self, stored: StoredVersion, digest: str | None = None) -> "Opened":
        """Reads, checks and warms up a version, off the event loop; raises `ArtifactError` as `load` does."""
        artifact = stored.read(self.require_signature(stored))
        if digest not in (None, artifact.digest):
            raise ArtifactError("was changed while the version was being loaded", CARD_FILE)
        return open_artifact(artifact, self.execution, self.thresholds)

    def require_signature(self, stored: StoredVersion) -> str | None:
        """Returns the digest that is signed, or raises `ArtifactError`; None where no signature is asked for."""
        return None if self.keys is None else self.keys.require_signature(stored.path, stored.name, stored.version)


@dataclass(frozen=True)
class Opened:
    """Holds what was made of a version off the event loop."""

    card: ModelCard
    model: Model
    standard: Standard
    runs: Runs
    bounds: BoundsGraph | None
    costs: Costs


def open_artifact(artifact: Artifact, execution: Execution, thresholds: Thresholds) -> Opened:
    """Opens, checks and warms up an artifact, but for its bounds graph; raises `ArtifactError` where it fails."""
    card = artifact.card
    model = load(artifact, execution)
    standard = standard_of(card, model, thresholds)
    runs = Runs(model, standard)
    costs = Costs(model, runs, golden_features(card))
    return Opened(card, model, standard, runs, open_bounds(artifact, model), costs)
