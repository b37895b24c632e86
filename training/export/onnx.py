"""Exports a fitted model as ONNX files of standard operators, with a dynamic batch and no trace of this machine.

The formulas are those of `export.graphs`, written operator by operator: `verify` holds the two against each other, and
both against the definition in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from chainzrule.service.artifact.card import Role
from chainzrule.service.artifact.interface import Task
from chainzrule.training.bounds.graph import bounds_graph
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.folded import Folded, FoldedBends, fold
from chainzrule.training.nn.link import link_of
from chainzrule.training.nn.meanshift import half_curvature_coefficients
from chainzrule.training.onnxwriter import GraphWriter, Value

OPSET = 20
BOUNDED_WIDTH = 256
"""Networks with wider layers get no bounds: a bound takes scores x width^2 numbers of memory for every row."""


def export_graphs(model: FittedModel) -> dict[Role, bytes]:
    """Returns the graphs of an artifact; the same weights give the same bytes."""
    folded = fold(model)
    graphs: dict[Role, bytes] = {
        "model": prediction_graph(folded, model.task),
        "jacobian": jacobian_graph(folded),
        "layers": layers_graph(folded),
    }
    if max(len(bias) for bias in folded.biases) <= BOUNDED_WIDTH:
        graphs["bounds"] = bounds_graph(folded, model.task, OPSET)
    return graphs


def prediction_graph(folded: Folded, task: Task) -> bytes:
    """Returns the graph features -> scores, covariance; with labels also probabilities and mean_shift."""
    network, link = _Network(folded), link_of(task)
    passed = network.propagate()
    scores, S = network.scores(passed.hidden), network.S
    if not link.has_labels:
        covariance = network.covariance(passed.slopes)
        return network.writer.finish([("scores", scores, (S,)), ("covariance", covariance, (S, S))])
    shift, directions = network.mean_shift(passed)
    widths = link.level_widths(folded.output_bias)
    if widths is None:
        probabilities = network.writer.node("Softmax", scores, axis=1)
    else:
        probabilities = network.level_probabilities(scores, widths)
    covariance = network.covariance(passed.slopes, directions)
    shift = network.expanded(shift, (1, S)) if network.moves_as_one else shift
    return network.writer.finish(
        [
            ("scores", scores, (S,)),
            ("probabilities", probabilities, (link.labels(S),)),
            ("covariance", covariance, (S, S)),
            ("mean_shift", shift, (S,)),
        ]
    )


def jacobian_graph(folded: Folded) -> bytes:
    """Returns the graph features -> jacobian (batch, S, D) in raw units."""
    network = _Network(folded)
    first = network.per_score(network.first_slopes(network.propagate().slopes))
    jacobian = first @ network.weight(0)
    if network.read is not None:
        jacobian = jacobian * network.read.slopes.expand_dims(1)
    return network.writer.finish([("jacobian", jacobian, (network.S, folded.weights[0].shape[1]))])


def layers_graph(folded: Folded) -> bytes:
    """Returns the graph features -> layer_norms (batch, hidden layers + 1)."""
    network = _Network(folded)
    slopes = network.propagate().slopes
    factor = network.noise()
    # The factor replaces W_1 N: same norm, fewer columns. The last derivative comes from the output side.
    derivatives = [slopes[0].expand_dims(2) * factor]
    for number in range(1, len(slopes)):
        derivatives.append(slopes[number].expand_dims(2) * (network.weight(number) @ derivatives[-1]))
    derivatives.append(network.per_score(network.first_slopes(slopes)) @ factor)
    norms = [network.norm(derivative) for derivative in derivatives]
    joined = network.writer.node("Concat", *norms, axis=1)
    return network.writer.finish([("layer_norms", joined, (len(norms),))])


@dataclass(frozen=True)
class _Passed:
    """Holds the forward pass: (batch, width) values of the last hidden layer, and every layer's slopes and inputs."""

    hidden: Value
    slopes: list[Value]
    before: list[Value]


@dataclass(frozen=True)
class _Read:
    """Holds (batch, D) features on the scales that they are read on, with the first two derivatives of reading them."""

    values: Value
    slopes: Value
    curvatures: Value


def _read(network: "_Network", bent: FoldedBends, features: Value) -> _Read:
    """Writes what `nn.bending.Bending` computes."""
    constants = (bent.bends.keep, bent.bends.start, bent.bends.steepness)
    keep, start, steepness = (network.constant(torch.from_numpy(part)) for part in constants)
    placed = (features - start) * steepness
    root = (placed * placed + 1.0).sqrt()
    rise = steepness / root
    values = keep * features + network.writer.node("Asinh", placed)
    return _Read(values, keep + rise, -((rise * rise) * (placed / root)))


