"""Evidence stands without an interface, and refuses numbers that no measurement gives."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from chainzrule.service.artifact.evidence import (
    MAX_ERRORS,
    QUANTILES,
    Adoption,
    Baseline,
    Calibration,
    Conformity,
    Distribution,
    Evidence,
    NoiseCalibration,
    Provenance,
    Reference,
    ReliabilityBin,
    Slice,
)
from tests.artifacts import CLASSIFIER

EVIDENCE = {name: getattr(CLASSIFIER.card(), name) for name in Evidence.model_fields}
REFERENCE = CLASSIFIER.card().reference.model_dump()


def test_evidence_needs_no_model() -> None:
    found = Evidence(**EVIDENCE)
    assert type(found) is Evidence
    assert found.quality == {"accuracy": 0.9}
    assert Evidence(**{name: part for name, part in EVIDENCE.items() if name != "conformity"}).conformity is None
    assert (found.calibration, found.examples, found.adoption, found.baselines) == (None, None, None, ())


@pytest.mark.parametrize("missing", ["reference", "quality", "golden", "provenance"])
def test_what_every_model_has_is_not_left_out(missing: str) -> None:
    with pytest.raises(ValidationError, match=missing):
        Evidence(**{name: part for name, part in EVIDENCE.items() if name != missing})


@pytest.mark.parametrize(("quantiles", "said"), [
    ([0.0] * (QUANTILES - 1), "at least 101 items"),
    ([0.0] * (QUANTILES + 1), "at most 101 items"),
    ([*range(QUANTILES - 1), QUANTILES - 3], "quantiles fall"),
])  # fmt: skip
def test_quantiles_are_a_hundred_and_one_and_never_fall(quantiles: list[float], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Distribution(mean=1.0, quantiles=tuple(quantiles))


def test_quantiles_may_be_equal() -> None:
    assert Distribution(mean=1.0, quantiles=(1.0,) * QUANTILES).quantiles[0] == 1.0


@pytest.mark.parametrize("change", [
    {"rows": 0}, {"gradient_tail_ratio": -0.1}, {"out_of_range_rate": -0.1}, {"out_of_range_rate": 1.1},
])  # fmt: skip
def test_a_reference_is_of_rows_and_its_shares_are_shares(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Reference(**{**REFERENCE, **change})
    assert Reference(**{**REFERENCE, "rows": 1, "gradient_tail_ratio": 0.0, "out_of_range_rate": 1.0}).rows == 1


@pytest.mark.parametrize("change", [
    {"noise_scale": 0.0},
    {"volatility_rows": -1},
    {"reliability": [{"rows": 0, "stated": 0.5, "seen": 0.5}]},
    {"reliability": [{"rows": 1, "stated": 1.5, "seen": 0.5}]},
    {"reliability": [{"rows": 1, "stated": 0.5, "seen": -0.5}]},
])  # fmt: skip
def test_calibration_is_of_a_noise_and_its_chances_are_chances(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NoiseCalibration(**{"noise_scale": 1.0, "volatility_rows": 0, **change})


@pytest.mark.parametrize(("change", "said"), [
    ({"rows": 0, "errors": ()}, "rows"),
    ({"rows": 3}, "errors must be those of all rows, or 1000 of them"),
    ({"rows": 5000}, "errors must be those of all rows"),
    ({"rows": 1001, "errors": (0.0,) * 1001}, "at most 1000 items"),
    ({"errors": (2.0, 1.0)}, "errors fall"),
    ({"errors": (-0.1, 1.0)}, "errors.0"),
    ({"errors": (0.0, float("inf"))}, "errors.1"),
    ({"scale": 0.0}, "scale"),
    ({"per_volatility": 1.0}, "per_volatility is of a regression"),
    ({"scale": 1.0, "per_volatility": -0.1}, "per_volatility"),
    ({"temperature": 0.0}, "temperature"),
])  # fmt: skip
def test_conformity_is_of_the_errors_of_rows(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Conformity(**{"rows": 2, "out_of_fold": False, "errors": (1.0, 1.0), **change})


def test_a_slice_of_no_rows_has_no_coverage() -> None:
    assert Slice(rows=0).coverage is None
    for change in (
        {"rows": -1},
        {"coverage": (0.8, 0.9)},
        {"coverage": (0.8, 0.9, 1.1)},
        {"coverage": (-0.1, 0.9, 1.0)},
    ):
        with pytest.raises(ValidationError):
            Slice(**{"rows": 3, "coverage": (0.0, 0.5, 1.0), **change})


def test_conformity_keeps_so_many_errors_of_any_number_of_rows() -> None:
    for rows in (1, MAX_ERRORS, MAX_ERRORS + 1, 10**9):
        errors = (0.5,) * min(rows, MAX_ERRORS)
        assert Conformity(rows=rows, out_of_fold=True, errors=errors).scale is None


SHA = "0" * 64
LEAST: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (Calibration, {"rows": 1, "draws": 2, "seed": 0, "noise_scales": ()}),
    (Baseline, {"method": "relu", "parameters": 1, "quality": {}}),
    (ReliabilityBin, {"rows": 1, "stated": 0.0, "seen": 0.0}),
    (
        Provenance,
        {"config_sha256": SHA, "data_sha256": SHA, "seed": 0, "training_rows": 1, "parameters": 1, "versions": {}},
    ),
    (
        Adoption,
        {
            "source_sha256": SHA,
            "producer": "",
            "source_difference": 0.0,
            "expected_difference": 0.0,
            "jacobian_difference": 0.0,
            "obtained": {},
        },
    ),
]


@pytest.mark.parametrize(("kind", "parts"), LEAST, ids=[kind.__name__ for kind, _ in LEAST])
def test_counts_and_differences_have_a_least_value(kind: type[BaseModel], parts: dict[str, Any]) -> None:
    kind(**parts)
    for name, least in parts.items():
        if isinstance(least, int | float) and name != "seed":
            with pytest.raises(ValidationError, match=name):
                kind(**{**parts, name: least - 1})
