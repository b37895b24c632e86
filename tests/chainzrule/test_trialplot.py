"""The plot of a trial: the same trial gives the same bytes, with costs and without."""

from pathlib import Path

import numpy as np
import pytest

from chainzrule.service.policy.policy import ANSWER, Decision
from chainzrule.trial import Trial

pytest.importorskip("matplotlib", reason="plots need the extra `training`")

from chainzrule.trialplot import draw

TRIAL = Trial(
    np.array([0.0, 1.0, 0.0]),
    np.array([0.0, 1.0, 0.0]),
    [ANSWER, Decision("abstain", ("novel",)), ANSWER],
    {"probability": np.array([0.1, 0.4, 0.2]), "novelty": np.array([10.0, 99.0, 20.0])},
    0,
)


@pytest.mark.parametrize("costs", [{}, {"error": 5.0, "abstain": 1.0}])
def test_it_shows_each_measure_and_the_policy(tmp_path: Path, costs: dict[str, float]) -> None:
    one, other = tmp_path / "one.svg", tmp_path / "other.svg"
    draw(TRIAL, "toy, 3 rows", True, costs, one)
    draw(TRIAL, "toy, 3 rows", True, costs, other)
    text = one.read_text()
    assert text == other.read_text()
    for said in (
        "largest probability first",
        "least novelty first",
        "the policy",
        "share of rows answered",
        "toy, 3 rows",
    ):
        assert said in text
    assert ("cost of all rows" in text) == bool(costs)


def test_it_may_be_a_picture_of_another_kind(tmp_path: Path) -> None:
    draw(TRIAL, "toy", False, {}, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
