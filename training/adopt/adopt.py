"""Adoption from file to published artifact: read, verify, measure, publish."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
from numpy.typing import NDArray

from chainzrule.service.artifact.card import (
    MAX_PROBED_COLUMNS,
    Adoption,
    Differences,
    Draws,
    Golden,
    ModelCard,
    Provenance,
    Reference,
    Role,
    Task,
    Tensor,
)
from chainzrule.service.artifact.store import describe_graph, publish
from chainzrule.service.errors import ArtifactError
from chainzrule.service.runtime.graph import Execution, Graph, runtime_version
from chainzrule.service.runtime.model import Model
from chainzrule.service.runtime.selfcheck import accept
from chainzrule.service.stability.differences import central_differences
from chainzrule.service.stability.measures import Diagnosis, join
from chainzrule.service.stability.outputs import Outputs
from chainzrule.service.stability.reference import distribution, make_reference
from chainzrule.training.adopt.derivative import derivative_graphs
from chainzrule.training.adopt.head import Head, add_head, meaning
from chainzrule.training.adopt.sample import Sample, read_sample
from chainzrule.training.adopt.source import Source, read_source
from chainzrule.training.adopt.steps import ROWS, Step, choose_step, disagreement, half_jumps
from chainzrule.training.errors import AdoptionError
from chainzrule.training.measure.calibration import compared
from chainzrule.training.measure.quality import of_answers
from chainzrule.training.measure.simulation import DRAWS, NOISE_SCALES, choose_rows, simulate
from chainzrule.training.publish.reserve import reserved

TOLERANCE = 1e-5  # of a probability, or of a value relative to the largest
EXACT, EXACT_KINKED = 1e-2, 0.1  # of the exact derivative with differences: half of the rows, and nine in ten
LEAST_DRAWS, DRAWS_A_COLUMN = 512, 4
CALIBRATED_ROWS = 200
GOLDEN_ROWS = 4
CHUNK = 64  # rows that are measured at a time

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Order:
    """What the user asks for."""

    file: Path
    data: Path
    target: str
    name: str
    models: Path
    expected: Path | None = None
    task: Task | None = None
    labels: Sequence[str] = ()
    noise: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class AdoptionReport:
    """What was published, where, and why not by a better method."""

    card: ModelCard
    path: Path
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """A method with its graphs, and what speaks for it."""

    graphs: dict[Role, bytes]
    parts: dict[str, object]
    how: str
    jacobian_difference: float | None
    notes: tuple[str, ...]


def adopt(order: Order) -> AdoptionReport:
    """Adopt a model.

    Raises:
        AdoptionError: names what stands in the way, and what to do.
        DataError, ConfigError, RepositoryError: the sample or the repository cannot be used.
        ArtifactError: the service would refuse the artifact.
    """
    with reserved(order.models, order.name):
        source = read_source(order.file)
        found = read_sample(order.data, order.target, order.task, order.noise, order.units)
        if found.x.shape[1] != source.width:
            raise AdoptionError(
                f"the sample has {found.x.shape[1]} columns beside the target, the model's input {list(source.shape)} "
                f"takes {source.width}; give the columns that it was trained on, in their order"
            )
        answer = _plain_answer(source, found)
        kind = meaning(found.task, answer)
        labels, y = _labels(order, source, found, answer.shape[1])
        head = add_head(source, kind, answer.shape[1])
        scores = _graph(head.graph)
        served = scores.run(found.x)
        if not all(np.isfinite(output).all() for output in served.values()):
            raise AdoptionError("the model's answers to the sample are not all finite; look for outliers in it")
        kept = served["probabilities"] if kind == "probabilities" else served["scores"]
        difference = _difference(kept[:, -answer.shape[1] :], answer) if kind != "scores" else 0.0
        given = None
        if order.expected is not None:
            given = _against_expected(order.expected, labels, served)
        choice = _choose(source, head, scores, found, order.seed)
        card, graphs = _describe(order, source, found, labels, y, head, choice, difference, given)
        path = publish(order.models, order.name, graphs, card, accept)
        return AdoptionReport(card(path.name), path, choice.notes)


def _plain_answer(source: Source, found: Sample) -> Matrix:
    """(rows, columns) the plain graph's answer to the sample, once it is the file's own."""
    answer = _graph(source.graph).run(found.x)["answer"]
    plain = answer.reshape(len(found.x), -1)
    original = onnx.load_from_string(source.content)
    own_input, own_output = source.original
    if own_output not in {value.name for value in original.graph.output}:  # what a ZipMap made a list of
        original.graph.output.append(onnx.ValueInfoProto(name=own_output))
    try:
        session = onnxruntime.InferenceSession(original.SerializeToString(), providers=["CPUExecutionProvider"])
        kind = np.float64 if "double" in session.get_inputs()[0].type else np.float32
        rows = found.x.astype(kind).reshape(-1, *source.shape)
        own = session.run([own_output], {own_input: rows})[0]
    except Exception as error:  # ONNX Runtime's errors share no other base
        raise AdoptionError(f"ONNX Runtime cannot run the file as it is ({type(error).__name__}: {error})") from None
    own = np.asarray(own, np.float32).reshape(len(found.x), -1)
    if own.shape != plain.shape or not _difference(plain, own) <= TOLERANCE:
        raise AdoptionError("the graph made plain does not answer as the file does; please report the model")
    return plain


def _labels(order: Order, source: Source, found: Sample, columns: int) -> tuple[tuple[str, ...], NDArray[np.generic]]:
    """The labels in the order of the model's columns, and the rows' true ones."""
    if found.task == "regression":
        return (), found.y
    count = max(columns, 2)
    labels = tuple(order.labels) or source.labels
    if not labels:
        labels = found.labels
        if len(labels) < count and all(label.isdecimal() and int(label) < count for label in labels):
            labels = tuple(map(str, range(count)))
    if len(labels) != count:
        raise AdoptionError(
            f"the model has {count} labels, but {len(labels)} are known ({', '.join(labels[:10])}); name them in the "
            "order of its columns with --labels"
        )
    strange = [label for label in found.labels if label not in labels]
    if strange:
        raise AdoptionError(
            f"target '{found.target}' has the label '{strange[0][:40]}', which is none of the model's "
            f"({', '.join(labels[:10])}); write the target as the model names it, or give --labels"
        )
    places = np.array([labels.index(label) for label in found.labels])
    return labels, places[found.y.astype(np.int64)]


def _against_expected(path: Path, labels: tuple[str, ...], served: Mapping[str, Matrix]) -> float:
    """Largest difference from the predictions that the user gives.

    Raises:
        AdoptionError: it is more than `TOLERANCE`, or the file does not fit.
    """
    try:
        frame = pd.read_csv(path)  # labels may be numbers: a header that tables may not have
    except (OSError, ValueError) as error:
        raise AdoptionError(f"{path}: cannot be read ({type(error).__name__}); give a CSV file") from None
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes):
        raise AdoptionError(f"{path}: must hold numbers only, the predicted probabilities or values")
    ours = served["probabilities"] if labels else served["scores"]
    names = [str(name) for name in frame.columns]
    if labels and set(names) == set(labels):
        theirs = frame.set_axis(names, axis=1)[list(labels)].to_numpy(dtype=np.float64)
    elif len(names) == 1 and len(labels) in (0, 2):
        theirs, ours = frame.to_numpy(dtype=np.float64), ours[:, -1:]
    else:
        wanted = f"a column for each label ({', '.join(labels)})" if labels else "one column, the value"
        raise AdoptionError(f"{path}: must have {wanted}; it has {', '.join(names[:10])}")
    if len(theirs) != len(ours):
        raise AdoptionError(f"{path}: has {len(theirs)} rows, not {len(ours)}; predict the sample's rows in order")
    gap = _difference(ours, theirs)
    if not gap <= TOLERANCE:
        row = int(np.abs(ours - theirs).max(axis=1).argmax()) + 1
        raise AdoptionError(
            f"{path}: the model answers otherwise, by {gap:.2g} at worst (row {row}); export the very model that "
            "made these predictions, with its preprocessing, in float32"
        )
    return gap


def _difference(found: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """Largest difference, relative to the largest value where that is over 1."""
    gap = np.abs(found.astype(np.float64) - expected).max()
    return float(gap / max(1.0, np.abs(expected).max()))


def _choose(source: Source, head: Head, scores: Graph, found: Sample, seed: int) -> Choice:
    """The best method that holds on the sample: exact derivatives, differences, draws."""
    std = np.array([feature.std for feature in found.features])
    noise = np.array([feature.noise for feature in found.features])
    rows = found.x[np.random.default_rng(seed).permutation(len(found.x))[:ROWS]]
    bare: dict[Role, bytes] = {"model": _serialise(head.graph)}
    notes = []

    def run(x: Matrix) -> Matrix:
        return scores.run(x)["scores"]

    trees = sorted(kind for kind in source.operators if kind.startswith("TreeEnsemble"))
    if trees:
        notes.append(f"{trees[0]} is a step function: its derivative is 0 almost everywhere")
    else:
        step = choose_step(run, rows, std, noise, seed)
        try:
            return _exact(head, run, rows, std, noise, step)
        except AdoptionError as error:
            notes.append(f"no exact derivative: {error}")
        if step.smooth and source.width <= MAX_PROBED_COLUMNS:
            how = (
                f"central differences at {step.step:g} standard deviations; with half the step nine rows in ten agree "
                f"within {step.disagreement:.2g} of their largest"
            )
            return Choice(
                bare,
                {"method": "finite_difference", "differences": Differences(step=step.step)},
                how,
                None,
                tuple(notes),
            )
        notes.append(
            f"differences do not hold: they disagree by {step.disagreement:.2g} with those of half the step and miss "
            f"{step.unexplained:.2g} of what noise does"
        )
    if source.width > MAX_PROBED_COLUMNS:
        raise AdoptionError(
            f"{'; '.join(notes)}, and {source.width} columns are too many to draw "
            f"noise for (at most {MAX_PROBED_COLUMNS})"
        )
    count = max(LEAST_DRAWS, 2 * (DRAWS_A_COLUMN * int(np.count_nonzero(noise)) // 2))
    how = f"counted over {count} draws of the noise, the same for every row; slopes are of the output "
    how += "smoothed by the noise"
    return Choice(bare, {"method": "monte_carlo", "draws": Draws(count=count, seed=seed)}, how, None, tuple(notes))


def _exact(
    head: Head,
    run: Callable[[Matrix], Matrix],
    rows: Matrix,
    std: NDArray[np.float64],
    noise: NDArray[np.float64],
    step: Step,
) -> Choice:
    """Exact derivatives in graphs, held against differences.

    Raises:
        AdoptionError: an operator has none, or they are not what differences say.
    """
    try:
        model, jacobian = derivative_graphs(head.graph, noise, head.outputs)
        found = _graph(jacobian).run(rows)["jacobian"]
        _graph(model).run(rows)
    except ArtifactError as error:
        raise AdoptionError(f"its graph does not load ({error})") from None
    except (ValueError, IndexError, KeyError, onnx.shape_inference.InferenceError, RuntimeError) as error:
        raise AdoptionError(f"its graph cannot be made ({type(error).__name__})") from None
    columns, steps = np.arange(rows.shape[1]), (step.step * std).astype(np.float32)
    differences, jumps = central_differences(run, rows, columns, steps), half_jumps(run, rows, steps)
    gap = disagreement(found * std, np.clip(found, differences - jumps, differences + jumps) * std)
    if not (np.median(gap) <= EXACT and np.quantile(gap, 0.9) <= EXACT_KINKED):
        raise AdoptionError(f"it is not what differences say: half of the rows are off by {np.median(gap):.2g} or more")
    return Choice(
        {"model": _serialise(model), "jacobian": _serialise(jacobian)},
        {"method": "analytic"},
        "exact derivatives, by the chain rule through the graph; at a kink (of a ReLU, a maximum) between its sides",
        float(np.median(gap)),
        (),
    )


def _describe(
    order: Order,
    source: Source,
    found: Sample,
    labels: tuple[str, ...],
    y: NDArray[np.generic],
    head: Head,
    choice: Choice,
    difference: float,
    given: float | None,
) -> tuple[Callable[[str], ModelCard], dict[Role, bytes]]:
    """The card as a function of the version number, measured on the sample."""
    files = {role: describe_graph(content, _opset(content)) for role, content in choice.graphs.items()}
    rows, S, D = len(found.x), max(len(labels), 1), source.width
    random = np.random.default_rng(order.seed)
    mean, std = (np.array([getattr(feature, name) for feature in found.features]) for name in ("mean", "std"))
    low, high = (
        np.array([getattr(feature, name) for feature in found.features], np.float32) for name in ("low", "high")
    )
    golden = np.clip((mean + std * random.standard_normal((GOLDEN_ROWS, D))).astype(np.float32), low, high)
    nothing = distribution(np.zeros(2))
    blank = Golden(
        features=_tensor(golden),
        scores=_tensor(np.zeros((GOLDEN_ROWS, S))),
        covariance=_tensor(np.zeros((GOLDEN_ROWS, S, S))),
        jacobian=_tensor(np.zeros((GOLDEN_ROWS, S, D))),
    )
    draft = ModelCard.model_validate(
        {
            "name": order.name,
            "version": "1",
            "task": found.task,
            **choice.parts,
            "target": found.target,
            "features": found.features,
            "labels": labels,
            "graphs": files,
            "reference": Reference(
                rows=1, out_of_fold=False, volatility=nothing, gradient_norm=nothing, gradient_tail_ratio=1.0,
                out_of_range_rate=0.0,
            ),
            "quality": {},
            "golden": blank,
            "adoption": _adoption(source, head, choice, difference, given, found, order),
            "provenance": Provenance(
                config_sha256=source.sha256,
                data_sha256=found.fingerprint,
                seed=order.seed,
                training_rows=rows,
                parameters=_parameters(source),
                versions={
                    "python": platform.python_version(),
                    "numpy": np.__version__,
                    "onnx": onnx.__version__,
                    "onnxruntime": runtime_version(),
                },
            ),
        }
    )  # fmt: skip
    model = Model(draft, choice.graphs, Execution("cpu", threads=1))
    parts = _measured(model, found.x, 1.0)
    outside = np.asarray(model.rows.ranges.outside(found.x).any(axis=1))
    reference = make_reference(model.link, join([part for _, part in parts]), outside, out_of_fold=False)
    scores = np.concatenate([outputs.scores for outputs, _ in parts])
    quality = of_answers(model.link, y, scores)
    chosen = found.x[choose_rows(rows, D, CALIBRATED_ROWS, order.seed)]
    # The verdicts' own draws are not those that they are held against.
    truth = simulate(model.link, model.score, chosen, model.rows.noise, order.seed + 1)
    stated = [join([part for _, part in _measured(model, chosen, scale)]) for scale in NOISE_SCALES]
    first, _ = _measured(model, golden, 1.0)[0]
    assert first.covariance is not None
    measured = {
        "reference": reference,
        "quality": quality,
        "calibration": compared(model.link, model.score(chosen), stated, *truth, seed=order.seed + 1, draws=DRAWS),
        "golden": Golden(
            features=_tensor(golden),
            scores=_tensor(first.scores),
            covariance=_tensor(first.covariance),
            jacobian=_tensor(model.differentiate(golden)),
        ),
    }
    # Validated once more, as everything that is published.
    card = ModelCard.model_validate({**{name: getattr(draft, name) for name in ModelCard.model_fields}, **measured})
    return lambda version: card.model_copy(update={"version": version}), choice.graphs


def _adoption(
    source: Source, head: Head, choice: Choice, difference: float, given: float | None, found: Sample, order: Order
) -> Adoption:
    rows = len(found.x)
    obtained = {
        "scores": head.how,
        "stability": choice.how,
        "reference": f"the {rows} rows of the sample, which the model may have been fitted to",
        "quality": f"the {rows} rows of the sample, which the model may have been fitted to",
        "calibration": "rows of the sample, run again with draws other than the verdicts' own",
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


def _measured(model: Model, x: Matrix, scale: float) -> list[tuple[Outputs, Diagnosis]]:
    return [model.diagnose(part, np.full(len(part), scale)) for part in np.split(x, range(CHUNK, len(x), CHUNK))]


def _graph(model: onnx.ModelProto) -> Graph:
    try:
        return Graph(_serialise(model), "the model", Execution("cpu", threads=1))
    except ArtifactError as error:
        cause = (str(error.__cause__).strip().splitlines() or [""])[0]
        raise ArtifactError(f"{error.detail}: {cause}", error.place) from None


def _serialise(model: onnx.ModelProto) -> bytes:
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _opset(content: bytes) -> int:
    return int(
        max(item.version for item in onnx.load_from_string(content).opset_import if item.domain in ("", "ai.onnx"))
    )


def _parameters(source: Source) -> int:
    """Numbers that the graph holds, in weights and in attributes (trees)."""
    graph = source.graph.graph
    held = sum(int(np.prod(weight.dims)) for weight in graph.initializer)
    return max(1, held + sum(len(item.floats) for node in graph.node for item in node.attribute))


def _tensor(values: NDArray[np.floating]) -> Tensor:
    return Tensor.from_bytes(values.shape, np.ascontiguousarray(values, dtype="<f4").tobytes())
