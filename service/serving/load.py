"""Loads one stored version: reads it, checks it, warms it up, and makes it ready to answer."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.artifact.store import StoredVersion, read_artifact
from chainzrule.service.errors import ArtifactError
from chainzrule.service.runtime.bounds import BoundsGraph
from chainzrule.service.runtime.graph import Execution
from chainzrule.service.runtime.model import Model
from chainzrule.service.runtime.selfcheck import golden_features, load, open_bounds
from chainzrule.service.serving.costs import Costs
from chainzrule.service.serving.engine import Limits
from chainzrule.service.serving.runs import Runs
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.standard import Standard
from chainzrule.service.stability.verdict import Thresholds, unstable_share
from chainzrule.service.stability.window import Window
from chainzrule.service.telemetry.metrics import Metrics
from chainzrule.service.telemetry.version import VersionMetrics

if TYPE_CHECKING:  # it needs an extra, which only those who check signatures have
    from chainzrule.service.artifact.keys import Keyring


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
    """

    execution: Execution
    limits: Limits
    thresholds: Thresholds
    window_rows: int
    window_minimum_rows: int
    metrics: Metrics
    keys: "Keyring | None" = None

    async def load(self, stored: StoredVersion) -> ServedModel:
        """Returns what answers for a version; raises `ArtifactError` where it must not be served."""
        opened = await asyncio.to_thread(self.open, stored)
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
        )

    def open(self, stored: StoredVersion) -> "Opened":
        """Reads, checks and warms up a version, off the event loop; raises `ArtifactError`."""
        signed = None if self.keys is None else self.keys.require_signature(stored.path, stored.name, stored.version)
        artifact = read_artifact(stored.path, signed)
        card = artifact.card
        if (card.name, card.version) != (stored.name, stored.version):
            raise ArtifactError("its name and version are not those of its directory", "card.json")
        model = load(artifact, self.execution)
        standard = Standard(model.link, model.rows.ranges, card.reference, self.thresholds)
        runs = Runs(model, standard)
        costs = Costs(model, runs, golden_features(card))
        return Opened(card, model, standard, runs, open_bounds(artifact, model), costs)


@dataclass(frozen=True)
class Opened:
    """Holds what was made of a version off the event loop."""

    card: ModelCard
    model: Model
    standard: Standard
    runs: Runs
    bounds: BoundsGraph | None
    costs: Costs
