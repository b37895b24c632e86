"""The card refuses what contradicts itself, naming the field and never its value."""

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainzrule.service.artifact.card import parse_card
from chainzrule.service.artifact.tensor import Tensor
from chainzrule.service.errors import ArtifactError
from tests.artifacts import CLASSIFIER, IMAGE, MIXED, ORDINAL, REGRESSION, Toy, tensor

Content = dict[str, Any]


def content(toy: Toy = CLASSIFIER) -> Content:
    card: Content = json.loads(toy.card().model_dump_json(exclude_none=True))
    return card


def refusal(text: bytes) -> ArtifactError:
    with pytest.raises(ArtifactError) as caught:
        parse_card(text)
    assert str(caught.value.place).startswith("card.json")
    assert "s3cret" not in str(caught.value)
    return caught.value


def change(*path: str | int, value: Any) -> Callable[[Content], None]:
    def apply(card: Content) -> None:
        node: Any = card
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = value

    return apply


def drop(*path: str | int) -> Callable[[Content], None]:
    def apply(card: Content) -> None:
        node: Any = card
        for part in path[:-1]:
            node = node[part]
        del node[path[-1]]

    return apply


SOUND = content()
NAN, INF = float("nan"), float("inf")

GRAPH = {"sha256": "0" * 64, "opset": 20}


def zeros(*shape: int) -> Content:
    """A tensor of the card."""
    return tensor(np.zeros(shape)).model_dump()


FAULTS: list[tuple[str, Callable[[Content], None], str]] = [
    ("no schema version", drop("schema_version"), "card.json.schema_version"),
    ("unknown schema version", change("schema_version", value=2), "schema_version 2 is unknown; this service reads 1"),
    ("schema version as text", change("schema_version", value="s3cret"), "card.json.schema_version"),
    ("unknown field", change("novelty", value="s3cret"), "card.json.novelty"),
    ("missing name", drop("name"), "card.json.name"),
    *(
        (f"name {n!r}", change("name", value=n), "card.json.name")
        for n in ("", "../toy", "a/b", ".toy", "-a", "a" * 65, "a b", "é", "a\n", 1)
    ),
    *(
        (f"version {v!r}", change("version", value=v), "card.json.version")
        for v in ("0", "01", "1.0", "-1", "", "1\n", "1234567890", "٣", 1)
    ),
    ("unknown task", change("task", value="s3cret"), "card.json.task"),
    ("unknown method", change("method", value="s3cret"), "card.json.method"),
    ("no features", change("features", value=[]), "card.json.features"),
    ("unknown kind", change("features", 0, "kind", value="s3cret"), "card.json.features.0"),
    ("feature without std", drop("features", 0, "std"), "card.json.features.0.numeric.std"),
    ("std 0", change("features", 0, "std", value=0), "card.json.features.0.numeric.std"),
    ("noise below 0", change("features", 0, "noise", value=-1e-9), "card.json.features.0.numeric.noise"),
    ("NaN mean", change("features", 0, "mean", value=NAN), "card.json.features.0.numeric.mean"),
    ("infinite high", change("features", 1, "high", value=INF), "card.json.features.1.numeric.high"),
    ("low above high", change("features", 0, "low", value=11), "low is above high"),
    ("features repeat", change("features", 1, "name", value="height"), "feature names repeat"),
    ("empty feature name", change("features", 1, "name", value=""), "card.json.features.1.numeric.name"),
    ("labels repeat", change("labels", value=["a", "b", "a"]), "labels repeat"),
    ("empty label", change("labels", value=["", "b", "c"]), "card.json.labels.0"),
    ("one label", change("labels", value=["a"]), "cannot have 1 labels"),
    ("65 labels", change("labels", value=[f"l{n}" for n in range(65)]), "more than 64 scores"),
    ("labels of a regression", change("task", value="regression"), "a regression card cannot have 3 labels"),
    ("another task than the golden rows'", change("task", value="ordinal"), "golden scores must have shape (4, 2)"),
    (
        "layout without features of its size",
        change("layout", value={"height": 2, "width": 2}),
        "an image card has one numeric feature",
    ),
    ("layout without height", change("layout", value={"height": 0, "width": 2}), "card.json.layout.height"),
    ("one graph", drop("graphs", "jacobian"), "graphs must hold model and jacobian"),
    ("unknown graph", change("graphs", "more", value={}), "card.json.graphs"),
    ("path as graph", change("graphs", "../model", value={"sha256": "0" * 64, "opset": 20}), "card.json.graphs"),
    ("short hash", change("graphs", "model", "sha256", value="abc"), "card.json.graphs.model.sha256"),
    ("upper-case hash", change("graphs", "model", "sha256", value="A" * 64), "card.json.graphs.model.sha256"),
    (
        "too few quantiles",
        change("reference", "volatility", "quantiles", value=[0.0] * 100),
        "card.json.reference.volatility.quantiles",
    ),
    (
        "too many quantiles",
        change("reference", "volatility", "quantiles", value=[0.0] * 102),
        "card.json.reference.volatility.quantiles",
    ),
    ("falling quantiles", change("reference", "volatility", "quantiles", 0, value=1e9), "quantiles fall"),
    (
        "NaN quantile",
        change("reference", "volatility", "quantiles", 100, value=NAN),
        "card.json.reference.volatility.quantiles.100",
    ),
    ("no reference rows", change("reference", "rows", value=0), "card.json.reference.rows"),
    ("rate above 1", change("reference", "out_of_range_rate", value=1.1), "card.json.reference.out_of_range_rate"),
    ("NaN quality", change("quality", "accuracy", value=NAN), "card.json.quality.accuracy"),
    ("infinite quality", change("quality", "accuracy", value=INF), "card.json.quality.accuracy"),
    ("golden bounds without a graph", change("golden", "bounds", value=zeros(4, 2, 3)), "go together"),
    ("a bounds graph without golden bounds", change("graphs", "bounds", value=GRAPH), "go together"),
    ("golden data too short", change("golden", "scores", "data", value="AAAA"), "data does not fill the shape"),
    ("golden data not base64", change("golden", "scores", "data", value="s3cret!!"), "data is not base64"),
    ("golden shape below 0", change("golden", "scores", "shape", value=[-1, -3]), "card.json.golden.scores.shape"),
    (
        "golden shape of no rows",
        change(
            "golden",
            value={part: {"shape": [0], "data": ""} for part in ("features", "scores", "covariance", "jacobian")},
        ),
        "at least one row",
    ),
    (
        "golden shape without dimensions",
        change("golden", "features", value={"shape": [], "data": "AAAAAA=="}),
        "golden features",
    ),
    ("golden rows missing", drop("golden"), "card.json.golden"),
    ("no provenance", drop("provenance"), "card.json.provenance"),
    ("no training rows", change("provenance", "training_rows", value=0), "card.json.provenance.training_rows"),
]


