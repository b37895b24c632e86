"""Toy models with a bounds graph, as training exports it; tests that ask for one skip where PyTorch is missing."""

from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.runtime.bounds import golden_bounds
from chainzrule.service.runtime.graph import Execution, Graph
from tests.artifacts import Toy, tensor


def bounded(toy: Toy) -> Toy:
    """A toy with a bounds graph: its cubic is a hidden layer of as many neurons as there are columns."""
    torch = pytest.importorskip("torch")
    from chainzrule.training.bounds.graph import bounds_graph
    from chainzrule.training.nn.folded import Folded

    mean, std, noise = toy.columns
    weights = toy.W[:1] if toy.task == "ordinal" else toy.W
    none = torch.zeros(1, 1, dtype=torch.float64)
    content = bounds_graph(
        Folded(
            offset=torch.from_numpy(mean),
            weights=(torch.from_numpy(np.diag(1 / std)),),
            biases=(torch.zeros(len(std), dtype=torch.float64),),
            coefficients=(torch.from_numpy(np.outer([1.0, 0.0, toy.cubic], np.ones(len(std)))),),
            output_weight=torch.from_numpy(weights),
            output_bias=torch.from_numpy(toy.b),
            factor=none,
            leading=none,
            rest=none,
        ),
        toy.task,
        20,
    )
    golden = toy.card().golden
    features = np.frombuffer(golden.features.raw, dtype="<f4").reshape(golden.features.shape)
    graph = Graph(content, "bounds.onnx", Execution("cpu", threads=1))
    found = replace(toy.with_graph("bounds", content), bounds=tensor(golden_bounds(graph, features, noise)))
    return found.with_graph("bounds", content)
