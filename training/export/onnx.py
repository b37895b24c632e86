"""A fitted model as ONNX files: standard operators, dynamic batch, no trace of where they were made."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import onnx
import torch
from torch import nn

from chainzrule.service.artifact.card import Role
from chainzrule.training.bounds.graph import bounds_graph
from chainzrule.training.export.graphs import JacobianGraph, LayersGraph, PredictionGraph
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.folded import fold

OPSET = 20
BOUNDED_WIDTH = 256
"""Networks with wider layers get no bounds: a bound takes scores x width^2 numbers of memory for every row."""


def export_graphs(model: FittedModel) -> dict[Role, bytes]:
    """The graphs of an artifact; the same weights give the same bytes."""
    folded = fold(model)
    prediction, jacobian, layers = PredictionGraph(folded, model.task), JacobianGraph(folded), LayersGraph(folded)
    width = model.columns.width
    graphs: dict[Role, bytes] = {
        "model": to_onnx(prediction, width, prediction.output_names),
        "jacobian": to_onnx(jacobian, width, jacobian.output_names),
        "layers": to_onnx(layers, width, layers.output_names),
    }
    if max(len(bias) for bias in folded.biases) <= BOUNDED_WIDTH:
        graphs["bounds"] = bounds_graph(folded, model.task, OPSET)
    return graphs


def to_onnx(graph: nn.Module, width: int, outputs: Sequence[str]) -> bytes:
    """Serialise a module that takes `features`, float32 (batch, `width`), for any batch of at least one row."""
    # Three rows: an example of one would be specialised to it.
    example = torch.zeros(3, width)
    with torch.no_grad(), _quiet_exporter():
        program = torch.onnx.export(
            graph.eval(),
            (example,),
            input_names=["features"],
            output_names=list(outputs),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    content: bytes = _anonymous(program.model_proto).SerializeToString(deterministic=True)
    return content


def _anonymous(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Drop documentation, metadata and traces, which name files of the machine that exported."""
    proto.doc_string = ""
    del proto.metadata_props[:]
    del proto.functions[:]
    graph = proto.graph
    graph.name = "chainzrule"
    del graph.value_info[:]
    for part in [graph, *graph.node, *graph.input, *graph.output, *graph.initializer]:
        part.doc_string = ""
        del part.metadata_props[:]
    onnx.checker.check_model(proto, full_check=True)
    return proto


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence what the exporter says about its own internals; errors still raise."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
