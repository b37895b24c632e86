"""Holds that each row's answer depends on that row alone, and names the operator by which it does not.

A batch normalisation that was exported in training mode, a dynamically quantised layer or a mean over the batch mix
rows. Who sends one row would then get another answer than the sample's rows did.
"""

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from chainzrule.service.runtime.graph import Graph
from chainzrule.training.adopt.front import INPUT
from chainzrule.training.adopt.graph import copied, failure, opened, serialise
from chainzrule.training.adopt.original import TOLERANCE, largest_difference
from chainzrule.training.adopt.source import OUTPUT
from chainzrule.training.errors import AdoptionError

ALONE = 64  # rows that are run one by one
CHUNK = 7  # rows of a permuted chunk

Matrix = NDArray[np.float32]


def require_rows_apart(
    model: onnx.ModelProto, x: Matrix, answer: Matrix, noise: NDArray[np.floating], seed: int
) -> None:
    """Compares the sample as a whole with the same rows one by one, and in permuted chunks; and once more far off it.

    The second time, columns with noise have the other sign in half of the rows: a branch that all rows decide together
    may be the same for the whole sample.

    Args:
        model: the plain graph.
        x: (rows, D) the sample.
        answer: (rows, columns) to all of it at once.
        noise: (D,) one noise sigma of every column.
        seed: of the permutation.

    Raises:
        AdoptionError: the answers differ, or the graph cannot be run for one row.
    """
    graph = opened(model)
    _compare(model, graph, x, answer, seed)
    signs = np.where((np.arange(len(x)) % 2 == 0)[:, None] & (noise > 0), np.float32(-1), np.float32(1))
    far = (x * signs).astype(np.float32)
    try:
        found = graph.run(far)[OUTPUT].reshape(len(x), -1)
    except Exception:  # the model need not take such values; ONNX Runtime's errors share no narrower base
        return
    usable = np.isfinite(found).all(axis=1)
    if usable.any():
        _compare(model, graph, far[usable], graph.run(far[usable])[OUTPUT].reshape(int(usable.sum()), -1), seed)


def _compare(model: onnx.ModelProto, graph: Graph, x: Matrix, answer: Matrix, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(x))
    chunks, singles = np.split(order, range(CHUNK, len(order), CHUNK)), np.split(order[:ALONE], len(order[:ALONE]))
    for parts in ([order], chunks, singles):
        for rows in parts:
            try:
                found = graph.run(x[rows])[OUTPUT]
            except Exception as error:  # ONNX Runtime's errors share no narrower base
                raise AdoptionError(
                    f"the model answers {len(x)} rows at once, but not {_count(len(rows))} ({failure(error)}); export "
                    "it for any number of rows"
                ) from None
            if found.size != answer[rows].size:
                raise AdoptionError(
                    f"the model does not give {_count(len(rows))} as many numbers as among {len(x)}; export it for any "
                    "number of rows"
                )
            gap = largest_difference(found.reshape(len(rows), -1), answer[rows])
            if not gap <= TOLERANCE:
                raise AdoptionError(
                    f"a row's answer depends on the rows beside it: {_count(len(rows))} of the sample alone and among "
                    f"all {len(x)} differ by {gap:.2g}{_by(_first_mixing(model, x, rows))}"
                )


def _count(rows: int) -> str:
    return "one row" if rows == 1 else f"{rows} rows"


REMEDIES = {
    "BatchNormalization": "export the model in evaluation mode (model.eval())",
    "Dropout": "export the model in evaluation mode (model.eval())",
    "DynamicQuantizeLinear": "quantise it statically (onnxruntime.quantization.quantize_static), or export it in "
    "float32",
}


def _by(operator: str | None) -> str:
    """Returns the rest of the sentence, which names the operator and what to do about it."""
    if operator is None:
        return "; export a model that answers row by row"
    if operator.startswith(("Random", "Bernoulli", "Multinomial")):
        return f", by the operator {operator}, which draws at random; export the model without it"
    return f", by the operator {operator}; {REMEDIES.get(operator, 'export a model that answers row by row')}"


def _first_mixing(model: onnx.ModelProto, x: Matrix, rows: NDArray[np.int64]) -> str | None:
    """Returns the first operator whose output for some rows differs from that for the same rows among all."""
    watched = copied(model)
    known = {value.name for value in watched.graph.output}
    names = [name for node in watched.graph.node for name in node.output if name]
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(serialise(watched), options, providers=["CPUExecutionProvider"])
        among = dict(zip(names, session.run(names, {INPUT: x}), strict=True))
        alone = dict(zip(names, session.run(names, {INPUT: x[rows]}), strict=True))
    except Exception:  # ONNX Runtime's errors share no narrower base; without the name the refusal still holds
        return None
    for node in watched.graph.node:
        for name in node.output:
            if name and _differ(among[name], alone[name], len(x), rows):
                return str(node.op_type)
    return None


def _differ(among: object, alone: object, total: int, rows: NDArray[np.int64]) -> bool:
    if not isinstance(among, np.ndarray) or not isinstance(alone, np.ndarray):
        return False
    if among.shape[:1] == (total,) and alone.shape[:1] == (len(rows),):
        among = among[rows]
    if among.shape != alone.shape:
        return False  # shapes and sizes follow the number of rows
    if among.dtype.kind not in "fiub":
        return bool((among != alone).any())
    if among.ndim == 1 and among.dtype.kind == "i" and among.size <= 8:
        return False  # a shape that is computed
    return bool(among.size) and not largest_difference(alone.astype(np.float64), among.astype(np.float64)) <= TOLERANCE
