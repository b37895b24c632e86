"""Runs a training from data to published artifact: fit, evaluate, export, verify, publish."""

import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from chainzrule.service.artifact.card import GraphFile, ModelCard, Role
from chainzrule.service.artifact.evidence import Baseline, Provenance, Reference
from chainzrule.service.artifact.features import Feature
from chainzrule.service.artifact.store import Sign, describe_graph, publish
from chainzrule.service.runtime.graph import runtime_version
from chainzrule.service.runtime.selfcheck import accept
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.novelty import make_novelty
from chainzrule.training.columns import Columns, with_constraints, with_noise
from chainzrule.training.config import Config
from chainzrule.training.data.dataset import Dataset, Rows
from chainzrule.training.data.noise import check_float32_spacing
from chainzrule.training.data.split import FEWEST_ROWS, FOLDS, folds
from chainzrule.training.errors import ConfigError
from chainzrule.training.export.onnx import OPSET, export_graphs
from chainzrule.training.export.verify import Verification, verify
from chainzrule.training.fitting.recipe import Make, Recipe
from chainzrule.training.measure.calibration import calibration
from chainzrule.training.measure.outputs import (
    Outputs,
    answers,
    conformity,
    join,
    predict,
    predict_baseline,
    reference,
    simulation,
)
from chainzrule.training.measure.quality import quality
from chainzrule.training.measure.simulation import MAX_ROWS, Simulation
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.folded import fold
from chainzrule.training.novelty.activations import network_of
from chainzrule.training.novelty.graph import with_novelty
from chainzrule.training.novelty.novelty import Novelty, fit_novelty
from chainzrule.training.publish.examples import examples
from chainzrule.training.publish.golden import golden, has_bounds
from chainzrule.training.publish.reserve import reserved

VERIFIED_ROWS = 64

Fitted = tuple[FittedModel, int]
Predict = Callable[[FittedModel, Rows], Outputs]


@dataclass(frozen=True)
class RunReport:
    """Holds the result of a run.

    Attributes:
        card: the published card.
        path: the version's directory.
        epochs: passes over the rows that the published model was fitted with.
        verification: how closely the graphs follow the network.
    """

    card: ModelCard
    path: Path
    epochs: int
    verification: Verification


@dataclass(frozen=True)
class Evaluation:
    """Holds a recipe's figures on rows that its models were not fitted to, whose true answers are `y`."""

    quality: dict[str, float]
    outputs: Outputs
    y: NDArray[np.generic]
    parameters: int
    simulations: tuple[Simulation, ...] = ()
    surprise: NDArray[np.float64] | None = None


