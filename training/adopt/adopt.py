"""Adopts an ONNX model that was trained elsewhere, from its file to a published artifact."""

import hashlib
import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.artifact.evidence import Adoption, Provenance
from chainzrule.service.artifact.interface import Interface, Task
from chainzrule.service.artifact.store import Sign, describe_graph, publish, require_model_name
from chainzrule.service.runtime.graph import Execution, runtime_version
from chainzrule.service.runtime.model import Model
from chainzrule.service.runtime.selfcheck import accept
from chainzrule.training.adopt.convert.converted import Converted
from chainzrule.training.adopt.convert.files import load_model
from chainzrule.training.adopt.convert.library import convert
from chainzrule.training.adopt.evidence import gather_evidence
from chainzrule.training.adopt.given import Given, describe_given, read_given
from chainzrule.training.adopt.graph import opset, parameter_count, serialise
from chainzrule.training.adopt.meaning import Answers
from chainzrule.training.adopt.method import choose_method
from chainzrule.training.adopt.obtained import obtained
from chainzrule.training.adopt.original import TOLERANCE
from chainzrule.training.adopt.prepared import Prepared, Wishes, first_prepared, prepare
from chainzrule.training.adopt.sample import Sample
from chainzrule.training.adopt.source import Source
from chainzrule.training.adopt.table import sample_frame
from chainzrule.training.errors import AdoptionError
from chainzrule.training.novelty.graph import NOVELTY_OPSET, with_novelty
from chainzrule.training.novelty.novelty import fit_novelty, held_out_surprise
from chainzrule.training.publish.reserve import reserved

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class AdoptionReport:
    """Holds the result of an adoption.

    Attributes:
        card: the published card.
        path: the version's directory.
        notes: why the method is no better one, and what else the user should know.
    """

    card: ModelCard
    path: Path
    notes: tuple[str, ...]


def adopt(
    model: Any,
    X: Any = None,
    y: Any = None,
    *,
    name: str,
    data: PathLike | None = None,
    target: str | None = None,
    models: PathLike = "models",
    output: str | None = None,
    which: int | None = None,
    expected: PathLike | None = None,
    tolerance: float = TOLERANCE,
    answers: Answers | None = None,
    task: Task | None = None,
    labels: Sequence[str] = (),
    noise: Mapping[str, float] | None = None,
    units: Mapping[str, str] | None = None,
    seed: int = 0,
    trust_pickle: bool = False,
    sign: Sign | None = None,
) -> AdoptionReport:
    """Publishes a model that was trained elsewhere, with a card that is measured on a sample of rows.

    A model of scikit-learn, LightGBM, XGBoost, CatBoost or torch is converted here, run beside its library on the
    sample, and compared with it.

    Args:
        model: the fitted model; or an ONNX file, which gives one float output besides labels; or a file of XGBoost,
            LightGBM, CatBoost or skops, a pickle, or an MLflow folder.
        X: the sample's rows, a table or a matrix, as the model takes them; better rows that it was not fitted to.
        y: their target.
        name: the name to publish under.
        data: the sample in place of X and y, a CSV or Parquet file of the model's columns and the target. A model of
            one input gets them in their order, one of several gets each by its name.
        target: the column of `data` that is predicted, or the name of `y`.
        models: the repository; made if it does not exist.
        output: the output of an ONNX file that is served, where several could be.
        which: the target that is served, counted from 1, of a model that answers several at once; y is its truth.
        expected: a CSV file of the source library's predictions of the sample, to be compared with.
        tolerance: the largest difference from the library's predictions that is accepted.
        answers: what the model's numbers are; None leaves it to the graph, and to the sample where that does not say.
        task: what the target is; guessed from it when absent.
        labels: the labels in the order of the model's columns, where its file names none.
        noise: one standard deviation of measurement noise by column, in its unit.
        units: the columns' units, by name.
        seed: the seed of draws and choices.
        trust_pickle: whether `model` may be a pickle, which runs whatever code it holds when it is loaded.
        sign: makes the version's signature; None publishes it unsigned.

    Returns:
        The published card, its directory, and notes on why no better method was taken.

    Raises:
        AdoptionError: names what stands in the way, and what to do.
        DataError, ConfigError, RepositoryError: the sample or the repository cannot be used.
        ArtifactError: the service would refuse the artifact.
    """
    require_model_name(name)
    if not tolerance >= TOLERANCE:
        raise AdoptionError(f"--tolerance must be {TOLERANCE:g} or more")
    if which is not None and which < 1:
        raise AdoptionError("--which counts the model's targets from 1")
    root = Path(models)
    with reserved(root, name):
        frame, goal = sample_frame(X, y, None if data is None else Path(data), target)
        predictions = None if expected is None else Path(expected)
        wishes = Wishes(goal, task, labels, answers, predictions, tolerance, noise or {}, units or {}, seed)
        if isinstance(model, str | os.PathLike):
            model = load_model(Path(model), trust_pickle)
        if isinstance(model, Path):
            ready = prepare(read_given(model, output, which), frame, wishes)
        else:
            made = convert(model, frame.drop(columns=goal), which, decisions=answers == "logits")
            ready = first_prepared(_described(made, which), frame, wishes)
        return _published(ready, wishes, name, root, sign)


