"""Runs of toy models: what the service makes of rows, without a server."""

from chainzrule.service.runtime.graph import Execution
from chainzrule.service.runtime.model import Model
from chainzrule.service.serving.runs import Runs, standard_of
from chainzrule.service.stability.verdict import Thresholds
from tests.artifacts import Toy


def runs_of(toy: Toy, thresholds: Thresholds | None = None) -> Runs:
    """The runs of a toy model."""
    artifact = toy.artifact()
    model = Model(artifact.card, artifact.graphs, Execution("cpu", threads=1))
    card = artifact.card
    return Runs(model, standard_of(card, model, thresholds or Thresholds()))
