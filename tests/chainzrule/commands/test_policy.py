"""`chainzrule policy` on a shipped model: what it prints, draws and refuses."""

from pathlib import Path

import pytest
from sklearn.datasets import load_breast_cancer

from chainzrule.cli import main
from tests.chainzrule.commandline import without
from tests.processes import ROOT

POLICIES = """
[models.breast-cancer]
novel = "abstain"
close_call = "review"
unstable = "reject"

[reviews]
file = "reviews.jsonl"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    frame = load_breast_cancer(as_frame=True).frame
    frame["diagnosis"] = frame.pop("target").map({0: "malignant", 1: "benign"})
    frame.to_csv("patients.csv", index=False)
    (tmp_path / "policies.toml").write_text(POLICIES)
    return tmp_path


def policy(*arguments: str) -> int:
    known = ("--target", "diagnosis", "--models", str(ROOT / "models"), "--model", "breast-cancer")
    return main(["policy", "patients.csv", *known, *arguments])


def test_it_says_what_a_policy_would_do(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="plots need the extra `training`")
    assert policy("--policies", "policies.toml", "--cost", "error=10", "abstain=1", "--plot", "plot.svg") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("569 rows by breast-cancer version 1: ")
    table = {
        line.split()[0]: int(line.split()[1])
        for line in lines
        if line[:8].strip() in ("answer", "review", "abstain", "reject")
    }
    assert sum(table.values()) == 569
    assert set(table) == {"answer", "review", "abstain", "reject"}
    assert any(line.startswith("for review: ") for line in lines)
    assert any(line.startswith("answered: ") for line in lines)
    assert any(line.startswith("cost: ") for line in lines)
    assert lines[-1] == "wrote plot.svg"
    assert "the policy" in (home / "plot.svg").read_text()
    assert not (home / "reviews.jsonl").exists()


def test_without_a_policy_it_compares_the_measures(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert policy() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-5].split() == ["0.0%", "1.0%", "5.0%", "10.0%", "20.0%"]
    assert [line.split()[0] for line in lines[-4:]] == ["probability", "flip_probability", "volatility", "novelty"]
    assert not any(line.startswith(("answered", "cost", "action")) for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cost", "error"], "--cost: must be like error=5"),
        (["--cost", "wrong=5"], "--cost: must be like error=5"),
        (["--cost", "error=-1"], "--cost: must be like error=5"),
        (["--cost", "error=inf"], "--cost: must be like error=5"),
        (["--plot", "plot.gif"], "--plot: must end in .svg, .png or .pdf"),
        (["--policies", "nowhere.toml"], "nowhere.toml: No such file"),
        (["--policies", "fault.toml"], "fault.toml: models.breast-cancer.novel: must be one of"),
        (["--policies", "others.toml"], "has no policy for breast-cancer; add [models.breast-cancer]"),
        (["--policies", "far.toml"], "there is no model 'nobody'"),
        (["--policies", "unlike.toml"], "digits cannot answer instead: its features are not those of breast-cancer"),
        (["--target", "nothing"], "the table has no column 'nothing'"),
    ],
)
def test_what_cannot_be_used_is_named(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    (home / "fault.toml").write_text('[models.breast-cancer]\nnovel = "perhaps"')
    (home / "others.toml").write_text('[models.digits]\nnovel = "abstain"')
    (home / "far.toml").write_text('[models.breast-cancer]\nnovel = "fallback: nobody"')
    (home / "unlike.toml").write_text('[models.breast-cancer]\nnovel = "fallback: digits"')
    assert policy(*arguments) == 2
    assert said in capsys.readouterr().err


def test_it_needs_no_training_unless_it_draws(home: Path) -> None:
    arguments = ["patients.csv", "--target", "diagnosis", "--models", str(ROOT / "models"), "--model", "breast-cancer"]
    code, _, said, loaded = without("torch,pandas,matplotlib", "policy", *arguments, cwd=home)
    assert (code, said) == (0, "")
    assert not loaded & {"torch", "onnx", "sklearn"}
    code, _, said, _ = without("matplotlib", "policy", *arguments, "--plot", "plot.svg", cwd=home)
    assert code == 2
    assert "pip install 'chainzrule[training]'" in said
