"""The card refuses what contradicts itself, naming the field and never its value."""

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainzrule.service.artifact.card import ORDER, ModelCard, parse_card
from chainzrule.service.artifact.evidence import Evidence, Example
from chainzrule.service.artifact.interface import Interface
from chainzrule.service.errors import ArtifactError
from tests.artifacts import CLASSIFIER, MIXED, REGRESSION, Toy, tensor
from tests.processes import ROOT

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

NOVELTY = {"rows": 9, "out_of_fold": False, "surprise": {"mean": 1.0, "quantiles": [float(q) for q in range(101)]}}
GRAPH = {"sha256": "0" * 64, "opset": 20}


def zeros(*shape: int) -> Content:
    """A tensor of the card."""
    return tensor(np.zeros(shape)).model_dump()


def probed(card: Content) -> None:
    card |= {"method": "monte_carlo", "draws": {"count": 512, "seed": 0}}


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
        for v in ("0", "01", "1.0", "-1", "", "1\n", "1234567890123456789", "٣", 1)
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
    ("graphs of a method without derivatives", probed, "graphs of the method monte_carlo are model alone"),
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
    ("golden novelty without a reference", change("golden", "novelty", value=zeros(4, 1)), "go together"),
    ("a reference of novelty without golden rows", change("novelty", value=NOVELTY), "go together"),
    (
        "golden deviations without novelty",
        change("golden", "deviations", value=zeros(4, 2)),
        "golden deviations say what makes a row novel",
    ),
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
    ("a scale for labels", change("conformity", "scale", value=1.0), "conformity has a scale for a regression"),
    ("a slice of a label too few", change("conformity", "slices", value=[{"rows": 0}] * 2), "a slice for every label"),
    ("conformity without rows", change("conformity", "rows", value=0), "card.json.conformity.rows"),
    ("falling errors", change("conformity", "errors", 0, value=1e9), "errors fall"),
    ("NaN error", change("conformity", "errors", 98, value=NAN), "card.json.conformity.errors.98"),
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


def test_a_fault_of_a_category_is_refused_without_its_value() -> None:
    for path, value, said in (
        (("levels",), ["only"], "levels"),
        (("levels",), ["a", "a"], "levels repeat"),
        (("levels",), ["a", ""], "levels"),
        (("fill",), "s3cret", "fill is not one of the levels"),
    ):
        card = content(MIXED)
        change("features", 1, *path, value=value)(card)
        assert said in str(refusal(json.dumps(card).encode()))


@pytest.mark.parametrize(("example", "said"), [
    (Example(label="never", features=(1.0, 2.0)), "a label that the card lacks"),
    (Example(label="yes", features=(1.0,)), "must have 2 features"),
    (Example(label="yes", features=(1.0, "2")), "does not fit weight"),
])  # fmt: skip
def test_a_card_whose_examples_do_not_fit_is_refused(example: Example, said: str) -> None:
    content = CLASSIFIER.card().model_dump() | {"examples": [example.model_dump()]}
    with pytest.raises(ValueError, match=said):
        ModelCard.model_validate(content)


def test_a_regressions_errors_have_a_scale() -> None:
    card = content(REGRESSION)
    assert parse_card(json.dumps(card).encode()).conformity == REGRESSION.card().conformity
    for method, part in (("monte_carlo", "draws"), ("finite_difference", "differences")):
        other = card | {"method": method, "graphs": {"model": card["graphs"]["model"]}}
        other |= {part: {"count": 512, "seed": 0} if part == "draws" else {"step": 0.02}}
        assert "cannot hang on volatility where that takes further runs" in refusal(json.dumps(other).encode()).detail
        del other["conformity"]
        assert parse_card(json.dumps(other).encode()).method == method
    tempered = card | {"conformity": card["conformity"] | {"temperature": 0.7}}
    assert "a temperature for labels, and none for a regression" in refusal(json.dumps(tempered).encode()).detail
    del card["conformity"]["per_volatility"], card["conformity"]["scale"]
    assert "conformity has a scale for a regression" in refusal(json.dumps(card).encode()).detail


def test_a_level_that_a_feature_lacks_is_refused() -> None:
    card = MIXED.card()
    values = [feature.levels[0] if feature.kind == "categorical" else 1.0 for feature in card.inputs()]
    ModelCard.model_validate(card.model_dump() | {"examples": [{"features": values}]})
    wrong = ["none of them" if isinstance(value, str) else value for value in values]
    with pytest.raises(ValueError, match="does not fit"):
        ModelCard.model_validate(card.model_dump() | {"examples": [{"features": wrong}]})


@pytest.mark.parametrize("name", ["breast-cancer", "diabetes", "digits"])
def test_a_card_is_written_as_it_was_read(name: str) -> None:
    text = (ROOT / "models" / name / "1" / "card.json").read_bytes()
    assert parse_card(text).model_dump_json(indent=1, exclude_none=True).encode() + b"\n" == text


def test_fields_come_in_one_order_whatever_is_left_out() -> None:
    assert set(ORDER) == set(ModelCard.model_fields)
    card = CLASSIFIER.card()
    assert list(card.model_dump()) == list(card.model_dump(mode="json")) == list(ORDER)
    assert list(card.model_dump(exclude={"golden", "features"})) == [
        name for name in ORDER if name not in ("golden", "features")
    ]


def test_a_card_is_made_of_an_interface_and_evidence() -> None:
    card = CLASSIFIER.card()
    interface = Interface.model_validate({name: getattr(card, name) for name in Interface.model_fields})
    evidence = Evidence.model_validate({name: getattr(card, name) for name in Evidence.model_fields})
    made = ModelCard(**dict(interface), **dict(evidence), name=card.name, version=card.version, graphs=card.graphs)
    assert made == card
    assert (interface.width, interface.scores) == (card.width, card.scores)
    assert not set(Interface.model_fields) & set(Evidence.model_fields)
