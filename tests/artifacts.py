"""Small artifacts whose answers are known in closed form: made with onnx alone, and published as training does it.

The network is `scores = W (z + cubic z^3) + b` with `z = (features - mean) / std`: linear where `cubic` is 0.
"""

import functools
import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray
from onnx import numpy_helper

from chainzrule.service.artifact.card import GraphFile, ModelCard, Role
from chainzrule.service.artifact.evidence import (
    Conformity,
    Distribution,
    Golden,
    Novelty,
    Provenance,
    Reference,
    Slice,
)
from chainzrule.service.artifact.features import CategoricalFeature, Feature, Layout, NumericFeature
from chainzrule.service.artifact.interface import Differences, Draws, Method, Task
from chainzrule.service.artifact.store import Artifact, describe_graph, publish
from chainzrule.service.artifact.tensor import Tensor
from chainzrule.service.runtime.selfcheck import accept
from chainzrule.service.stability.answers import make_answers
from chainzrule.service.stability.draws import Moved, NoiseDraws
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.noise import Noise

Floats = NDArray[np.float64]
LABELS = {"classification": ("no", "yes", "maybe"), "ordinal": ("one", "two", "three", "four"), "regression": ()}
TENTHS = Distribution(mean=5.0, quantiles=tuple(q / 10 for q in range(101)))
SHA = hashlib.sha256(b"test").hexdigest()


def numeric(name: str, **facts: Any) -> NumericFeature:
    """A numeric feature with mean 1, standard deviation 2, range -10..10 and noise 0.2, unless told otherwise."""
    return NumericFeature(name=name, **{"mean": 1.0, "std": 2.0, "low": -10.0, "high": 10.0, "noise": 0.2, **facts})


def categorical(name: str, *levels: str, fill: str | None = None) -> CategoricalFeature:
    """A categorical feature."""
    return CategoricalFeature(name=name, levels=levels, fill=fill)