def _described(made: Iterable[Converted], which: int | None) -> Iterator[tuple[Given, Converted]]:
    for converted in made:
        sha256 = hashlib.sha256(serialise(converted.model)).hexdigest()
        yield describe_given(converted.model, sha256, which=which), converted


def _published(ready: Prepared, wishes: Wishes, name: str, root: Path, sign: Sign | None) -> AdoptionReport:
    """Measures a model on its sample, and publishes it."""
    sample, source, seed = ready.sample, ready.source, wishes.seed
    choice = choose_method(
        ready.head, source.operators, lambda x: ready.scores.run(x)["scores"], sample.x, sample.columns, seed
    )
    interface = Interface(
        task=sample.task,
        method=choice.method,
        differences=choice.differences,
        draws=choice.draws,
        target=sample.target,
        features=sample.features,
        labels=ready.labels,
    )
    graphs = {role: serialise(graph) for role, graph in choice.graphs.items()}
    surprise = None
    if opset(choice.graphs["model"]) >= NOVELTY_OPSET:
        novelty = fit_novelty(sample.filled, None, sample.columns, None, seed)
        if novelty is not None:
            fill = sample.columns.mean if np.isnan(sample.x).any() else None
            graphs["model"] = with_novelty(graphs["model"], novelty, fill)
            surprise = held_out_surprise(sample.filled, sample.columns, seed)
    files = {role: describe_graph(graphs[role], opset(graph)) for role, graph in choice.graphs.items()}
    loaded = Model(interface, graphs, Execution("cpu", threads=1))
    comparison = ready.comparison
    adoption = Adoption(
        source_sha256=source.given.sha256,
        producer=source.given.producer,
        source_difference=ready.difference,
        expected_difference=None if comparison is None else comparison.difference,
        expected_rows_off=None if comparison is None else comparison.rows_off,
        tolerance=None if comparison is None else wishes.tolerance,
        jacobian_difference=choice.jacobian_difference,
        obtained=obtained(sample, ready.reading, ready.head, choice, comparison, surprise is not None),
    )
    evidence = gather_evidence(loaded, sample.x, ready.y, seed, _provenance(source, sample, seed), adoption, surprise)

    def describe(version: str) -> ModelCard:
        return ModelCard(**dict(interface), **dict(evidence), name=name, version=version, graphs=files)

    path = publish(root, name, graphs, describe, accept, sign)
    return AdoptionReport(describe(path.name), path, (*ready.notes, *choice.notes))


def _provenance(source: Source, sample: Sample, seed: int) -> Provenance:
    return Provenance(
        config_sha256=source.given.sha256,
        data_sha256=sample.fingerprint,
        seed=seed,
        training_rows=len(sample.x),
        parameters=parameter_count(source.graph),
        versions={
            "python": platform.python_version(),
            "numpy": np.__version__,
            "onnx": onnx.__version__,
            "onnxruntime": runtime_version(),
        },
    )
