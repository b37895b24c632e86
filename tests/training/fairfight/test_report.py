"""The report, of results whose statistics are known."""

from pathlib import Path
from typing import Any

import pytest

from chainzrule.training.fairfight.report import write


def result(method: str, hidden: list[int], seed: int, score: float, parameters: int, **trial: Any) -> dict[str, Any]:
    facts = {"problem": "breast-cancer", "method": method, "hidden": hidden, "seed": seed, "stage": "test"}
    facts |= {"settings": {"strength": 1.0}, "epochs": 60, "batch": 32, "rows": 0}
    peak = 2.0 if method == "chainzrule" else 4.0
    figures = {"score": score, "peak_p99": peak, "peak_max": 2 * peak, "tail_ratio": 3.0}
    figures |= {"noisy": score - 0.1, "corrupted": score - 0.05, "attacked": score - 0.2}
    return {"trial": facts | trial, "figures": figures, "parameters": parameters, "seconds": 1.5}


@pytest.fixture
def results() -> list[dict[str, Any]]:
    """Ours reaches with 100, 200 and 400 parameters what a ReLU network reaches with twice as many."""
    found = []
    for number, size in enumerate((4, 16, 64)):
        for seed in (1, 2, 3):
            noise = 0.001 * seed
            found.append(result("chainzrule", [size, size], seed, 0.90 + 0.02 * number + noise, 100 * 2**number))
            found.append(result("relu", [size, size], seed, 0.88 + 0.02 * number + noise, 100 * 2**number))
    return found


def test_the_report_says_who_is_best_and_at_what_size(results: list[dict[str, Any]], tmp_path: Path) -> None:
    written = write(results, tmp_path)
    assert {path.name for path in written} >= {"report.md", "summary.json"}
    text = (tmp_path / "report.md").read_text()
    best = "ChainzRule, DREG on the Fisher information, 400 parameters | 94.20 ± 0.10"
    assert f"| breast-cancer | {best} | 94.20 ± 0.10 (400) | yes |" in text
    # At 0.92 and noise both curves cross: the rival needs twice the parameters.
    assert "against ReLU: **2.00**" in text
    assert "| ReLU, 200 | 90.20 | at least 2.00 |" in text
    assert "| ReLU, 400 | 92.20 | 2.00 |" in text
    assert "p99 50% lower, maximum 50% lower, at a score that differs by +2.00 points" in text
    assert "No ReLU network measured here is near 15.5 times the size of one of ours." in text


def test_the_papers_own_claim_is_put_to_the_test(results: list[dict[str, Any]], tmp_path: Path) -> None:
    results += [result("relu", [100, 100], seed, 0.5, 1550) for seed in (1, 2, 3)]
    write(results, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "100 parameters of ChainzRule reach 90.20, a ReLU network 15.5 times as large 50.00: the claim holds" in text


def test_a_worse_method_is_not_called_the_best(results: list[dict[str, Any]], tmp_path: Path) -> None:
    results += [result("gelu", [16, 16], seed, 0.99, 200) for seed in (1, 2, 3)]
    write(results, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| breast-cancer | GELU, 200 parameters | 99.00 ± 0.00 | 94.20 ± 0.10 (400) | no |" in text
