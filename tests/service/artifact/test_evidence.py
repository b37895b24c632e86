"""Evidence stands without an interface, and refuses numbers that no measurement gives."""

from typing import Any

import pytest
from pydantic import ValidationError

from chainzrule.service.artifact.evidence import QUANTILES, Distribution, Evidence, NoiseCalibration, Reference
from tests.artifacts import CLASSIFIER

EVIDENCE = {name: getattr(CLASSIFIER.card(), name) for name in Evidence.model_fields}
REFERENCE = CLASSIFIER.card().reference.model_dump()


def test_evidence_needs_no_model() -> None:
    found = Evidence(**EVIDENCE)
    assert type(found) is Evidence
    assert found.quality == {"accuracy": 0.9}
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
