"""The example of docs/estimators.md, as it stands."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chainzrule.service.artifact.store import read_artifact

ROOT = Path(__file__).parents[2]


def test_the_example_publishes_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.+?)```", (ROOT / "docs" / "estimators.md").read_text(), flags=re.DOTALL)
    random = np.random.default_rng(0)
    age, colour = random.normal(50, 12, 90), random.choice(["blue", "red"], 90)
    course = np.array(["none", "mild", "severe"])[np.digitize(age + 9 * (colour == "red"), [48, 60])]
    table = pd.DataFrame({"age": age, "dose": random.gamma(2.0, 3.0, 90), "colour": colour, "course": course})
    monkeypatch.chdir(tmp_path)
    exec(example, {"table": table})
    card = read_artifact(tmp_path / "models" / "courses" / "1").card
    assert card.labels == ("none", "mild", "severe")
    assert card.features[0].noise == 0.5  # type: ignore[union-attr]
    assert card.target == "course"
