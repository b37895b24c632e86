from pathlib import Path

import pytest

from chainzrule.cli import main
from chainzrule.commands import compare


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--problems", "mars"], "no problem is named 'mars'"), (["--methods", "magic"], "no method is named 'magic'")],
)
def test_unknown_names_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["compare", "--results", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_named_problem_without_its_files_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--results", str(tmp_path), "--problems", "pima", "--data", str(tmp_path)]) == 2
    assert "pima.csv" in capsys.readouterr().err


def test_an_interrupted_comparison_keeps_what_is_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "compare", interrupted)
    assert main(["compare", "--quick", "--results", str(tmp_path)]) == 130
    assert "finished runs are kept" in capsys.readouterr().err
