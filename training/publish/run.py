"""Runs a training from data to published artifact: fit, evaluate, export, verify, publish."""

import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from chainzrule.service.stability.link import Link, link_of
from chainzrule.service.stability.novelty import make_novelty
from chainzrule.training.columns import Columns, with_constraints
from chainzrule.training.config import Config
from chainzrule.training.data.dataset import Dataset
from chainzrule.training.data.noise import check_float32_spacing
from chainzrule.training.descriptions import described
from chainzrule.training.errors import ConfigError
from chainzrule.training.export.onnx import OPSET, export_graphs
from chainzrule.training.export.verify import Verification, verify
from chainzrule.training.fitting.recipe import Recipe
from chainzrule.training.fitting.tuning import Budget, Tried, candidates, choose, parts_of, telling_rows, tries
from chainzrule.training.measure.outputs import answers, conformity, reference
from chainzrule.training.measure.quality import beyond_chance, losses
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.noise.declared import declare
from chainzrule.training.novelty.graph import with_novelty
from chainzrule.training.novelty.novelty import Novelty
from chainzrule.training.publish.evaluation import Evaluation, Judging
from chainzrule.training.publish.examples import Candidates, examples
from chainzrule.training.publish.golden import golden, has_bounds
from chainzrule.training.publish.reserve import reserved

VERIFIED_ROWS = 64

Fitted = tuple[FittedModel, int]


