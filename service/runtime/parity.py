"""Checks that a device computes what the CPU does, at every batch size with bound buffers, which also warms it up."""

import logging

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.errors import ArtifactError
from chainzrule.service.runtime.graph import BOUND_ROWS, Graph

log = logging.getLogger(__name__)

# The largest difference from the CPU, relative to the largest magnitude. Another order of float32 sums makes a
# difference of about 1e-6, kernels with less than float32's precision one of 1e-3 or more.
PARITY_TOLERANCE = 2e-4


def differences(graph: Graph, reference: Graph, rows: NDArray[np.float32]) -> dict[str, float]:
    """Returns each output's largest difference from the reference's, relative to the reference's largest magnitude.

    `rows`, (any number, D), are repeated to fill a batch of every size. NaN counts as an infinite difference.
    """
    found = dict.fromkeys(graph.outputs, 0.0)
    for size in BOUND_ROWS:
        batch = np.resize(rows, (size, rows.shape[1]))
        ours, theirs = graph.run(batch), reference.run(batch)
        for name in found:
            scale = max(float(np.abs(theirs[name]).max()), float(np.finfo(np.float32).tiny))
            difference = float(np.abs(ours[name] - theirs[name]).max()) / scale
            found[name] = max(found[name], difference if np.isfinite(difference) else np.inf)
    return found


def require_parity(graph: Graph, reference: Graph, rows: NDArray[np.float32]) -> None:
    """Logs how far a graph's outputs are from the reference's; raises `ArtifactError` where that is too far."""
    found = differences(graph, reference, rows)
    log.info("parity with the CPU", extra={"graph": graph.name, "largest_relative_difference": found})
    name, largest = max(found.items(), key=lambda item: item[1])
    if not largest <= PARITY_TOLERANCE:
        raise ArtifactError(f"differs from the CPU by {largest:.1e} of its largest magnitude in its {name}", graph.name)
