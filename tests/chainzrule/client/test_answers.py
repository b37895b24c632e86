"""Answers are typed, keep what they do not know, and become frames."""

from typing import Any

import pytest

from chainzrule.client.answers import Decision, Explanation, Novelty, Prediction, read_answers

STABILITY = {"verdict": "unstable", "reasons": ["flip_probability"], "volatility": 0.1, "flip_probability": 0.2}
ROW = {
    "label": "b",
    "probabilities": {"a": 0.4, "b": 0.6},
    "set": ["a", "b"],
    "novelty": {"percentile": 99.0, "features": ["age"], "later": 1},
    "stability": {**STABILITY, "later": 2},
    "decision": {"action": "review", "causes": ["unstable"], "review": True},
    "later": 3,
}


def document(*rows: Any) -> dict[str, Any]:
    return {"model": "toy", "version": "1", "confidence": 0.9, "predictions": list(rows)}


def test_rows_are_typed_and_keep_what_is_unknown() -> None:
    answers = read_answers(Prediction, document(ROW), None)
    assert (answers.model, answers.version, answers.confidence, len(answers)) == ("toy", "1", 0.9, 1)
    row = answers[0]
    assert (row.label, row.value, row.set, row.interval) == ("b", None, ["a", "b"], None)
    assert (row.stability.verdict, row.stability.flip_probability) == ("unstable", 0.2)
    assert row.novelty == Novelty(99.0, ["age"])
    assert row.decision == Decision("review", ["unstable"], True)
    assert row.document["later"] == 3
    assert [*answers] == [*answers[0:1]] == [row]


def test_what_is_withheld_or_not_computed_is_none() -> None:
    row = {
        "value": None,
        "interval": None,
        "novelty": None,
        "stability": {"verdict": "not_computed", "out_of_range": []},
    }
    (found,) = read_answers(Prediction, document(row), None)
    assert (found.value, found.interval, found.novelty, found.stability.volatility) == (None, None, None, None)


def test_explanations_have_sensitivities_and_certificates() -> None:
    more = {
        "sensitivities": [{"feature": "age", "value": 1.0, "gradient": 2.0, "effect": 0.4, "share": 1.0}],
        "certificate": {"scores": {"a": [0.0, None]}, "label_is_certain": False},
    }
    (found,) = read_answers(Explanation, document({**ROW, **more}), None)
    assert (found.sensitivities[0].feature, found.sensitivities[0].switch) == ("age", None)
    assert found.certificate is not None
    assert found.certificate.label_is_certain is False


def test_frames_have_a_column_for_each_simple_member() -> None:
    pd = pytest.importorskip("pandas")
    frame = read_answers(Prediction, document(ROW, ROW), pd.Index([7, 9])).frame()
    assert list(frame.index) == [7, 9]
    assert frame.loc[7, "label"] == "b"
    assert frame.loc[9, "probability_b"] == 0.6
    assert frame.loc[9, "novelty"] == 99.0
    assert frame.loc[7, "verdict"] == "unstable"
    assert frame.loc[7, "decision"] == "review"
    interval = {"value": 1.5, "interval": [1.0, None], "stability": STABILITY}
    assert read_answers(Prediction, document(interval), None).frame().loc[0, "interval_low"] == 1.0
