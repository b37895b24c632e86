"""Runs published models in Python with the service's own runtime, without a server and without PyTorch."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.instances import instances_of
from chainzrule.repository import find
from chainzrule.service.api.answers import prediction_rows
from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.artifact.listing import StoredVersion
from chainzrule.service.errors import ArtifactError, InvalidInput, NonFiniteOutput
from chainzrule.service.runtime.cpu import available_cpus
from chainzrule.service.runtime.graph import Execution
from chainzrule.service.runtime.model import Model
from chainzrule.service.runtime.selfcheck import golden_features
from chainzrule.service.runtime.selfcheck import load as open_model
from chainzrule.service.serving.question import MAX_NOISE_SCALE
from chainzrule.service.serving.runs import Runs, inputs_of, standard_of
from chainzrule.service.stability.conformal import DEFAULT_CONFIDENCE
from chainzrule.service.stability.predictions import Measured
from chainzrule.service.stability.redrawn import count_rows, redrawn
from chainzrule.service.stability.verdict import Thresholds

BATCH_ROWS = 1024  # the most rows of one run, including the further rows of a model that is probed

Answer = dict[str, Any]
Matrix = NDArray[np.float32]


class LoadedModel:
    """Holds a published model, which was opened and checked as in the service.

    Attributes:
        card: the model card of the version.
    """

    def __init__(self, card: ModelCard, model: Model) -> None:
        self.card = card
        further = 0 if model.probe is None else model.probe.rows
        self._batch_rows = max(1, BATCH_ROWS // (1 + further))
        self._model = model
        self._rows = model.rows
        standard = standard_of(card, model, Thresholds())
        self._runs = Runs(model, standard)

    def predict(self, rows: Any, noise_scale: float = 1.0, confidence: float = DEFAULT_CONFIDENCE) -> list[Answer]:
        """Returns the predictions for rows, each with its stability.

        Args:
            rows: lists in the card's order, or dicts by feature name, as `POST /predict` takes them; or a DataFrame, of
                which the model's columns are read by name; or a matrix, in which NaN is a gap.
            noise_scale: multiple of the card's noise at which to measure.
            confidence: with which sets and intervals are to hold the truth.

        Returns:
            One prediction for each row, as in the member `predictions` of an answer to `POST /predict`.

        Raises:
            InvalidInput: a row is not a valid input of this model; the error names the place.
            NonFiniteOutput: the model's answer to a row is not finite.
        """
        if not 0 < noise_scale <= MAX_NOISE_SCALE:
            raise InvalidInput(f"must be above 0, at most {MAX_NOISE_SCALE:g}", "noise_scale")
        if not 0 < confidence < 1:
            raise InvalidInput("must be between 0 and 1, for example 0.9", "confidence")
        matrix, faults = self.encode(instances_of(rows, self.card))
        if faults:
            place, fault = next(iter(faults.items()))
            raise InvalidInput(fault, f"rows[{place}]")
        answers = self.answer(matrix, noise_scale, confidence)
        for place, answer in enumerate(answers):
            if isinstance(answer, NonFiniteOutput):
                raise NonFiniteOutput(answer.detail, f"rows[{place}]")
        return answers  # type: ignore[return-value]  # all of them are answers

    def encode(self, instances: Sequence[Any] | NDArray[np.float64]) -> tuple[Matrix, dict[int, str]]:
        """Returns the matrix of the valid rows, (rows, D), and the faults of the other rows by their index."""
        encode = self._rows.encode
        if len(instances) == 0:
            return np.zeros((0, self.card.width), np.float32), {}
        try:
            return encode(instances), {}
        except InvalidInput:
            pass
        found: list[Matrix] = [np.zeros((0, self.card.width), np.float32)]
        faults: dict[int, str] = {}
        for place in range(len(instances)):
            try:
                found.append(encode(instances[place : place + 1]))
            except InvalidInput as error:
                feature = (error.place or "").removeprefix("instances").removeprefix("[0]").removeprefix(".")
                faults[place] = f"{feature}: {error.detail}" if feature else error.detail
        return np.concatenate(found), faults

    def answer(
        self, matrix: Matrix, noise_scale: float = 1.0, confidence: float = DEFAULT_CONFIDENCE
    ) -> list[Answer | NonFiniteOutput]:
        """Returns the answer to each encoded row, (rows, D), or the error where its output is not finite."""
        return [
            found
            for start in range(0, len(matrix), self._batch_rows)
            for found in self._run(matrix[start : start + self._batch_rows], noise_scale, confidence)
        ]

    def golden_answers(self) -> list[Answer]:
        """Returns the answers to the card's golden rows, which are finite, as the version was checked with them."""
        return [answer for answer in self.answer(golden_features(self.card)) if isinstance(answer, dict)]

    def _run(self, matrix: Matrix, noise_scale: float, confidence: float) -> list[Answer | NonFiniteOutput]:
        predictions = self._drawn(self._runs.predict(inputs_of(matrix, noise_scale, False, confidence)), noise_scale)
        answers: list[Answer | NonFiniteOutput] = list(prediction_rows(predictions, self.card.labels))
        for place in np.flatnonzero(~predictions.finite).tolist():
            answers[place] = NonFiniteOutput(
                "the model's answer is not finite; the row may lie far outside the training range"
            )
        return answers

    def _drawn(self, batch: Measured, noise_scale: float) -> Measured:
        """Returns a batch with those rows drawn that the closed form does not measure."""
        if batch.unsound is None:
            return batch
        rows = np.flatnonzero(batch.unsound)
        features, scores = batch.inputs.features[rows], batch.scores[rows]
        tallies = count_rows(batch.link, self._model.score, self._rows.errors, features, scores, noise_scale)
        drawn = {int(rows[place]): tally for place, tally in tallies.items()}
        return redrawn(batch, slice(0, len(batch)), drawn)


def load(path: str | os.PathLike[str], name: str | None = None, version: str | int | None = None) -> LoadedModel:
    """Opens a published model for use in Python, and checks it as the service does before it serves one.

    Args:
        path: a model repository, or one version's directory in it.
        name: the model in the repository; may be left out where there is only one.
        version: the version's number; None for the newest.

    Raises:
        UnknownModel, UnknownVersion: the repository has no model of that name, or no version of that number.
        ArtifactError: the version is damaged, or its outputs are not those in its card.
    """
    return open_version(find(Path(path), name, None if version is None else str(version)))


def open_version(stored: StoredVersion, digest: str | None = None) -> LoadedModel:
    """Opens one version and checks it as the service does; raises `ArtifactError` where it fails.

    Its card must be the one with the sha256 `digest`, where that is given.
    """
    try:
        artifact = stored.read(digest)
        return LoadedModel(artifact.card, open_model(artifact, Execution("cpu", available_cpus())))
    except ArtifactError as error:
        raise ArtifactError(f"{stored.name} version {stored.version} would not load: {error}") from None