@dataclass(frozen=True)
class Toy:
    """A model in closed form; every part can be replaced."""

    task: Task = "classification"
    name: str = "toy"
    features: tuple[Feature, ...] = (numeric("height"), numeric("weight", mean=-1.0, std=0.5, noise=0.05))
    labels: tuple[str, ...] | None = None
    layout: Layout | None = None
    cubic: float = 0.0
    spin: bool = False  # one run loops as often as the largest first feature says: a slow model on demand
    seed: int = 0
    weights: Floats | None = None
    bias: Floats | None = None
    volatility: Sequence[float] = tuple(np.linspace(0.001, 0.101, 101))
    known: bool = False  # whether the graph says how unlike others a row is, and but for images by which columns
    bounds: Tensor | None = None  # the golden rows', where a bounds graph is added
    changes: dict[str, Any] = field(default_factory=dict)  # of the card, past all checks

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The labels."""
        return LABELS[self.task] if self.labels is None else self.labels

    @functools.cached_property
    def scores_count(self) -> int:
        """S."""
        return {"classification": len(self.names), "ordinal": len(self.names) - 1, "regression": 1}[self.task]

    @functools.cached_property
    def columns(self) -> tuple[Floats, Floats, Floats]:
        """(D,) mean, std and noise of the graph's inputs."""
        layout = self.layout
        parts = self.features[:1] * (layout.height * layout.width) if layout else self.features
        rows: list[tuple[float, float, float]] = []
        for part in parts:
            if isinstance(part, NumericFeature):
                rows.append((part.mean, part.std, part.noise))
            else:
                rows += [(0.0, 1.0, 0.0)] * len(part.levels)
        mean, std, noise = np.array(rows).T
        return mean, std, noise

    @functools.cached_property
    def W(self) -> Floats:  # noqa: N802
        """(S, D) weights per standard deviation."""
        if self.weights is not None:
            return self.weights
        drawn = np.random.default_rng(self.seed).normal(size=(self.scores_count, len(self.columns[0])))
        if self.task == "ordinal":
            drawn[:] = drawn[0]
        if self.task == "classification":
            drawn -= drawn.mean(axis=0)
        return drawn.astype(np.float32).astype(np.float64)

    @functools.cached_property
    def b(self) -> Floats:
        """(S,) biases; falling for an ordinal model."""
        if self.bias is not None:
            return self.bias
        if self.task == "ordinal":
            return np.linspace(1.0, -1.0, self.scores_count)
        return np.zeros(self.scores_count)

    def _z(self, features: Floats) -> Floats:
        mean, std, _ = self.columns
        return (np.asarray(features, dtype=np.float64) - mean) / std

    def scores(self, features: Floats) -> Floats:
        """(rows, S)."""
        z = self._z(features)
        return (z + self.cubic * z**3) @ self.W.T + self.b

    def jacobian(self, features: Floats) -> Floats:
        """(rows, S, D) in raw units."""
        slope = 1.0 + 3.0 * self.cubic * self._z(features) ** 2
        return self.W[None] * (slope / self.columns[1])[:, None, :]

    def covariance(self, features: Floats) -> Floats:
        """(rows, S, S) at one noise sigma."""
        B = self.jacobian(features) * self.columns[2]
        return B @ B.transpose(0, 2, 1)

    def novelty(self, features: Floats) -> Floats:
        """(rows,) how far all columns lie from their means, in standard deviations."""
        return np.abs(self._z(features)).sum(axis=1)

    def probabilities(self, features: Floats) -> Floats:
        """(rows, K)."""
        s = self.scores(features)
        if self.task == "classification":
            odds = np.exp(s - s.max(axis=1, keepdims=True))
            return odds / odds.sum(axis=1, keepdims=True)
        exceeded = 1.0 / (1.0 + np.exp(-s))
        edge = np.ones((len(s), 1))
        return -np.diff(np.concatenate([edge, exceeded, 0.0 * edge], axis=1), axis=1)

    def moved(self, features: NDArray[np.float32]) -> Moved:
        """Scores and probabilities, in float32."""
        probabilities = self.probabilities(features).astype(np.float32) if self.names else None
        return Moved(self.scores(features).astype(np.float32), probabilities)

    @functools.cached_property
    def graphs(self) -> dict[Role, bytes]:
        """The ONNX files."""
        return {"model": _serialise(self._model()), "jacobian": _serialise(self._jacobian())}

    def rows(self, count: int, seed: int = 1) -> Floats:
        """(count, D) encoded rows around the means, inside the ranges, exact in float32."""
        rng = np.random.default_rng(seed)
        mean, std, _ = self.columns
        rows = mean + 0.5 * std * np.clip(rng.normal(size=(count, len(mean))), -2.0, 2.0)
        at = 0
        for feature in self.features:
            if isinstance(feature, CategoricalFeature):
                rows[:, at : at + len(feature.levels)] = 0.0
                rows[np.arange(count), at + rng.integers(len(feature.levels), size=count)] = 1.0
                at += len(feature.levels)
            else:
                at += 1
        return rows.astype(np.float32).astype(np.float64)

    def card(self, version: str = "1") -> ModelCard:
        """The model card."""
        golden = self.rows(4, seed=self.seed + 100)
        distribution = Distribution(mean=float(np.mean(self.volatility)), quantiles=tuple(self.volatility))
        card = ModelCard(
            name=self.name,
            version=version,
            task=self.task,
            method="analytic",
            target="target",
            features=self.features,
            layout=self.layout,
            labels=self.names,
            # `probed` has no such graph; its `changes` say so.
            graphs={role: describe_graph(content, 20) for role, content in ({"jacobian": b""} | self.graphs).items()},
            reference=Reference(
                rows=500,
                out_of_fold=True,
                volatility=distribution,
                gradient_norm=distribution,
                gradient_tail_ratio=1.5,
                out_of_range_rate=0.01,
            ),
            conformity=Conformity(
                rows=99,  # of which 90 err by 1.8 at most, so that sets at 0.9 hold what has a probability of 0.165
                out_of_fold=True,
                scale=None if self.names else 2.5,
                per_volatility=0.0 if self.names else 1.5,
                errors=tuple(n / 50 for n in range(1, 100)),
                slices=(Slice(rows=25, coverage=(0.75, 0.85, 0.9)),) * (len(self.names) or 4),
            ),
            # The q-th percentile of the novelty is q / 10.
            novelty=Novelty(rows=500, out_of_fold=True, surprise=TENTHS) if self.known else None,
            answers=make_answers(link_of(self.task, self.scores_count), self.scores(self.rows(200)))
            if self.known
            else None,
            quality={"accuracy": 0.9},
            golden=Golden(
                features=tensor(golden),
                scores=tensor(self.scores(golden)),
                covariance=tensor(self.covariance(golden)),
                jacobian=tensor(self.jacobian(golden)),
                novelty=tensor(self.novelty(golden)[:, None]) if self.known else None,
                deviations=tensor(self._z(golden)) if self.known and self.layout is None else None,
                bounds=self.bounds,
            ),
            provenance=Provenance(
                config_sha256=SHA, data_sha256=SHA, seed=0, training_rows=10, parameters=10, versions={"onnx": "1"}
            ),
        )
        return card.model_copy(update=self.changes)

    def artifact(self, version: str = "1") -> Artifact:
        """The artifact, in memory."""
        return Artifact(self.card(version), self.graphs)

    def publish(self, root: Path, check: Callable[[Artifact], None] = accept) -> Path:
        """Publish the next version; returns its directory."""
        return publish(root, self.name, self.graphs, self.card, check)

    def write(self, root: Path, version: str = "1") -> Path:
        """Write a version without asking whether it is any good; returns its directory."""
        home = root / self.name / version
        home.mkdir(parents=True)
        for role, content in self.graphs.items():
            (home / f"{role}.onnx").write_bytes(content)
        (home / "card.json").write_text(self.card(version).model_dump_json(exclude_none=True))
        return home

    def with_graph(self, role: Role, content: bytes) -> "Toy":
        """The same model with other bytes for a graph; the card's hash is theirs."""
        other = replace(self)
        other.__dict__["graphs"] = {**self.graphs, role: content}
        return other

    def _model(self) -> onnx.ModelProto:
        outputs = f"float[batch,{self.scores_count}] scores, float[batch,{self.scores_count},{self.scores_count}] "
        outputs += "covariance"
        last = ""
        if self.task == "classification":
            last = "probabilities = Softmax <axis = 1> (scores)"
        elif self.task == "ordinal":
            last = (
                "exceeded = Sigmoid(scores)  steps = MatMul(exceeded, differences)  probabilities = Add(steps, first)"
            )
        if last:
            outputs += f", float[batch,{len(self.names)}] probabilities"
        more, computed = self._likeness()
        outputs, last = outputs + more, last + computed
        noisy = "scaled = Mul(slope, noise)  row = Unsqueeze(scaled, one)  B = Mul(row, W)"
        square = "Bt = Transpose <perm = [0, 2, 1]> (B)  covariance = MatMul(B, Bt)"
        return self._parse(outputs, f"{self._scores()} {last} {noisy} {square}")

    def _likeness(self) -> tuple[str, str]:
        """The further outputs of a model that says how unlike others a row is, and their nodes."""
        if not self.known:
            return "", ""
        outputs, nodes = ", float[batch,1] novelty", "  sizes = Abs(z)  novelty = ReduceSum <keepdims = 1> (sizes, one)"
        if self.layout is not None:
            return outputs, nodes
        return f"{outputs}, float[batch,{len(self.columns[0])}] deviations", f"{nodes}  deviations = Identity(z)"

    def _jacobian(self) -> onnx.ModelProto:
        outputs = f"float[batch,{self.scores_count},{len(self.columns[0])}] jacobian, float[batch,1] layer_norms"
        raw = "scaled = Mul(slope, per_unit)  row = Unsqueeze(scaled, one)  jacobian = Mul(row, W)"
        norms = "noisy = Mul(jacobian, noise_raw)  flat = Flatten <axis = 1> (noisy)"
        norms += "  layer_norms = ReduceL2 <keepdims = 1> (flat, one)"
        return self._parse(outputs, f"{self._scores('unused')} {raw} {norms}")

    def _scores(self, name: str = "scores") -> str:
        text = "centred = Sub(features, mean)  z = Mul(centred, per_unit)  squared = Mul(z, z)"
        if self.cubic:
            text += "  bent = Mul(squared, cubic)  tripled = Mul(bent, three)  slope = Add(tripled, unit)"
            text += "  cube = Mul(bent, z)  h = Add(z, cube)"
        else:
            text += "  flat_z = Mul(z, zero)  slope = Add(flat_z, unit)  h = Identity(z)"
        text += "  weighted = MatMul(h, Wt)"
        if not self.spin:
            return f"{text}  {name} = Add(weighted, b)"
        text += "  first_column = Gather <axis = 1> (features, zeroth)  most = ReduceMax <keepdims = 0> (first_column)"
        text += (
            "  trips = Cast <to = 7> (most)  spun = Loop (trips, yes, most) <body = spin (int64 i, bool on, float x)"
        )
        text += " => (bool on_out, float y) { on_out = Identity(on)  y = Sin(x) }>"
        return f"{text}  nought = Mul(spun, zero)  late = Add(weighted, nought)  {name} = Add(late, b)"

    def _parse(self, outputs: str, body: str) -> onnx.ModelProto:
        width = len(self.columns[0])
        head = '<ir_version: 9, opset_import: ["" : 20]>'
        model = onnx.parser.parse_model(f"{head} toy (float[batch,{width}] features) => ({outputs}) {{ {body} }}")
        mean, std, noise = self.columns
        levels = self.scores_count + 1
        differences = np.eye(self.scores_count, levels, 1) - np.eye(self.scores_count, levels)
        floats = {
            "mean": mean,
            "per_unit": 1.0 / std,
            "noise": noise / std,
            "noise_raw": noise,
            "W": self.W,
            "Wt": self.W.T,
            "b": self.b,
            "cubic": self.cubic,
            "three": 3.0,
            "unit": 1.0,
            "zero": 0.0,
            "differences": differences,
            "first": np.eye(1, levels)[0],
        }
        constants = {name: np.asarray(value, dtype=np.float32) for name, value in floats.items()}
        constants |= {"one": np.array([1]), "zeroth": np.array(0), "yes": np.array(True)}
        used = {name for node in model.graph.node for name in node.input}
        for name, value in constants.items():
            if name in used:
                model.graph.initializer.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return model


