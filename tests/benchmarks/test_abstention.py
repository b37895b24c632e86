"""`benchmarks.abstention`: the most doubtful answers are withheld, and the report says what was counted."""

import numpy as np
import pytest

from benchmarks.abstention import digits
from benchmarks.abstention.report import report
from benchmarks.abstention.scores import FITTED, RIVAL, Said, doubts, fitted
from chainzrule.service.stability.link import link_of


def said(*scores: list[float], spread: float = 1.0) -> Said:
    rows = np.array(scores, np.float32)
    covariance = np.repeat(np.eye(rows.shape[1], dtype=np.float32)[None] * spread, len(rows), axis=0)
    return Said(rows, covariance, None, np.arange(len(rows), dtype=np.float32))


def test_the_less_sure_and_the_nearer_to_a_boundary_are_the_more_doubtful() -> None:
    found = doubts(link_of("classification", 3), said([9.0, 0.0, 0.0], [2.0, 1.0, 0.0], [0.1, 0.0, 0.0]), 0.7, 2.0, 1)
    assert set(found) > {RIVAL, "flip probability", "novelty"}
    for name, doubt in found.items():
        assert (np.diff(doubt) > 0).all(), name
    assert found[RIVAL][0] < found["right and not flipped"][0]


def test_rows_that_never_flip_are_told_apart_by_their_distance() -> None:
    near, far = said([40.0, 0.0], [90.0, 0.0], spread=1e-3), link_of("classification", 2)
    found = doubts(far, near, 1.0, 1.0, 1)["flip probability"]
    assert found[0] > found[1]


def test_a_fitted_score_finds_what_the_errors_depend_on() -> None:
    random = np.random.default_rng(1)
    scores = {"telling": random.uniform(0.01, 1, 2000), "idle": random.uniform(0.01, 1, 2000)}
    wrong = random.uniform(size=2000) < scores["telling"] ** 2
    score = fitted(scores, wrong)
    one = score({"telling": np.array([0.1, 0.9]), "idle": np.array([0.9, 0.1])})
    assert one[1] > one[0] + 1


def test_a_twentieth_of_each_half_is_withheld() -> None:
    doubt = np.arange(200.0)
    half = np.arange(200) % 2 == 0
    kept = digits.keep(doubt, half)
    assert np.flatnonzero(~kept).tolist() == list(range(190, 200))
    assert digits.keep(doubt[::-1], np.arange(200) < 100)[[0, 4, 5, 99, 100, 105]].tolist() == [
        False, False, True, True, False, True,
    ]  # fmt: skip


def test_digits_are_measured_and_reported() -> None:
    found = digits.measure(2.0, 2, 1, rows=2000)
    assert (found["rows"], found["draws"]) == (2000, 2)
    assert 0.01 < found["error_without_noise"] <= found["error"] + 0.005 < 0.05
    for ways in found["ways"].values():
        assert ways[RIVAL]["beside"] == 0
        assert ways[RIVAL]["error"] < found["error"] / 2
        assert ways[FITTED]["error"] < found["error"]
    steady = found["ways"]["before"]
    assert steady["flip probability"]["changed"] < steady["novelty"]["changed"] <= 1.1 * found["changed"]
    written = report(found)
    assert "2,000 test digits, 2 times with noise of 2 times the card's." in written
    row = next(line for line in written.splitlines() if line.startswith(f"| {RIVAL} |"))
    assert row.split("|")[-3].strip() == "1.00"


@pytest.mark.parametrize("way", ["noisy", "before"])
def test_the_report_compares_with_the_largest_probability(way: str) -> None:
    figures = {"standard_error": 0.0, "changed": 0.001, "beside_standard_error": 0.0001}
    errors = {RIVAL: {"error": 0.01, "beside": 0.0, **figures}, "ours": {"error": 0.005, "beside": -0.005, **figures}}
    found = {"rows": 10, "draws": 1, "noise_scale": 2.0, "share": 0.05, "error": 0.02, "error_without_noise": 0.01}
    found["changed"] = 0.002
    other = {RIVAL: errors[RIVAL]}
    ways = {"noisy": other, "before": other} | {way: errors}
    row = next(line for line in report({**found, "ways": ways}).splitlines() if line.startswith("| ours |"))
    assert row == "| ours | 0.500% ± 0.000% | +0.500 ± 0.010 points | 1.50 | 2.00 | 0.100% |"
