import re
import sys
from pathlib import Path

import pytest

from chainzrule import __version__
from chainzrule.cli import COMMANDS, main
from chainzrule.exits import MEANINGS, Exit
from tests.artifacts import CLASSIFIER
from tests.chainzrule.commandline import without
from tests.processes import ROOT

COMMANDS_OF_TRAINING = ("fit", "compare")
# What each command needs to say what is wrong with the other arguments, in order.
REFUSED = {
    "serve": ("serve", "--models", "nowhere"),
    "fit": ("fit",),
    "noise": ("noise", "none.csv", "--group", "id"),
    "adopt": ("adopt", "none.onnx", "--data", "none.csv", "--target", "y", "--name", "m"),
    "predict": ("predict", "none.csv"),
    "policy": ("policy", "none.csv", "--target", "y"),
    "models": ("models", "--models", "nowhere"),
    "keys": ("keys", "show", "nowhere"),
    "sign": ("sign", "nowhere", "--key", "none.key"),
    "token": ("token", "clinic", "--scopes", "everything"),
    "compare": ("compare", "--problems", "mars"),
}


def test_nothing_asked_for_is_answered_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == Exit.USAGE
    assert "usage: chainzrule" in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["--help"])
    assert done.value.code == 0
    printed = capsys.readouterr().out
    for name, summary in COMMANDS.items():
        assert re.search(rf"^    {name} ", printed, re.MULTILINE)
        assert " ".join(summary.split()) in " ".join(printed.split())
    for code, meaning in MEANINGS.items():
        assert re.search(rf"^  {code:d} +{re.escape(meaning)}$", printed, re.MULTILINE)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_explains_itself_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main([name, "--help"])
    assert done.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: chainzrule {name} ")
    assert f"examples:\n  chainzrule {name}" in printed
    assert max(map(len, printed.splitlines())) <= 120


def test_help_and_version_import_nothing_slow() -> None:
    for flag in ("--help", "--version"):
        code, printed, _, loaded = without("", flag)
        assert code == 0
        assert not loaded & {"numpy", "pydantic", "torch", "onnxruntime"}
    assert printed == f"chainzrule {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["fitt"], ["--verbose"], ["models", "--jsn"], ["serve", "--max-row", "1"], ["predict"], ["models", "--models"]],
)
def test_usage_that_cannot_be(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(arguments)
    assert done.value.code == Exit.USAGE
    printed = capsys.readouterr().err
    assert printed.startswith("usage: chainzrule")
    assert "error: " in printed


def test_an_unknown_flag_is_told_with_its_commands_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["models", "--jsn"])
    assert "usage: chainzrule models " in capsys.readouterr().err


@pytest.mark.parametrize("name", list(COMMANDS))
def test_what_cannot_be_used_ends_with_one_line(name: str, tmp_path: Path) -> None:
    code, printed, said, loaded = without("", *REFUSED[name], cwd=tmp_path)
    assert code == Exit.USAGE
    assert printed == ""
    own = [line for line in said.splitlines() if not line.startswith("{")]
    assert len(own) == 1, said
    assert ("torch" in loaded) == (name in COMMANDS_OF_TRAINING)
    assert ("chainzrule.training" in loaded) == (name in (*COMMANDS_OF_TRAINING, "noise", "adopt"))


@pytest.mark.parametrize(
    ("name", "hidden", "extra"),
    [
        ("fit", "torch", "training"),
        ("fit", "pandas", "training"),
        ("fit", "pyarrow", "parquet"),
        ("compare", "torch", "training"),
        ("adopt", "onnx", "training"),
        ("adopt", "pandas", "training"),
        *((name, "onnxruntime", "cpu") for name in ("serve", "adopt", "predict", "policy", "models", "sign")),
        *((name, "cryptography", "signatures") for name in ("keys", "sign")),
    ],
)
def test_a_missing_extra_is_named_in_one_line(name: str, hidden: str, extra: str, tmp_path: Path) -> None:
    code, printed, said, _ = without(hidden, *REFUSED[name], cwd=tmp_path)
    assert (code, printed) == (Exit.USAGE, "")
    assert said.count("\n") == 1
    expected = (
        f"error: `chainzrule {name}`: {hidden} is not installed; install it with: pip install 'chainzrule[{extra}]'"
    )
    assert said.startswith(expected)


@pytest.mark.parametrize(
    "words",
    [
        ("serve", "--require-signature", "keys"),
        ("adopt", "none.onnx", "--data", "none.csv", "--target", "y", "--name", "m", "--sign", "key"),
        ("fit", "--csv", "none.csv", "--target", "y", "--name", "m", "--sign", "key"),
    ],
    ids=lambda words: words[0],
)
def test_signatures_need_their_extra_only_where_they_are_asked_for(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    code, _, said, _ = without("cryptography", *words, cwd=tmp_path)
    assert code == Exit.USAGE
    expected = f"error: `chainzrule {words[0]}`: cryptography is not installed; install it with: "
    assert said.splitlines()[-1] == f"{expected}pip install 'chainzrule[signatures]'"


def test_serving_predicting_and_listing_need_nothing_of_training(tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path / "models")
    (tmp_path / "rows.csv").write_text("height,weight\n1.5,2\n")
    hidden = "cryptography,"
    hidden += (
        "torch,onnx,onnxscript,pandas,pyarrow,sklearn,scipy,matplotlib,tqdm,beartype,jaxtyping,chainzrule.training"
    )
    code, _, said, _ = without(hidden, "models", cwd=tmp_path)
    assert (code, said) == (0, "")
    code, _, said, _ = without(hidden, "predict", "rows.csv", cwd=tmp_path)
    assert (code, said) == (0, "")
    assert (tmp_path / "rows.predictions.csv").read_text().startswith("height,weight,label,")
    # The address is the last that is looked at before models are loaded.
    code, _, said, _ = without(hidden, "serve", "--host", "no such host", cwd=tmp_path)
    assert (code, said.splitlines()[-1].partition(": ")[0]) == (2, "--host, --port")


def test_a_fault_of_ours_is_not_passed_off_as_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "chainzrule.commands.models", raising=False)
    monkeypatch.setitem(sys.modules, "chainzrule.loaded", None)
    with pytest.raises(ModuleNotFoundError, match=r"chainzrule\.loaded"):
        main(["models"])


def test_an_interruption_ends_with_its_own_code(tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path / "models")
    (tmp_path / "rows.csv").write_text("height,weight\n1.5,2\n")
    before = """
import chainzrule.bulk
def interrupted(*_, **__):
    raise KeyboardInterrupt
chainzrule.bulk.predict_table = interrupted
"""
    code, printed, said, _ = without("", "predict", "rows.csv", cwd=tmp_path, before=before)
    assert (code, printed, said) == (130, "", "\ninterrupted\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models", "rows.csv"]


def test_the_exit_codes_are_documented() -> None:
    text = (ROOT / "docs" / "commandline.md").read_text()
    table = dict(re.findall(r"^\| `(\d+)` \| (.+?) \|$", text, re.MULTILINE))
    assert table == {str(int(code)): meaning for code, meaning in MEANINGS.items()}