class Run:
    """Trains and publishes one configuration on one data set."""

    def __init__(
        self,
        config: Config,
        dataset: Dataset,
        checkpoints: Path | None = None,
        resume: bool = False,
        progress: bool = False,
        examples: int = 0,
    ) -> None:
        """Prepares a run.

        Args:
            config: what to do.
            dataset: its rows; their default noise is replaced by the configuration's.
            checkpoints: the directory that keeps the state of every fit until the run is over; None keeps none.
            resume: take up fits that an interrupted run left there.
            progress: show progress bars.
            examples: how many real rows the card is to show.

        Raises:
            ConfigError: the configuration's noise or constraints do not fit the features.
            DataError: float32 is too coarse for a column at its noise.
        """
        noisy = with_noise(dataset.features, config.noise)
        if config.constraints and dataset.layout is not None:
            raise ConfigError("constraints are of a table's columns; an image has none")
        self._link = link_of(dataset.task, dataset.scores)
        labels = 0 if self._link.has_value else len(dataset.labels)
        self.features: tuple[Feature, ...] = with_constraints(noisy, config.constraints, labels)
        check_float32_spacing(self.features)
        self.config = config
        self.dataset = dataset
        self.columns = Columns.of(self.features, dataset.layout)
        self._checkpoints = checkpoints
        self._resume = resume
        self._examples = examples
        self._recipe = Recipe(config, dataset, self.columns, checkpoints, resume, progress)

    def publish(self, root: Path, fitted: Fitted | None = None, sign: Sign | None = None) -> RunReport:
        """Fits, evaluates, exports and verifies, then writes the next version of the model below `root`.

        Args:
            root: the repository; made if it does not exist.
            fitted: the model to publish and its epochs, where the recipe has already made it of all the rows.
            sign: makes the version's signature; None publishes it unsigned.

        Raises:
            TrainingError: the fit diverged, or the graphs do not follow the network.
            ArtifactError: the service would refuse the artifact.
            RepositoryError: nothing can be written to `root`; found before anything is fitted.
        """
        with reserved(root, self.config.name):
            if not self._resume:
                self.forget()  # forget all of it, or a later resumption would find the states of another run
            model, epochs, held_out = self.fit_model(fitted)
            baseline = self.evaluate_baseline()
            graphs = export_graphs(model)
            novelty = self._fit_novelty(model, self.dataset.train, self.columns)
            if novelty is not None:
                graphs["model"] = with_novelty(graphs["model"], novelty)
            if "bounds" in graphs and not has_bounds(model, self.config.seed, graphs["bounds"]):
                del graphs["bounds"]  # the model is published all the same, and answers that it cannot certify
            sample = self.dataset.test or self.dataset.train
            verification = verify(model, graphs, sample.x[:VERIFIED_ROWS], novelty)
            describe = self._describe(model, graphs, novelty, held_out, baseline)
            path = publish(root, self.config.name, graphs, describe, accept, sign)
            return RunReport(describe(path.name), path, epochs, verification)

    @property
    def resumable(self) -> bool:
        """Returns whether a checkpoint has been saved."""
        return self._checkpoints is not None and any(self._checkpoints.glob("*.pt"))

    def forget(self) -> None:
        """Removes the checkpoints, once they are no longer needed."""
        if self._checkpoints is not None:
            shutil.rmtree(self._checkpoints, ignore_errors=True)

    def fit_model(self, fitted: Fitted | None = None) -> tuple[FittedModel, int, Evaluation]:
        """Returns the model to publish, its epochs, and its figures on held-out rows."""
        if self.dataset.test is not None:
            model, report = self._recipe.fit(self._recipe.chainzrule, "fit", self.dataset.train, self.columns)
            moved = simulation(model, self.dataset.test, MAX_ROWS, self.config.seed)
            novelty = self._fit_novelty(model, self.dataset.train, self.columns)
            surprise = None if novelty is None else novelty.score(self.dataset.test.x)
            held_out = replace(self._held_out(model, predict), simulations=(moved,), surprise=surprise)
            return model, report.best_epoch, held_out
        evaluation, epochs = self._out_of_fold(self._recipe.chainzrule, "fold", predict)
        if fitted is not None:
            return *fitted, evaluation
        model, _ = self._recipe.fit(self._recipe.chainzrule, "fit", self.dataset.train, self.columns, epochs=epochs)
        return model, epochs, evaluation

    def evaluate_baseline(self) -> Evaluation:
        """Returns the figures of a ReLU network of the same size, by the same recipe without the penalty."""
        if self.dataset.test is not None:
            model, _ = self._recipe.fit(self._recipe.relu, "baseline", self.dataset.train, self.columns)
            return self._held_out(model, predict_baseline)
        return self._out_of_fold(self._recipe.relu, "baseline-fold", predict_baseline)[0]

    def _out_of_fold(self, make: Make, stage: str, predict: Predict) -> tuple[Evaluation, int]:
        """Returns the figures of rows judged by models fitted without them, and the median of their best epochs.

        Every row is judged where rows are few; a fifth of them, by one model, where there are enough for a test.
        """
        rows, parts, simulations, surprises, epochs = self.dataset.train, [], [], [], []
        held = folds(rows.y, FOLDS, self.config.seed, stratified=self._link.has_labels, groups=rows.groups)
        if len(rows) >= FEWEST_ROWS and self.dataset.layout is None:
            held = held[:1]
        for number, index in enumerate(held, start=1):
            others = rows.take(np.setdiff1d(np.arange(len(rows)), index))
            # A fold must know nothing of the rows it is judged on, not even their mean or range.
            columns = self.columns.of_rows(others.x, others.weights)
            model, report = self._recipe.fit(make, f"{stage}-{number}", others, columns)
            parts.append(predict(model, rows.take(index)))
            if make == self._recipe.chainzrule:
                limit, seed = MAX_ROWS // len(held), self.config.seed + number
                simulations.append(simulation(model, rows.take(index), limit, seed))
                novelty = self._fit_novelty(model, others, columns)
                if novelty is not None:
                    surprises.append(novelty.score(rows.x[index]))
            epochs.append(report.best_epoch)
        judged = np.concatenate(held)
        outputs = join(parts, judged)
        y = rows.y[np.sort(judged)]
        figures = quality(self._link, y, outputs.scores, outputs.input_gradient)
        surprise = np.concatenate(surprises) if surprises else None
        evaluation = Evaluation(figures, outputs, y, model.network.parameter_count, tuple(simulations), surprise)
        return evaluation, int(np.median(epochs))

    def _held_out(self, model: FittedModel, predict: Predict) -> Evaluation:
        assert self.dataset.test is not None
        outputs = predict(model, self.dataset.test)
        figures = quality(self._link, self.dataset.test.y, outputs.scores, outputs.input_gradient)
        return Evaluation(figures, outputs, self.dataset.test.y, model.network.parameter_count)

    def _fit_novelty(self, model: FittedModel, rows: Rows, columns: Columns) -> Novelty | None:
        label = rows.y.astype(np.int64) if self._link.has_labels else None
        network = network_of(fold(model), self.dataset.task)
        return fit_novelty(rows.x, label, columns, network, self.config.seed)

    def _describe(
        self,
        model: FittedModel,
        graphs: dict[Role, bytes],
        novelty: Novelty | None,
        held_out: Evaluation,
        baseline: Evaluation,
    ) -> Callable[[str], ModelCard]:
        """Returns the function that makes the card of a version number."""
        config, dataset = self.config, self.dataset
        files: dict[Role, GraphFile] = {role: describe_graph(content, OPSET) for role, content in graphs.items()}
        stability: Reference = reference(self._link, held_out.outputs, out_of_fold=dataset.test is None)
        given = answers(self._link, held_out.outputs)
        errors = conformity(self._link, held_out.outputs, held_out.y, out_of_fold=dataset.test is None)
        truth = calibration(self._link, held_out.simulations, config.seed)
        unlike = None if held_out.surprise is None else make_novelty(held_out.surprise, dataset.test is None)
        expected = golden(model, config.seed, graphs.get("bounds"), novelty)
        shown = examples(dataset, self._examples, config.seed) or None
        provenance = Provenance(
            config_sha256=config.sha256,
            data_sha256=dataset.fingerprint,
            seed=config.seed,
            training_rows=len(dataset.train),
            parameters=model.network.parameter_count,
            versions={
                "python": platform.python_version(),
                "torch": torch.__version__.split("+")[0],
                "numpy": np.__version__,
                "onnxruntime": runtime_version(),
            },
        )

        def card(version: str) -> ModelCard:
            return ModelCard(
                name=config.name,
                version=version,
                task=dataset.task,
                method="analytic",
                target=dataset.target,
                target_unit=dataset.target_unit,
                features=self.features,
                layout=dataset.layout,
                labels=dataset.labels,
                lenient=dataset.lenient or None,
                graphs=files,
                reference=stability,
                conformity=errors,
                novelty=unlike,
                answers=given,
                calibration=truth,
                quality=held_out.quality,
                baselines=(Baseline(method="relu", parameters=baseline.parameters, quality=baseline.quality),),
                golden=expected,
                examples=shown,
                provenance=provenance,
            )

        return card
