"""A training run from data to published artifact: fit, evaluate, export, verify, publish."""

import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from service.artifact.card import Baseline, Feature, GraphFile, ModelCard, Provenance, Reference, Role
from service.artifact.store import describe_graph, publish
from service.runtime.graph import runtime_version
from service.runtime.selfcheck import accept
from training.baseline import relu_network
from training.checkpoint import Checkpoint
from training.columns import Columns, with_noise
from training.config import Config
from training.data.dataset import Dataset, Rows
from training.data.noise import check_float32_spacing
from training.evaluate import Outputs, join, predict, predict_baseline, quality, reference
from training.export import OPSET, export_graphs
from training.fit import Batch, FitReport, fit
from training.golden import golden
from training.losses import task_loss
from training.model import FittedModel, TargetScale, last_layer
from training.nn.network import ChainzRuleNetwork, Network
from training.nn.ordinal import CumulativeLogits
from training.objective import derivative_controlled
from training.repository import reserved
from training.verify import Verification, verify

FOLDS = 5
VERIFIED_ROWS = 64

Predict = Callable[[FittedModel, Rows], Outputs]


@dataclass(frozen=True)
class RunReport:
    """What a run made.

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
    """A recipe's figures on rows that its models were not fitted to."""

    quality: dict[str, float]
    outputs: Outputs
    parameters: int


