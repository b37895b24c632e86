import os
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from chainzrule.cli import main
from chainzrule.commands.fit import _seconds, summary
from chainzrule.loaded import load
from chainzrule.service.artifact.evidence import Baseline
from chainzrule.service.artifact.keys import Keyring, PrivateKey
from chainzrule.service.artifact.store import read_artifact
from chainzrule.training.config import Config, read_config
from chainzrule.training.export.verify import Verification
from chainzrule.training.fitting.loop import Fit, FitReport
from chainzrule.training.publish.run import RunReport

ARGUMENTS = ["--target", "outcome", "--name", "patients"]


@pytest.fixture
def report() -> RunReport:
    """What a run that made the shipped model would have reported."""
    path = Path(__file__).parents[3] / "models" / "diabetes" / "1"
    config = read_config(path.parents[2] / "training" / "configs" / "diabetes.toml")
    return RunReport(read_artifact(path).card, path, 22, Verification(0.0, 0.0, 0.0, 64), config)


@pytest.fixture
def table(patients: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    patients.to_csv("patients.csv", index=False)
    return Path("patients.csv")


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a refused command prints."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("error: ")
    return captured.err


def test_a_csv_becomes_an_artifact(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--noise", "age=0.5", "--noise", "weight=1.5", "--budget", "1s"]  # in which some settings are tried
    given += ["--describe", "age=age = years since birth"]
    assert main(["fit", "--csv", str(table), *ARGUMENTS, *given, "--models", "out", "--seed", "7"]) == 0
    card = read_artifact(Path("out/patients/1")).card
    assert [feature.name for feature in card.features] == ["age", "dose", "colour", "smoker", "weight"]
    by_name = {feature.name: feature for feature in card.features}
    assert by_name["age"].noise == 0.5  # type: ignore[union-attr]
    assert by_name["age"].description == "age = years since birth"
    assert by_name["dose"].fill is not None
    assert by_name["colour"].levels == ("blue", "green", "red")  # type: ignore[union-attr]
    assert by_name["smoker"].noise == 0  # type: ignore[union-attr]
    assert card.provenance.seed == 7
    printed = capsys.readouterr().out
    assert "against drawn noise, scale 1: volatility " in printed
    assert ", flip probability off by 0.0" in printed
    assert "WARNING" not in printed
    for part in ("accuracy", "majority_share 0.", "volatility", "out/patients/1", "chainzrule serve --models out"):
        assert part in printed
    assert not Path("runs/patients").exists()


def test_what_is_published_can_be_signed(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = PrivateKey.new()
    Path("key").write_bytes(key.pem)
    assert main(["fit", "--csv", str(table), *ARGUMENTS, "--no-tune", "--models", "out", "--sign", "key"]) == 0
    keys = Keyring({key.public.id: key.public})
    digest = keys.require_signature(Path("out/patients/1"), "patients", "1")
    assert read_artifact(Path("out/patients/1"), digest).card.name == "patients"


def test_a_key_that_is_none_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("key").write_text("nonsense")
    said = error_of(["fit", "--csv", "not-there.csv", *ARGUMENTS, "--sign", "key"], capsys)
    assert "key: is not a private key" in said
    assert not Path("models").exists()


def test_a_model_worse_than_the_mean_is_called_so(report: RunReport) -> None:
    quality = dict.fromkeys(("rmse", "mae"), 1.0) | {"r2": -0.1}
    baseline = report.card.baselines[0].model_copy(update={"quality": quality})
    card = report.card.model_copy(update={"quality": quality, "baselines": (baseline,)})
    assert "WARNING" in "\n".join(summary(replace(report, card=card), Path("models")))
    assert "WARNING" not in "\n".join(summary(report, Path("models")))


@pytest.mark.parametrize(
    ("accuracy", "log_loss", "warned"),
    [
        (0.991, 0.05, ()),
        (0.99, 0.05, ("majority_share",)),
        (0.991, 0.06, ("frequency_log_loss",)),
        (0.44, 0.9, ("majority_share", "frequency_log_loss")),
    ],
)
def test_a_model_no_better_than_a_guess_is_called_so(
    report: RunReport, accuracy: float, log_loss: float, warned: tuple[str, ...]
) -> None:
    guesses = {"majority_share": 0.99, "frequency_log_loss": 0.056}
    quality = {"accuracy": accuracy, "log_loss": log_loss} | guesses
    baseline = report.card.baselines[0].model_copy(update={"quality": quality})
    card = report.card.model_copy(update={"quality": quality, "baselines": (baseline,)})
    lines = list(summary(replace(report, card=card), Path("models")))
    assert [line.split()[-1] for line in lines if "WARNING" in line] == list(warned)
    assert any("accuracy" in line and "majority_share 0.99" in line for line in lines)


def test_an_interrupted_run_says_how_to_go_on(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done, fits = Fit.report, []

    def interrupted(self: Fit) -> FitReport:
        fits.append(self)
        if len(fits) == 2:
            raise KeyboardInterrupt
        return done(self)

    monkeypatch.setattr(Fit, "report", interrupted)
    assert main(["fit", "--csv", str(table), *ARGUMENTS]) == 130
    printed = capsys.readouterr().err
    assert "the last checkpoint is kept" in printed
    assert f"chainzrule fit --csv {table} --target outcome --name patients --resume" in printed
    assert list(Path("runs/patients").glob("*.pt"))
    assert not Path("models/patients").exists()


def test_a_full_disk_is_named_with_how_to_go_on(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = Path("runs/patients")
    runs.mkdir(parents=True)
    (runs / "fold-2.partial").symlink_to("/dev/full")
    assert main(["fit", "--csv", str(table), *ARGUMENTS, "--no-tune", "--resume"]) == 2
    printed = capsys.readouterr().err
    assert "error: runs/patients/fold-2.partial: cannot be written" in printed
    assert f"chainzrule fit --csv {table} --target outcome --name patients --no-tune --resume" in printed
    assert not list(runs.glob("*.partial"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("chainzrule.training.publish.run.publish", full)
        assert main(["fit", "--csv", str(table), *ARGUMENTS, "--no-tune", "--resume"]) == 2
    printed = capsys.readouterr().err
    assert "error: models: No space left on device" in printed
    assert "--resume" in printed
    assert main(["fit", "--csv", str(table), *ARGUMENTS, "--no-tune", "--resume"]) == 0


def test_a_check_lists_everything_with_the_flags_and_trains_nothing(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("chainzrule.training.publish.run.Run.fit_model", None)
    assert main(["fit", "--csv", str(table), *ARGUMENTS, "--check"]) == 0
    assert "nothing stands in the way: 240 rows to train on, 5 features" in capsys.readouterr().out
    odd = pd.read_csv(table)
    odd["Unnamed: 0"] = odd.index
    odd["price"] = [f"{row % 7},{row % 9}5" for row in range(240)]
    odd["the copy"] = odd["outcome"]
    odd["mass"] = ["?" if row % 50 == 0 else f"{row % 13} kg" for row in range(240)]
    odd["seen"] = [f"{row % 12 + 1:02}/{row % 9 + 1:02}/2020" for row in range(240)]
    odd.loc[7, "outcome"] = None
    odd.to_csv(table, index=False)
    assert main(["fit", "--csv", str(table), *ARGUMENTS, "--check"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: 5 things stand in the way"
    for name, flag in (
        ("'outcome'", "--drop-unlabelled"),
        ("'Unnamed: 0'", "--drop 'Unnamed: 0'"),
        ("'price'", "--decimal ,"),
        ("'mass'", "--unit mass=kg --na='?'"),
        ("'seen'", "--date seen=dmy   or   --date seen=mdy"),
    ):
        assert [flag in line for line in lines[1:6] if name in line] == [True], name
    repaired = shlex.split(lines[-1])
    assert repaired[:2] == ["chainzrule", "fit"]
    assert main([*repaired[1:], "--check"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "column 'the copy' is a copy of the target 'outcome'" in line
    assert line.endswith("--drop 'the copy'")
    assert main([*repaired[1:], "--check", "--drop", "the copy"]) == 0
    assert "nothing stands in the way: 239 rows" in capsys.readouterr().out


def test_what_cannot_be_used_is_left_out_when_asked_for(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = pd.read_csv(table)
    odd.assign(number=range(240), copy=odd["outcome"]).to_csv(table, index=False)
    assert main(["fit", "--csv", str(table), *ARGUMENTS, "--drop-unusable", "--check"]) == 0
    printed = capsys.readouterr().out
    assert "note: left out: column 'number' counts the rows" in printed
    assert "note: left out: column 'copy' is a copy of the target" in printed
    assert "5 features" in printed


def test_a_lenient_model_takes_rows_as_people_have_them(table: Path) -> None:
    arguments = ["fit", "--csv", str(table), *ARGUMENTS, "--groups", "smoker", "--time", "weight", "--balanced"]
    assert main([*arguments, "--lenient", "--no-tune"]) == 0
    model = load("models", "patients")
    assert [feature.name for feature in model.card.features] == ["age", "dose", "colour"]
    assert model.card.reference.rows == 48
    record = {"age": "50.5", "colour": "violet", "outcome": "sick", "id": 7}
    plain = {"age": 50.5, "dose": None, "colour": model.card.features[2].other}  # type: ignore[union-attr]
    assert model.predict([record]) == model.predict([plain])


def test_a_run_interrupted_before_its_first_checkpoint_keeps_nothing(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    older = Path("runs/patients/fold-3.pt")  # of another run, which this one does not take up
    older.parent.mkdir(parents=True)
    older.touch()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Fit, "epoch", interrupted)
    assert main(["fit", "--csv", str(table), *ARGUMENTS]) == 130
    printed = capsys.readouterr().err
    assert "nothing new to keep" in printed
    assert "--resume" not in printed
    assert not older.exists()


def test_imports_are_interrupted_quietly(tmp_path: Path) -> None:
    swallowed = "try:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept KeyboardInterrupt:\n    pass\n"
    (tmp_path / "torch.py").write_text(f"import os, signal\n{swallowed}")
    done = subprocess.run(
        [sys.executable, "-m", "chainzrule", "fit"],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # shells ignore it in what runs behind
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit"], "give a CONFIG file, or --csv, --target and --name"),
        (["fit", "--csv", "patients.csv"], "missing: --target, --name"),
        (["fit", "none.toml"], "none.toml cannot be read"),
        (["fit", "none.toml", "--csv", "patients.csv"], "give either CONFIG, or --csv"),
        (["fit", "--csv", "none.csv", *ARGUMENTS], "none.csv"),
        (["fit", "--csv", "patients.csv", "--target", "outcom", "--name", "m"], "did you mean outcome?"),
        (["fit", "--csv", "patients.csv", *ARGUMENTS, "--noise", "age"], "--noise age: give it as COLUMN=VALUE"),
        (["fit", "--csv", "patients.csv", *ARGUMENTS, "--noise", "agee=1"], "'agee', which is no numeric feature"),
        (["fit", "--csv", "patients.csv", *ARGUMENTS, "--describe", "age"], "--describe age: give it as COLUMN=TEXT"),
        (["fit", "--csv", "patients.csv", *ARGUMENTS, "--describe", "agee=x"], "columns.agee: there is no such column"),
        (["fit", "--csv", "patients.csv", *ARGUMENTS, "--mnist", "x"], "--mnist goes with a configuration"),
        (["fit", "--csv", "patients.csv", *ARGUMENTS, "--models", "patients.csv"], "choose another with --models"),
    ],
)
def test_refusals_take_one_line(
    table: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "chainzrule.training.publish.run.Run.fit_model", None
    )  # nothing is trained before everything is checked
    assert message in error_of(arguments, capsys)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outcome": "sick"}, "target 'outcome' has one class only"),
        ({"outcome": [f"course {row % 50}" for row in range(240)]}, "240 rows for 50 classes; each class needs 5"),
        ({"outcome": [None, *["sick"] * 100, *["well"] * 139]}, "--drop-unlabelled"),
        ({"age": [*[50.0] * 239, float("inf")]}, "'age' holds 1 numbers that are infinite (the first in row 240)"),
        ({"number": range(240)}, "column 'number' counts the rows"),
        ({"patient_id": [37 * row % 240 for row in range(240)]}, "'patient_id' has another whole number in every row"),
        ({"code": [f"p{row}" for row in range(240)]}, "column 'code' has another text in every row, like an id"),
    ],
)
def test_bad_data_is_refused_before_training(
    table: Path,
    change: dict[str, Any],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pd.read_csv(table).assign(**change).to_csv(table, index=False)
    monkeypatch.setattr("chainzrule.training.publish.run.Run.fit_model", None)
    assert message in error_of(["fit", "--csv", str(table), *ARGUMENTS], capsys)


def test_mnist_from_a_directory_without_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "digits.toml"
    config.write_text('name = "digits"\n[data]\nsource = "mnist"\n')
    assert str(tmp_path) in error_of(["fit", str(config), "--mnist", str(tmp_path)], capsys)


def test_help_lists_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["fit", "--help"])
    assert done.value.code == 0
    printed = capsys.readouterr().out
    for section, field in Config.model_fields.items():
        names = getattr(field.annotation, "model_fields", None)
        for key in [f"{section}.{name}" for name in names] if names else [section]:
            assert f"  {key} " in printed
    assert "examples:" in printed


def test_the_package_is_a_command() -> None:
    done = subprocess.run([sys.executable, "-m", "chainzrule", "fit"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: give a CONFIG file")
    assert "Traceback" not in done.stderr


def test_a_model_no_better_than_a_guess_is_loudly_called_so(report: RunReport) -> None:
    guessing = report.card.reference.model_copy(update={"uninformative": True})
    lines = summary(replace(report, card=report.card.model_copy(update={"reference": guessing})), Path("models"))
    assert any("WARNING: THIS MODEL IS NO BETTER THAN A GUESS" in line and "the mean" in line for line in lines)


def test_rivals_stand_beside_the_model_and_a_better_one_is_named(report: RunReport) -> None:
    rival = Baseline(method="linear", parameters=11, quality={"r2": 0.5, "mae": 44.0})
    card = report.card.model_copy(update={"baselines": (*report.card.baselines, rival)})
    lines = list(summary(replace(report, card=card), Path("models")))
    assert any("a linear model on the same rows: r2 0.5, mae 44" in line for line in lines)
    assert not any("NOTE" in line for line in lines)
    lines = list(summary(replace(report, card=card, better=("linear",)), Path("models")))
    assert any("a linear model is better here" in line and "chainzrule adopt" in line for line in lines)


def test_what_was_chosen_is_said(report: RunReport) -> None:
    first = next(line for line in summary(replace(report, tried=6), Path("models")) if "version 1" in line)
    assert "best of 6 settings: hidden 16-16, degree 3, penalty 1, decay 0.1" in first


@pytest.mark.parametrize(("given", "seconds"), [("90s", 90.0), ("2m", 120.0), ("1h", 3600.0), ("45", 45.0)])
def test_a_budget_is_a_time(given: str, seconds: float) -> None:
    assert _seconds(given) == seconds


def test_a_budget_that_is_no_time_is_refused(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--budget soon: give it as a time" in error_of(
        ["fit", "--csv", str(table), *ARGUMENTS, "--budget", "soon"], capsys
    )
