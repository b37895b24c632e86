"""Adopts an ONNX model that was trained elsewhere, from its file to a published artifact."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.artifact.evidence import Adoption, Provenance
from chainzrule.service.artifact.interface import Interface, Task
from chainzrule.service.artifact.store import Sign, describe_graph, publish, require_model_name
from chainzrule.service.runtime.graph import Execution, runtime_version
from chainzrule.service.runtime.model import Model
from chainzrule.service.runtime.selfcheck import accept
from chainzrule.training.adopt.comparison import (
    TOLERANCE,
    compare_expected,
    plain_answer,
    require_finite,
    served_difference,
)
from chainzrule.training.adopt.evidence import gather_evidence
from chainzrule.training.adopt.graph import opened, opset, parameter_count, serialise
from chainzrule.training.adopt.head import Head, add_head, meaning
from chainzrule.training.adopt.labels import match_labels
from chainzrule.training.adopt.method import Choice, choose_method
from chainzrule.training.adopt.sample import Sample, read_sample
from chainzrule.training.adopt.source import Source, read_source
from chainzrule.training.columns import Columns
from chainzrule.training.errors import AdoptionError
from chainzrule.training.novelty.graph import NOVELTY_OPSET, with_novelty
from chainzrule.training.novelty.novelty import MOST_COLUMNS, fit_novelty, held_out_surprise
from chainzrule.training.publish.reserve import reserved

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class AdoptionReport:
    """Holds the result of an adoption.

    Attributes:
        card: the published card.
        path: the version's directory.
        notes: why the method is no better one.
    """

    card: ModelCard
    path: Path
    notes: tuple[str, ...]


def adopt(
    file: PathLike,
    *,
    data: PathLike,
    target: str,
    name: str,
    models: PathLike = "models",
    expected: PathLike | None = None,
    task: Task | None = None,
    labels: Sequence[str] = (),
    noise: Mapping[str, float] | None = None,
    units: Mapping[str, str] | None = None,
    seed: int = 0,
    sign: Sign | None = None,
) -> AdoptionReport:
    """Publishes an ONNX model with a card that is measured on a sample of rows.

    Args:
        file: the model: one float input that holds all columns, one float output besides labels.
        data: the sample, a CSV or Parquet file of the model's columns in their order, and the target.
        target: the column that is predicted.
        name: the name to publish under.
        models: the repository; made if it does not exist.
        expected: a CSV file of the source library's predictions of the sample, to be compared with.
        task: what the target is; guessed from it when absent.
        labels: the labels in the order of the model's columns, where its file names none.
        noise: one standard deviation of measurement noise by column, in its unit.
        units: the columns' units, by name.
        seed: the seed of draws and choices.
        sign: makes the version's signature; None publishes it unsigned.

    Returns:
        The published card, its directory, and notes on why no better method was taken.

    Raises:
        AdoptionError: names what stands in the way, and what to do.
        DataError, ConfigError, RepositoryError: the sample or the repository cannot be used.
        ArtifactError: the service would refuse the artifact.
    """
    require_model_name(name)
    root = Path(models)
    with reserved(root, name):
        source = read_source(Path(file))
        sample = read_sample(Path(data), target, task, noise or {}, units or {})
        if sample.x.shape[1] != source.width:
            raise AdoptionError(
                f"the sample has {sample.x.shape[1]} columns beside the target, the model's input "
                f"{list(source.shape)} takes {source.width}; give the columns that it was trained on, in their order"
            )
        answer = plain_answer(source, sample.x)
        kind, width = meaning(sample.task, answer), answer.shape[1]
        known, y = match_labels(labels, source.labels, sample, width)
        head = add_head(source, kind, width)
        scores = opened(head.graph)
        served = scores.run(sample.x)
        require_finite(*served.values())
        difference = served_difference(served, answer, kind)
        given = None if expected is None else compare_expected(Path(expected), known, served)
        choice = choose_method(
            head, source.operators, lambda x: scores.run(x)["scores"], sample.x, sample.std, sample.noise, seed
        )
        interface = Interface(
            task=sample.task,
            method=choice.method,
            differences=choice.differences,
            draws=choice.draws,
            target=sample.target,
            features=sample.features,
            labels=known,
        )
        graphs = {role: serialise(graph) for role, graph in choice.graphs.items()}
        columns, surprise = Columns.of(sample.features, None), None
        if opset(choice.graphs["model"]) >= NOVELTY_OPSET:
            novelty = fit_novelty(sample.x, None, columns, None, seed)
            if novelty is not None:
                graphs["model"] = with_novelty(graphs["model"], novelty)
                surprise = held_out_surprise(sample.x, columns, seed)
        files = {role: describe_graph(graphs[role], opset(graph)) for role, graph in choice.graphs.items()}
        model = Model(interface, graphs, Execution("cpu", threads=1))
        adoption = _adoption(source, head, choice, difference, given, len(sample.x), surprise is not None)
        evidence = gather_evidence(model, sample.x, y, seed, _provenance(source, sample, seed), adoption, surprise)

        def describe(version: str) -> ModelCard:
            return ModelCard(**dict(interface), **dict(evidence), name=name, version=version, graphs=files)

        path = publish(root, name, graphs, describe, accept, sign)
        return AdoptionReport(describe(path.name), path, choice.notes)


def _provenance(source: Source, sample: Sample, seed: int) -> Provenance:
    return Provenance(
        config_sha256=source.sha256,
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


def _adoption(
    source: Source, head: Head, choice: Choice, difference: float, given: float | None, rows: int, has_novelty: bool
) -> Adoption:
    """Says where the model comes from, and how each of the card's numbers was obtained."""
    obtained = {
        "scores": head.how,
        "stability": choice.how,
        "reference": f"the {rows} rows of the sample, which the model may have been fitted to",
        "conformity": f"the {rows} rows of the sample; where the model knew them, sets and intervals are too "
        "small, and too few answers are close calls",
        "quality": f"the {rows} rows of the sample, which the model may have been fitted to",
        "calibration": "rows of the sample, run again with draws other than the verdicts' own",
        "novelty": f"the inputs of the {rows} rows of the sample, a fifth of them judged by the others at a time"
        if has_novelty
        else f"none: that takes a graph of opset {NOVELTY_OPSET} or later, and at most {MOST_COLUMNS} columns",
        "noise": "as declared with --noise; for other columns a tenth of the sample's standard deviation, 0 for "
        "columns of two values",
        "range": "the sample's smallest and largest values",
        "golden": "this artifact's own answers when it was adopted: they guard against damage, not against the source",
    }
    if choice.notes:
        obtained["not_better"] = "; ".join(choice.notes)
    if given is None:
        obtained["source_library"] = "not compared: no --expected was given"
    else:
        obtained["source_library"] = f"the {rows} predictions of --expected, within {TOLERANCE:g}"
    return Adoption(
        source_sha256=source.sha256,
        producer=source.producer,
        source_difference=difference,
        expected_difference=given,
        jacobian_difference=choice.jacobian_difference,
        obtained=obtained,
    )
