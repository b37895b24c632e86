"""The report's plots: one a problem and one a portrait, the same for the same results."""

from pathlib import Path
from typing import Any

from chainzrule.training.fairfight.plots import draw
from chainzrule.training.fairfight.summary import groups

SIZES = ([4, 4], [8, 8], [16, 16])


def result(method: str, hidden: list[int], seed: int, problem: str = "waves", stage: str = "test") -> dict[str, Any]:
    trial = {"problem": problem, "method": method, "hidden": hidden, "seed": seed, "stage": stage}
    trial |= {"settings": {"strength": 1.0}, "epochs": 5, "batch": 32, "rows": 0}
    figures: dict[str, Any] = {"score": 1.0 / hidden[0] + 0.01 * seed, "peak_p99": float(hidden[0]), "noisy": 1.0}
    if stage == "portrait":
        figures = {"gradient_quantiles": [0.0, 1.0, 4.0], "layer_norms": [1.0, 2.0]}
    return {"trial": trial, "figures": figures, "parameters": 10 * hidden[0], "seconds": 1.0}


def test_each_problem_and_each_portrait_has_a_file(tmp_path: Path) -> None:
    results = [result(method, size, seed) for method in ("chainzrule", "relu") for size in SIZES for seed in (1, 2)]
    results += [result("gelu", [8, 8], 1, problem="cubic")]
    results += [result(method, [8, 8], 1, stage="portrait") for method in ("chainzrule", "relu")]
    written = draw(groups(results), results, tmp_path / "plots")
    assert [path.name for path in written] == ["cubic.svg", "waves.svg", "waves-derivatives.svg"]
    curves, portrait = ((tmp_path / "plots" / name).read_text() for name in ("waves.svg", "waves-derivatives.svg"))
    for text in ("parameters", "rmse", "better is down and left", "ChainzRule, DREG on the Fisher information", "ReLU"):
        assert text in curves
    for text in ("input-gradient norm g", "share of rows above", "after layer", "ReLU"):
        assert text in portrait
    again = draw(groups(results), results, tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]