@pytest.mark.parametrize(("fault", "said"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_fault_is_refused_by_its_place(fault: Callable[[Content], None], said: str) -> None:
    card = copy.deepcopy(SOUND)
    fault(card)
    assert said in str(refusal(json.dumps(card).encode()))


@pytest.mark.parametrize(
    "text",
    [
        b"", b"s3cret", b"null", b"[]", b'"s3cret"', b"\xff\xfe", b"{", b"[" * 100_000, b'{"schema_version": 1}',
        b'{"schema_version": 1e999}', b'{"schema_version": null}', json.dumps(SOUND).encode()[:-1], b"\x00" * 100,
    ],
)  # fmt: skip
def test_what_is_no_card_is_refused(text: bytes) -> None:
    refusal(text)


def test_numbers_beyond_any_float_are_refused() -> None:
    text = json.dumps(SOUND).replace('"std": 2.0', '"std": 1e999', 1)
    assert "features.0.numeric.std" in str(refusal(text.encode()))


def test_categories() -> None:
    for path, value, said in (
        (("levels",), ["only"], "levels"),
        (("levels",), ["a", "a"], "levels repeat"),
        (("levels",), ["a", ""], "levels"),
        (("fill",), "s3cret", "fill is not one of the levels"),
    ):
        card = content(MIXED)
        change("features", 1, *path, value=value)(card)
        assert said in str(refusal(json.dumps(card).encode()))


def test_the_width_and_the_scores_follow_from_the_card() -> None:
    widths = {
        toy.name: (toy.card().width, toy.card().scores) for toy in (CLASSIFIER, ORDINAL, REGRESSION, MIXED, IMAGE)
    }
    assert widths == {"toy": (2, 3), "graded": (2, 3), "amount": (2, 1), "mixed": (7, 3), "image": (6, 3)}
    assert MIXED.card().score_names() == ["no", "yes", "maybe"]
    assert ORDINAL.card().score_names() == ["> one", "> two", "> three"]
    assert REGRESSION.card().score_names() == ["target"]


def test_a_card_cannot_be_changed() -> None:
    card = CLASSIFIER.card()
    with pytest.raises(ValueError, match="frozen"):
        card.name = "other"
    with pytest.raises(ValueError, match="frozen"):
        card.features[0].noise = 1.0  # type: ignore[union-attr]


def test_tensors_keep_every_bit() -> None:
    values = np.array([[1.0, -0.0], [3.4e38, 1e-45]], dtype="<f4")
    found = Tensor.model_validate_json(tensor(values).model_dump_json())
    np.testing.assert_array_equal(np.frombuffer(found.raw, "<f4").reshape(found.shape), values)