def probed(toy: Toy, method: Method, count: int = 512) -> Toy:
    """The same model without derivatives in its graphs: what the service has to find out by running further rows."""
    outputs = f"float[batch,{toy.scores_count}] scores"
    softmax = ""
    if toy.task == "classification":
        outputs += f", float[batch,{toy.scores_count}] probabilities"
        softmax = "probabilities = Softmax <axis = 1> (scores)"
    more, computed = toy._likeness()
    graphs: dict[Role, bytes] = {
        "model": _serialise(toy._parse(outputs + more, f"{toy._scores()} {softmax} {computed}"))
    }
    golden = toy.card().golden
    parts: dict[str, Any] = {"differences": Differences(step=0.02)}
    if method == "monte_carlo":
        parts = {"draws": Draws(count=count, seed=7)}
        features = toy.rows(4, seed=toy.seed + 100).astype(np.float32)
        drawn = NoiseDraws(Noise(toy.columns[2]), count, 7).measure(
            link_of(toy.task, toy.card().scores), toy.moved, features, np.ones(4)
        )
        golden = golden.model_copy(update={"covariance": tensor(drawn.covariance), "jacobian": tensor(drawn.jacobian)})
    files = {role: describe_graph(content, 20) for role, content in graphs.items()}
    known = toy.card().conformity
    assert known is not None
    parts |= {"method": method, "graphs": files, "golden": golden}
    parts |= {"conformity": known.model_copy(update={"per_volatility": 0.0})}
    other = replace(toy, name=f"{toy.name}-{method}", changes=parts)
    other.__dict__["graphs"] = graphs
    return other