@dataclass(frozen=True)
class RunReport:
    """Holds the result of a run.

    Attributes:
        card: the published card.
        path: the version's directory.
        epochs: passes over the rows that the published model was fitted with.
        verification: how closely the graphs follow the network.
        config: the configuration, with the settings that were chosen.
        tried: how many settings that choice was from.
        better: the rivals that are better than the model on the same rows, beyond chance.
    """

    card: ModelCard
    path: Path
    epochs: int
    verification: Verification
    config: Config
    tried: int = 1
    better: tuple[str, ...] = ()


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
            ConfigError: the configuration's columns, noise or constraints do not fit the features.
            DataError: float32 is too coarse for a column at its noise.
        """
        if config.noise_law.groups and dataset.layout is not None:
            raise ConfigError("noise_law.groups are of a table's columns; an image has none")
        noisy, self._noise_model = declare(
            described(dataset.features, config.columns), dataset.train.x, config.noise, config.noise_law
        )
        if config.constraints and dataset.layout is not None:
            raise ConfigError("constraints are of a table's columns; an image has none")
        self._link = link_of(dataset.task, dataset.scores)
        labels = 0 if self._link.has_value else len(dataset.labels)
        self.features: tuple[Feature, ...] = with_constraints(noisy, config.constraints, labels)
        check_float32_spacing(self.features)
        self.config = config
        self.dataset = dataset
        self.columns = Columns.of(self.features, dataset.layout, self._noise_model)
        self._checkpoints = checkpoints
        self._resume = resume
        self._examples = examples
        self.tried = 1
        self._progress = progress
        self._judging = Judging(dataset, self.columns, config.seed)
        self._chosen = self._recipe_of(config)

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
            baseline, rivals = self.evaluate_baseline(), self._judging.rivals()
            graphs = export_graphs(model)
            novelty = self._judging.novelty(model, self.dataset.train, self.columns)
            if novelty is not None:
                graphs["model"] = with_novelty(graphs["model"], novelty)
            if "bounds" in graphs and not has_bounds(model, self.config.seed, graphs["bounds"]):
                del graphs["bounds"]  # the model is published all the same, and answers that it cannot certify
            sample = self.dataset.test or self.dataset.train
            verification = verify(model, graphs, sample.x[:VERIFIED_ROWS], novelty)
            baselines = (
                Baseline(method="relu", parameters=baseline.parameters, quality=baseline.quality),
                *(rival for rival, _ in rivals),
            )
            describe = self._describe(model, graphs, novelty, held_out, baselines)
            path = publish(root, self.config.name, graphs, describe, accept, sign)
            better = _better(self._link, held_out, rivals)
            return RunReport(describe(path.name), path, epochs, verification, self.config, self.tried, better)

    @property
    def resumable(self) -> bool:
        """Returns whether a checkpoint has been saved."""
        return self._checkpoints is not None and any(self._checkpoints.glob("*.pt"))

    def forget(self) -> None:
        """Removes the checkpoints, once they are no longer needed."""
        if self._checkpoints is not None:
            shutil.rmtree(self._checkpoints, ignore_errors=True)

    def fit_model(self, fitted: Fitted | None = None) -> tuple[FittedModel, int, Evaluation]:
        """Returns the model to publish, its epochs, and its figures on held-out rows.

        Where settings are tried, each fold is judged by the model of the settings that the other folds' rows prefer.
        """
        tried = self._try()
        best = choose(tried)
        self.tried, self._chosen = len(tried), best.recipe
        self.config = best.config
        if self.dataset.test is not None:
            model, report = self._chosen.fit(self._chosen.chainzrule, "fit", self.dataset.train, self.columns)
            return model, report.best_epoch, self._judging.network([model])
        models = [choose(tried, left_out=number).models[number] for number in range(len(self._judging.folds))]
        held_out, epochs = self._judging.network(models), int(np.median(best.epochs))
        if fitted is not None:
            return *fitted, held_out
        rows = self.dataset.train
        model, _ = self._chosen.fit(self._chosen.chainzrule, "fit", rows, self.columns, epochs=epochs)
        return model, epochs, held_out

    def evaluate_baseline(self) -> Evaluation:
        """Returns the figures of a ReLU network of the same size, by the same recipe without the penalty."""
        recipe, models = self._chosen, []
        for number in range(len(self._judging.judged())):
            stage = f"baseline-fold-{number + 1}" if self._judging.folds else "baseline"
            models.append(recipe.fit(recipe.relu, stage, *self._judging.others(number))[0])
        return self._judging.baseline(models)

    def _try(self) -> list[Tried]:
        """Returns the fits of the settings that are tried, which is one unless the configuration asks for more."""
        judging, rows, recipe_of = self._judging, self.dataset.train, self._recipe_of
        telling = telling_rows(rows, self._link.has_labels)
        tunes = self.config.tunes(telling, table=self.dataset.layout is None)
        configs = candidates(self.config, self._chosen, rows) if tunes else [self.config]
        if self.dataset.test is None:
            parts = [(*judging.others(number), judged) for number, judged in enumerate(judging.judged())]
        elif not tunes:
            return [Tried(self.config, self._chosen, (), (), ())]
        else:  # the test has no say, so a part of the training rows is judged by
            parts = parts_of(rows, self.columns, self.config.seed, self._link.has_labels)
        return Budget(self.config.budget).spend(tries(configs, recipe_of, parts))

    def _recipe_of(self, config: Config) -> Recipe:
        return Recipe(config, self.dataset, self.columns, self._checkpoints, self._resume, self._progress)

    def _describe(
        self,
        model: FittedModel,
        graphs: dict[Role, bytes],
        novelty: Novelty | None,
        held_out: Evaluation,
        baselines: tuple[Baseline, ...],
    ) -> Callable[[str], ModelCard]:
        """Returns the function that makes the card of a version number."""
        config, dataset = self.config, self.dataset
        files: dict[Role, GraphFile] = {role: describe_graph(content, OPSET) for role, content in graphs.items()}
        assert held_out.measured is not None
        stability: Reference = reference(
            self._link, held_out.measured, held_out.outputs, held_out.y, out_of_fold=dataset.test is None
        )
        given = answers(self._link, held_out.outputs)
        errors = conformity(self._link, held_out.outputs, held_out.y, out_of_fold=dataset.test is None)
        unlike = None if held_out.surprise is None else make_novelty(held_out.surprise, dataset.test is None)
        expected = golden(model, config.seed, graphs.get("bounds"), novelty)
        known = Candidates.of(self._link, self._judging.rows, held_out.outputs, held_out.surprise)
        shown = examples(dataset, known, self._examples, config.seed) or None
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
                noise=self._noise_model,
                labels=dataset.labels,
                lenient=dataset.lenient or None,
                graphs=files,
                reference=stability,
                conformity=errors,
                novelty=unlike,
                answers=given,
                calibration=held_out.calibration,
                quality=held_out.quality,
                baselines=baselines,
                golden=expected,
                examples=shown,
                provenance=provenance,
            )

        return card


def _better(
    link: Link, held_out: Evaluation, rivals: Sequence[tuple[Baseline, NDArray[np.float64]]]
) -> tuple[str, ...]:
    """Returns the rivals whose answers to the same rows are better beyond chance."""
    own = losses(link, held_out.y, held_out.outputs.scores)
    return tuple(rival.method for rival, scores in rivals if beyond_chance(own - losses(link, held_out.y, scores)))
