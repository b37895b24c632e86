"""`benchmarks.reviews` on a tiny data folder: the fits are real, the texts drawn."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.reviews import contest
from benchmarks.reviews.contest import Sources, balanced, chosen, jobs, run
from benchmarks.reviews.report import report


def test_a_balanced_part_has_as_many_of_every_level() -> None:
    levels = np.array([0] * 5 + [1] * 9 + [2] * 3 + [3] * 4 + [4] * 20)
    rows = balanced(levels)
    np.testing.assert_array_equal(np.bincount(levels[rows]), [3] * 5)
    np.testing.assert_array_equal(rows, np.unique(rows))
    np.testing.assert_array_equal(rows, balanced(levels))


def test_settings_are_chosen_on_validation_rows_and_judged_on_test_rows(
    text_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contest, "EPOCHS", 8)
    sources = Sources(text_data / "yelp5", text_data / "vectors.txt", text_data)
    results = []
    for method, kept in (("linear", slice(4, 6)), ("chainzrule-layers", slice(5, 9, 3))):
        results += [run(job, sources) for job in jobs("pooled", method)[kept]]
        best = min((result for result in results if result["method"] == method), key=lambda result: result["loss"])
        final = chosen("pooled", method, results)
        assert final[0].settings.strength == best["settings"]["strength"]
        assert len(final) == (1 if method == "linear" else 5)
        results += [run(job, sources) for job in final[:2]]
    figures = results[-1]["figures"]
    assert figures["balanced"]["accuracy"] > 0.4  # 0.2 by chance
    assert figures["natural"]["quadratic_kappa"] > 0.6
    part = {"encoding": "pooled", "inputs": 16, "shares": [0.1, 0.1, 0.1, 0.1, 0.6], "results": results}
    part["rows"] = {"train": 500, "validation": 100, "natural": 200, "balanced": 150}
    recipe = {"hidden": contest.HIDDEN, "epochs": 8, "batch": contest.BATCH, "seeds": contest.SEEDS}
    text = report({"recipe": recipe, "encodings": {"pooled": part}})
    assert "| Always the median level | | 20.0 | 1.200 | 0 | 60.0 | 1.000 | 0 | 0 |" in text
    assert text.count("**") >= 12
