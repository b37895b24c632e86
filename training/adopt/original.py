"""Runs a file as it was given, beside the model that was made plain, and holds both to the same answers."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from chainzrule.service.errors import ArtifactError
from chainzrule.training.adopt.front import INPUT
from chainzrule.training.adopt.given import Given
from chainzrule.training.adopt.graph import copied, failure, opened, prune, serialise
from chainzrule.training.adopt.source import OUTPUT, Source
from chainzrule.training.errors import AdoptionError

TOLERANCE = 1e-5  # the largest difference of a probability, or of a value relative to the largest value
COARSE = 5e-3  # the same from a file that computes in float16

Matrix = NDArray[np.float32]


class NotRunError(AdoptionError):
    """Says that ONNX Runtime cannot run a file, which says nothing of another conversion of the same model."""


@dataclass(frozen=True)
class Answers:
    """Holds what a model answers to the sample.

    Attributes:
        plain: (rows, columns) by the plain graph.
        difference: the largest of these from the file's own.
        labels: (rows,) the labels that the file itself gives, as text; None where it gives none.
    """

    plain: Matrix
    difference: float
    labels: NDArray[np.str_] | None


def largest_difference(found: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """Returns the largest absolute difference, divided by the largest expected magnitude where that is over 1."""
    gap = np.abs(found.astype(np.float64) - expected).max()
    return float(gap / max(1.0, np.abs(expected).max()))


def require_finite(*answers: NDArray[np.floating]) -> None:
    """Raises `AdoptionError` where a number is infinite or NaN."""
    if not all(np.isfinite(answer).all() for answer in answers):
        raise AdoptionError("the model's answers to the sample are not all finite; look for outliers in it")


def first_faithful(sources: Iterable[Source], x: Matrix) -> tuple[Source, Answers]:
    """Returns the first of the plain models that answers as the file does, with its answers.

    Args:
        sources: the same file, made plain in several ways.
        x: (rows, D) the sample.

    Raises:
        AdoptionError: the file cannot be run, an answer is not finite, or no plain model answers as the file does.
    """
    own_answer: NDArray[np.generic] | None = None
    labels = None
    refusal = ""
    for source in sources:
        if own_answer is None:
            own_answer, labels = run_given(source.given, source.front, x)
            _require_rows(own_answer, len(x))
            require_finite(own_answer.astype(np.float32))
        expected = own_answer.astype(np.float32).reshape(len(x), -1)
        try:
            plain = opened(source.graph).run(x)[OUTPUT]
        except ArtifactError as error:
            refusal = str(error)
            continue
        except Exception as error:  # ONNX Runtime's errors share no narrower base
            refusal = failure(error)
            continue
        if plain.size == expected.size:
            difference = largest_difference(plain.reshape(expected.shape), expected)
            if difference <= (COARSE if source.is_coarse else TOLERANCE):
                return source, Answers(plain.reshape(expected.shape), difference, labels)
        refusal = ""
    batch = source.given.batch
    if batch is not None:
        raise AdoptionError(
            f"the model takes exactly {batch} rows, and its graph does not answer the same for others"
            f"{f' ({refusal})' if refusal else ''}; export it with a dynamic batch dimension (torch.onnx.export: "
            "dynamic_shapes, or dynamic_axes; skl2onnx: FloatTensorType([None, D]))"
        )
    if refusal:
        raise AdoptionError(f"ONNX Runtime cannot run the model on all rows at once ({refusal}); export it again")
    drawing = sorted(kind for kind in source.operators if kind.startswith(("Random", "Bernoulli", "Multinomial")))
    if drawing:
        raise AdoptionError(
            f"the model answers the same rows otherwise each time, by the operator {drawing[0]}, which draws at "
            "random; export the model without it"
        )
    raise AdoptionError("the graph made plain does not answer as the file does; please report the model")


def run_given(given: Given, front: onnx.ModelProto, x: Matrix) -> tuple[NDArray[np.generic], NDArray[np.str_] | None]:
    """Returns the file's own answer to rows, and its labels as text, where it gives any.

    Raises:
        AdoptionError: it cannot be run; says what ONNX Runtime says.
    """
    model = copied(given.model)
    wanted = [given.answer] + ([] if given.label is None else [given.label])
    kept = [value for value in model.graph.output if value.name in wanted]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    if given.answer not in {value.name for value in kept}:  # a ZipMap hides the tensor behind it
        model.graph.output.append(onnx.ValueInfoProto(name=given.answer))
    prune(model)
    try:
        into = _session(front)
        session = _session(model)
        names = [value.name for value in session.get_inputs()]
        found: list[list[NDArray[np.generic]]] = []
        size = given.batch or len(x)
        for start in range(0, len(x), size):
            part = x[start : start + size]
            rows = np.resize(part, (size, x.shape[1])) if given.batch else part  # the last few are repeated
            feeds = dict(zip(names, into.run(names, {INPUT: rows}), strict=True))
            found.append([np.asarray(output) for output in session.run(wanted, feeds)])
    except Exception as error:  # ONNX Runtime's errors share no narrower base
        raise NotRunError(f"ONNX Runtime cannot run the file on the sample ({failure(error)})") from None
    parts = [output if given.batch is None else _rows(output, given) for output in map(list, zip(*found, strict=True))]
    answer, *labels = [np.concatenate(part)[: len(x)] if given.batch else part[0] for part in parts]
    if not labels or labels[0].size != len(x):
        return answer, None
    return answer, np.array([_text(value) for value in labels[0].ravel().tolist()])


def _rows(outputs: list[NDArray[np.generic]], given: Given) -> list[NDArray[np.generic]]:
    """Returns the outputs of runs of a fixed number of rows, each with a row for every row of its input."""
    return [output.reshape(given.batch or 1, -1) for output in outputs]


def _require_rows(answer: NDArray[np.generic], rows: int) -> None:
    if answer.ndim == 0 or answer.size < rows or answer.size % rows or answer.shape[0] not in (rows, answer.size):
        shape = " x ".join(map(str, answer.shape)) or "a single number"
        if answer.ndim == 3 and answer.shape[1] == rows:
            raise AdoptionError(f"the model answers {len(answer)} targets at once; --which N serves the N-th alone")
        raise AdoptionError(
            f"the model does not answer each row by itself: to {rows} rows it gives {shape}; export a model whose "
            "output has one row for each row of its input"
        )


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(serialise(model), options, providers=["CPUExecutionProvider"])


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