class _Network:
    """Writes the parts of a folded network into one graph, in float32."""

    def __init__(self, folded: Folded) -> None:
        self.writer = GraphWriter(OPSET, "float")
        self.S = len(folded.output_bias)
        self._folded = folded
        self._output = self.constant(folded.output_weight, "output_weight")
        self.read: _Read | None = None  # made by `propagate` where columns are bent
        self.moves_as_one = len(folded.output_weight) < self.S

    def constant(self, values: Tensor, name: str | None = None) -> Value:
        """Writes a constant in float32."""
        return self.writer.constant(np.ascontiguousarray(values.detach().float().numpy()), name)

    def weight(self, number: int) -> Value:
        """Writes the (width, inputs) weight of a hidden layer."""
        return self.constant(self._folded.weights[number], f"weight_{number}")

    def noise(self) -> Value:
        """Writes the noise after the first layer in factors: (width, rank), or (batch, width, rank) by bent columns."""
        factor = self.constant(self._folded.factor, "factor")
        if self.read is None:
            return factor
        bent = self._bent_noise(self.read).matrix_transpose(3)
        return self.writer.node("Concat", self._for_all_rows(factor, bent), bent, axis=2)

    def propagate(self) -> _Passed:
        """Writes the forward pass."""
        folded, features = self._folded, self.writer.input("features", "float", self._folded.weights[0].shape[1])
        if folded.bent is not None:
            self.read = _read(self, folded.bent, features)
            features = self.read.values
        h, slopes, before = features - self.constant(folded.offset, "offset"), [], []
        for number, (bias, coefficients) in enumerate(zip(folded.biases, folded.coefficients, strict=True)):
            z = self._linear(h, self.weight(number), self.constant(bias, f"bias_{number}"))
            named = enumerate(coefficients, start=1)
            powers = [self.constant(row, f"coefficient_{number}_{power}") for power, row in named]
            h, slope = self._polynomial(z, powers)
            slopes.append(slope)
            before.append(z)
        return _Passed(h, slopes, before)

    def scores(self, hidden: Value) -> Value:
        """Writes the (batch, S) scores."""
        bias = self.constant(self._folded.output_bias, "output_bias")
        if self.moves_as_one:
            return self._linear(hidden, self._output) + bias
        return self._linear(hidden, self._output, bias)

    def first_slopes(self, slopes: list[Value]) -> Value:
        """Writes (batch, S, width) d scores / d z_1; one row for all scores where they move as one."""
        derivative = self._output * slopes[-1].expand_dims(1)
        for number in range(len(slopes) - 1, 0, -1):
            derivative = (derivative @ self.weight(number)) * slopes[number - 1].expand_dims(1)
        return derivative

    def covariance(self, slopes: list[Value], directions: Value | None = None) -> Value:
        """Writes the scores' (batch, S, S) covariance, in factored form, which keeps variances non-negative.

        It comes by the noise's leading directions, (batch, directions, width), where those are all there are.
        """
        if directions is not None and self._folded.rest is None and not self.moves_as_one:
            noisy = directions @ self.constant(self._folded.output_weight.T)
            return noisy.matrix_transpose(3) @ noisy
        noisy = self.first_slopes(slopes) @ self.noise()
        covariance = noisy @ noisy.matrix_transpose(3)
        return self.expanded(covariance, (1, self.S, self.S)) if self.moves_as_one else covariance

    def mean_shift(self, passed: _Passed) -> tuple[Value, Value]:
        """Writes the (batch, S) mean shift of the scores at one noise sigma, and the noise's leading directions.

        See `nn.meanshift.mean_shift`, of which this is the form with all constants worked out.
        """
        folded = self._folded
        rest = folded.rest
        straight = folded.leading.float().square().sum(dim=0) + (0.0 if rest is None else rest.float())
        spread = self.constant(folded.leading, "leading")
        remaining = None if rest is None else self.constant(rest, "rest")
        variance: Tensor | Value = straight
        if self.read is not None:
            noisy = self._bent_noise(self.read)
            variance = (noisy * noisy).sum(1) + self.constant(straight)
            spread = self.writer.node("Concat", self._for_all_rows(spread, noisy), noisy, axis=1)
        shift: Value | None = self._bent(passed.before[0], 0, variance)
        if self.read is not None and folded.bent is not None:
            moved = self.read.curvatures * self.constant(folded.bent.half_variance)
            carried = passed.slopes[0] * (moved @ self.constant(folded.weights[0].T))
            shift = carried if shift is None else shift + carried
        for number in range(1, len(folded.weights)):
            weight, slope = folded.weights[number], passed.slopes[number - 1]
            spread = (spread * slope.expand_dims(1)) @ self.constant(weight.T)
            varies = (spread * spread).sum(1)
            if remaining is not None:
                remaining = (remaining * (slope * slope)) @ self.constant(weight.square().T)
                varies = varies + remaining
            bent = self._bent(passed.before[number], number, varies)
            if shift is not None:
                carried = passed.slopes[number] * (shift @ self.constant(weight.T))
                bent = carried if bent is None else carried + bent
            shift = bent
        if shift is None:  # linear layers have no curvature, so they shift nothing
            shift = self.constant(torch.zeros(1))
        if self.read is None and (len(folded.weights) == 1 or not any(len(rows) > 1 for rows in folded.coefficients)):
            shift = self._for_each_row(shift, passed.before[-1])  # a constant has to be repeated for every row
        return self._linear(shift, self._output), spread * passed.slopes[-1].expand_dims(1)

    def level_probabilities(self, scores: Value, widths: Tensor) -> Value:
        """Writes an ordinal model's (batch, K) probabilities; see `nn.link.Ordinal`."""
        above = self.writer.node("Sigmoid", scores)
        below = self.writer.node("Sigmoid", -scores)
        inner, last = self.constant(widths), self.S - 1
        between = self._columns(above, 0, last) * self._columns(below, 1, self.S) * inner
        first, end = self._columns(below, 0, 1), self._columns(above, last, self.S)
        return self.writer.node("Concat", first, between, end, axis=1)

    def per_score(self, derivative: Value) -> Value:
        """Writes a derivative that all scores share once for each of them."""
        return self.expanded(derivative, (1, self.S, 1)) if self.moves_as_one else derivative

    def expanded(self, value: Value, shape: Sequence[int]) -> Value:
        """Writes a value repeated to a shape, in which 1 leaves an axis as it is."""
        return self.writer.node("Expand", value, self.writer.integers(shape))

    def norm(self, matrices: Value) -> Value:
        """Writes the (batch, 1) Frobenius norms of (batch, m, n) matrices."""
        norms = self.writer.node("ReduceL2", matrices, self.writer.integers((1, 2)), keepdims=0)
        return norms.expand_dims(1)

    def _bent(self, z: Value, number: int, variance: Tensor | Value) -> Value | None:
        """Writes half the curvature of a layer's polynomials times a variance; None for straight lines.

        A constant variance goes into the coefficients, so that the graph need not multiply by it.
        """
        curvature = half_curvature_coefficients([row.float() for row in self._folded.coefficients[number]])
        if not curvature:
            return None
        if isinstance(variance, Tensor):
            *lower, value = [self.constant(row * variance) for row in curvature]
        else:
            *lower, value = [self.constant(row) for row in curvature]
        while lower:
            value = value * z + lower.pop()
        return value if isinstance(variance, Tensor) else value * variance

    def _polynomial(self, z: Value, coefficients: list[Value]) -> tuple[Value, Value]:
        """Writes value and slope of the polynomial without its constant; `coefficients` are c_1 to c_n."""
        *lower, leading = coefficients
        product = leading * z
        if not lower:  # the slope is a constant, which has to be repeated for every row
            return product, self._for_each_row(leading, z)
        # This is Horner's recursion for value and slope, without the last addition because the constant is 0.
        value = product + lower.pop()
        slope = product + value
        while lower:
            value = value * z + lower.pop()
            slope = slope * z + value
        return value * z, slope

    def _bent_noise(self, read: "_Read") -> Value:
        """Writes (batch, bent, first width) what each bent column's noise does to the first layer, row by row."""
        assert self._folded.bent is not None
        slopes = self.writer.node("Gather", read.slopes, self.writer.integers(self._folded.bent.index.tolist()), axis=1)
        return slopes.expand_dims(2) * self.constant(self._folded.bent.noisy)

    def _for_all_rows(self, matrix: Value, like: Value) -> Value:
        """Writes a (m, n) constant once for each row of the batch of `like`."""
        batch = self.writer.node("Shape", like, start=0, end=1)
        ones = self.writer.integers((1, 1))
        return self.writer.node("Expand", matrix, self.writer.node("Concat", batch, ones, axis=0))

    def _linear(self, h: Value, weight: Value, *bias: Value) -> Value:
        return self.writer.node("Gemm", h, weight, *bias, transB=1)

    def _for_each_row(self, constant: Value, like: Value) -> Value:
        return self.writer.node("Expand", constant, self.writer.node("Shape", like))

    def _columns(self, value: Value, start: int, stop: int) -> Value:
        limits = (self.writer.integers((place,)) for place in (start, stop, 1))
        return self.writer.node("Slice", value, *limits)