def tensor(values: Floats) -> Tensor:
    """An array as the card holds it."""
    return Tensor.from_bytes(values.shape, np.ascontiguousarray(values, dtype="<f4").tobytes())


def edited(content: bytes, change: Callable[[onnx.ModelProto], None]) -> bytes:
    """A graph's bytes after `change` of the graph."""
    model = onnx.load_from_string(content)
    change(model)
    return model.SerializeToString()


def described(content: bytes) -> GraphFile:
    """A card's entry for bytes that need not be a graph."""
    return describe_graph(content, 20)


def _serialise(model: onnx.ModelProto) -> bytes:
    # Shapes behind Reduce and Flatten are inferred when loading; the checker sees that the text above is right.
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def encoded(toy: Toy, rows: Sequence[Sequence[float]]) -> Floats:
    """Rows as float64 after the cast to float32 that the service makes."""
    return np.asarray(rows, dtype=np.float32).astype(np.float64)


def normal_tail(z: float) -> float:
    """P(N(0, 1) > z)."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


CLASSIFIER = Toy()
BINARY = Toy(name="binary", labels=("no", "yes"), seed=3)
ORDINAL = Toy(task="ordinal", name="graded", seed=1)
REGRESSION = Toy(task="regression", name="amount", seed=2)
CUBIC = Toy(name="bent", cubic=0.1, seed=4)
MIXED = Toy(
    name="mixed",
    features=(
        numeric("age", fill=3.5),
        categorical("colour", "red", "green", "blue", fill="green"),
        numeric("dose", noise=0.0),
        categorical("site", "north", "south"),
    ),
    seed=5,
)
IMAGE = Toy(
    name="image",
    features=(numeric("pixel", mean=33.0, std=79.0, low=0.0, high=255.0, noise=8.0),),
    layout=Layout(height=2, width=3),
    seed=6,
)
SILENT = Toy(name="silent", features=(numeric("height", noise=0.0), numeric("weight", noise=0.0)), volatility=[0] * 101)
FAMILIAR = Toy(name="familiar", features=(numeric("age"), numeric("dose", mean=-1.0, std=0.5)), known=True, seed=8)
PICTURE = replace(IMAGE, name="picture", known=True)
SLOW = Toy(name="slow", features=(numeric("spin", low=0.0, high=2e6, noise=0.0), numeric("weight")), spin=True, seed=7)
ALL = (CLASSIFIER, BINARY, ORDINAL, REGRESSION, CUBIC, MIXED, IMAGE, SILENT, FAMILIAR, PICTURE, SLOW)
