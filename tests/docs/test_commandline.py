"""The examples of docs/commandline.md, as they stand."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_diabetes

from chainzrule import load
from tests.processes import ROOT

TEXT = (ROOT / "docs" / "commandline.md").read_text()
EXAMPLES = {
    name: (command, shown)
    for name, command, shown in re.findall(r"<!-- example: (\w+) -->\n```console\n\$ (.+?)\n(.+?)```", TEXT, re.DOTALL)
}
MADE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"  # a checkout's own time


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the shipped models, and the tables that the examples name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(ROOT / "models")
    patients = load_diabetes(as_frame=True, scaled=False).data[:3].astype({"sex": int}).astype(object)
    patients.to_csv("patients.csv", index=False)
    patients.loc[1, "sex"] = "unknown"
    patients.loc[2, "bmi"] = "high"
    patients.to_csv("mistaken.csv", index=False)
    return tmp_path


@pytest.mark.parametrize("name", ["predict", "refused", "models"])
def test_an_example_prints_what_is_shown(name: str, home: Path) -> None:
    command, shown = EXAMPLES[name]
    words = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(
        words,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == (2 if name == "refused" else 0)
    assert re.sub(MADE, "-", done.stdout) == re.sub(MADE, "-", shown)


def test_the_columns_are_those_that_are_described(home: Path) -> None:
    section = TEXT.split("| column | |")[1].split("\n\n")[0]
    cells = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    described = {name.partition(".")[0] for cell in cells for name in re.findall(r"`(.+?)`", cell)}
    classified = load("models", "breast-cancer").golden_answers()[0]
    assert described == {*classified, *classified["stability"], "value", "interval"} - {"stability"}


def test_the_example_in_python_runs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.+?)```", TEXT, flags=re.DOTALL)
    exec(example, {"rows": pd.read_csv("patients.csv")})
    assert capsys.readouterr().out.rstrip().endswith(("stable", "elevated", "unstable"))