class Run:
    """One configuration on one data set."""

    def __init__(self, config: Config, dataset: Dataset, checkpoints: Path, resume: bool, progress: bool) -> None:
        """Prepare a run.

        Args:
            config: what to do.
            dataset: its rows; their default noise is replaced by the configuration's.
            checkpoints: the directory that keeps the state of every fit until the run is over.
            resume: take up fits that an interrupted run left there.
            progress: show progress bars.

        Raises:
            ConfigError: the configuration's noise does not fit the features.
            DataError: float32 is too coarse for a column at its noise.
        """
        self.features: tuple[Feature, ...] = with_noise(dataset.features, config.noise)
        check_float32_spacing(self.features)
        self.config = config
        self.dataset = dataset
        self.columns = Columns.of(self.features, dataset.layout)
        self._checkpoints = checkpoints
        self._resume = resume
        self._progress = progress

    def publish(self, root: Path) -> RunReport:
        """Fit, evaluate, export and verify, then write the next version of the model below `root`.

        Raises:
            TrainingError: the fit diverged, or the graphs do not follow the network.
            ArtifactError: the service would refuse the artifact.
            RepositoryError: nothing can be written to `root`; found before anything is fitted.
        """
        with reserved(root, self.config.name):
            if not self._resume:
                self.forget()  # all of it, or a later resumption would meet what another run left
            model, epochs, held_out = self.fit_model()
            baseline = self.evaluate_baseline()
            graphs = export_graphs(model)
            sample = self.dataset.test or self.dataset.train
            verification = verify(model, graphs, sample.x[:VERIFIED_ROWS])
            describe = self._describe(model, graphs, held_out, baseline)
            path = publish(root, self.config.name, graphs, describe, accept)
            return RunReport(describe(path.name), path, epochs, verification)

    @property
    def resumable(self) -> bool:
        """Whether a checkpoint has been saved."""
        return any(self._checkpoints.glob("*.pt"))

    def forget(self) -> None:
        """Remove the checkpoints, once they are no longer needed."""
        shutil.rmtree(self._checkpoints, ignore_errors=True)

    def fit_model(self) -> tuple[FittedModel, int, Evaluation]:
        """The model to publish, its epochs, and its figures on held-out rows."""
        if self.dataset.test is not None:
            model, report = self._fit(self._chainzrule, "fit", self.dataset.train, self.columns)
            return model, report.best_epoch, self._held_out(model, predict)
        evaluation, epochs = self._out_of_fold(self._chainzrule, "fold", predict)
        model, _ = self._fit(self._chainzrule, "fit", self.dataset.train, self.columns, epochs=epochs)
        return model, epochs, evaluation

    def evaluate_baseline(self) -> Evaluation:
        """A ReLU network of the same size, by the same recipe without the penalty."""
        if self.dataset.test is not None:
            model, _ = self._fit(self._relu, "baseline", self.dataset.train, self.columns)
            return self._held_out(model, predict_baseline)
        return self._out_of_fold(self._relu, "baseline-fold", predict_baseline)[0]

    def _chainzrule(self, seed: int) -> Network:
        network, generator = self.config.network, torch.Generator().manual_seed(seed)
        output = last_layer(self.dataset.task)
        return ChainzRuleNetwork(
            self.columns.width, network.hidden, self.dataset.scores, network.degree, generator, output
        )

    def _relu(self, seed: int) -> Network:
        parameters = self._chainzrule(seed).parameter_count
        hidden, output = self.config.network.hidden, last_layer(self.dataset.task)
        return relu_network(self.columns.width, hidden, self.dataset.scores, parameters, seed, output)

    def _fit(
        self, make: Callable[[int], Network], stage: str, rows: Rows, columns: Columns, epochs: int | None = None
    ) -> tuple[FittedModel, FitReport]:
        """Fit to `rows`: all of them for `epochs`, or without a given number, early stopping on a share of them."""
        config = self.config
        target = self._target_scale(rows)
        network = make(config.seed)
        if isinstance(network.output, CumulativeLogits):
            network.output.start_from(torch.from_numpy(np.bincount(rows.y, minlength=self.dataset.scores + 1)))
        kept, watched = (rows, None) if epochs else self._split(rows)
        loss = task_loss(self.dataset.task)
        penalty = config.dreg.as_schedule() if isinstance(network, ChainzRuleNetwork) else None
        report = fit(
            network,
            loss,
            self._batch(kept, columns, target),
            self._batch(watched, columns, target) if watched else None,
            config.fit,
            derivative_controlled(network, loss, penalty),
            config.seed,
            stop_after=epochs,
            checkpoint=Checkpoint(
                self._checkpoints / f"{stage}.pt", f"{config.sha256} {self.dataset.fingerprint} {stage}", self._resume
            ),
            label=f"{config.name} {stage}",
            progress=self._progress,
        )
        return FittedModel(self.dataset.task, network, columns, target), report

    def _out_of_fold(self, make: Callable[[int], Network], stage: str, predict: Predict) -> tuple[Evaluation, int]:
        """Every row judged by a model that was fitted without it; and the folds' median best epoch."""
        rows, parts, epochs = self.dataset.train, [], []
        held = folds(rows.y, FOLDS, self.config.seed, stratified=self.dataset.task != "regression")
        for number, index in enumerate(held, start=1):
            others = rows.take(np.setdiff1d(np.arange(len(rows)), index))
            # A fold knows nothing of the rows it is judged on, not even their mean or range.
            model, report = self._fit(make, f"{stage}-{number}", others, self.columns.of_rows(others.x))
            parts.append(predict(model, rows.take(index)))
            epochs.append(report.best_epoch)
        outputs = join(parts, np.concatenate(held))
        figures = quality(self.dataset.task, rows.y, outputs)
        return Evaluation(figures, outputs, model.network.parameter_count), int(np.median(epochs))

    def _held_out(self, model: FittedModel, predict: Predict) -> Evaluation:
        assert self.dataset.test is not None
        outputs = predict(model, self.dataset.test)
        figures = quality(self.dataset.task, self.dataset.test.y, outputs)
        return Evaluation(figures, outputs, model.network.parameter_count)

    def _split(self, rows: Rows) -> tuple[Rows, Rows | None]:
        watched = round(self.config.fit.validation * len(rows))
        if watched == 0:
            return rows, None
        order = np.random.default_rng(self.config.seed).permutation(len(rows))
        return rows.take(order[watched:]), rows.take(order[:watched])

    def _target_scale(self, rows: Rows) -> TargetScale:
        if self.dataset.task != "regression":
            return TargetScale()
        y = rows.y.astype(np.float64)
        return TargetScale(float(y.mean()), float(y.std()) or 1.0)

    def _batch(self, rows: Rows, columns: Columns, target: TargetScale) -> Batch:
        x = torch.from_numpy(columns.standardise(rows.x)).float()
        y = torch.from_numpy(rows.y)
        if self.dataset.task == "regression":
            y = ((y.double() - target.mean) / target.std).float()
        return x, y

    def _describe(
        self, model: FittedModel, graphs: dict[Role, bytes], held_out: Evaluation, baseline: Evaluation
    ) -> Callable[[str], ModelCard]:
        """The card as a function of the version number."""
        config, dataset = self.config, self.dataset
        files: dict[Role, GraphFile] = {role: describe_graph(content, OPSET) for role, content in graphs.items()}
        stability: Reference = reference(dataset.task, held_out.outputs, out_of_fold=dataset.test is None)
        expected = golden(model, config.seed)
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
                graphs=files,
                reference=stability,
                quality=held_out.quality,
                baselines=(Baseline(method="relu", parameters=baseline.parameters, quality=baseline.quality),),
                golden=expected,
                provenance=provenance,
            )

        return card


def folds(y: NDArray[np.generic], count: int, seed: int, stratified: bool) -> list[NDArray[np.int64]]:
    """Row indices of `count` folds of equal size; stratified ones hold every label in the same share."""
    order = np.random.default_rng(seed).permutation(len(y))
    if stratified:
        order = order[np.argsort(y[order], kind="stable")]
    return [np.sort(order[first::count]) for first in range(count)]
