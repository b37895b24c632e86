"""Faults tried on a tiny tree: real files, a real copy, real runs of pytest."""

import subprocess
from pathlib import Path, PurePath

import pytest

from tests.mutants.__main__ import main
from tests.mutants.mutations import Mutation, find
from tests.mutants.report import report
from tests.mutants.trial import BaselineFailed, Copy

ABSOLUTE = """
def absolute(x: float) -> float:
    if x < 0:
        x = -x
    return x
"""
OWN = (PurePath("tests/service/test_absolute.py"),)
TESTS = """
from service.absolute import absolute

def test_absolute():
    assert absolute(-2.0) == absolute(2.0) == 2.0
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository of one module and its test; nothing protects what the module does at 0, and nothing needs to."""
    folder = tmp_path / "tree"
    for name, text in (("service/absolute.py", ABSOLUTE), ("tests/service/test_absolute.py", TESTS), ("secret", "")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "link").symlink_to("service")
    (folder / ".gitignore").write_text("secret\n")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


def fault(mutated: str) -> Mutation:
    (found,) = [one for one in find("service/absolute.py", ABSOLUTE) if mutated in one.apply(ABSOLUTE)]
    return found


def test_a_copy_is_what_git_would_take(tree: Path, tmp_path: Path) -> None:
    copy = Copy(tree, tmp_path / "copy")
    names = {path.relative_to(copy.folder).as_posix() for path in copy.folder.rglob("*") if path.is_file()}
    assert names == {".gitignore", "service/absolute.py", "tests/service/test_absolute.py"}
    assert (copy.folder / "link").is_symlink()


def test_a_fault_is_made_in_the_copy_alone_and_taken_back(tree: Path, tmp_path: Path) -> None:
    copy = Copy(tree, tmp_path / "copy")
    path = copy.folder / "service/absolute.py"
    with copy.mutated(fault("x <= 0")):
        assert "if x <= 0:" in path.read_text()
        assert (tree / "service/absolute.py").read_text() == ABSOLUTE
    assert path.read_text() == ABSOLUTE
    with pytest.raises(KeyboardInterrupt), copy.mutated(fault("x <= 0")):
        raise KeyboardInterrupt
    assert path.read_text() == ABSOLUTE


def test_a_fault_is_killed_by_a_test_that_fails_and_by_one_that_does_not_end(tree: Path, tmp_path: Path) -> None:
    copy = Copy(tree, tmp_path / "copy")
    killed, survived = copy.attempt(fault("x >= 0"), OWN, 60), copy.attempt(fault("x <= 0"), OWN, 60)
    assert killed.killed
    assert not survived.killed
    assert survived.tests == OWN
    endless = Mutation("service/absolute.py", 0, 0, "while True: pass\n", "statement", 1, "")
    outcome = copy.attempt(endless, OWN, 2)
    assert outcome.killed
    assert outcome.late
    assert not killed.late
    assert not survived.late
    assert 2 <= outcome.seconds < 60
    assert "out of time: service/absolute.py:1  (statement)" in report([killed, outcome], 0)
    assert "out of time" not in report([killed, survived], 0)


def test_tests_must_pass_without_a_fault(tree: Path, tmp_path: Path) -> None:
    copy = Copy(tree, tmp_path / "copy")
    assert 0 < copy.baseline(OWN) < 60
    (copy.folder / OWN[0]).write_text("def test_absolute(): assert False")
    with pytest.raises(BaselineFailed, match=r"test_absolute\.py without any fault"):
        copy.baseline(OWN)
    (copy.folder / OWN[0]).write_text("")  # no test at all protects nothing
    with pytest.raises(BaselineFailed):
        copy.baseline(OWN)


def test_a_survivor_is_reported(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All faults of the module, in two copies: those at 0 survive, all others are killed."""
    assert main(["service", "--count", "100", "--workers", "2"], tree) == 1
    said = capsys.readouterr().out
    assert "survived: service/absolute.py:3 absolute (comparison)\n def absolute" in said
    assert "-    if x < 0:\n+    if x <= 0:\n" in said
    assert "  tests: tests/service/test_absolute.py\n" in said
    assert said.count("survived: ") == 2  # `x < 1` is the other
    assert "comparison                   2      1        1\n" in said
    assert "service/absolute.py          5      3        2\n" in said
    assert "3 of 5 faults killed: 60.0%, and 95% are required; 0 more are equivalent" in said


def test_enough_is_enough(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "tests/service/test_absolute.py").write_text(f"{TESTS}    assert str(absolute(0.0)) == '0.0'\n")
    assert main(["service/absolute.py", "--count", "1", "--seed", "1"], tree) == 0
    assert "1 of 1 faults killed: 100.0%" in capsys.readouterr().out


def test_what_is_not_there_and_what_fails_anyway_is_said(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["service/nothing.py"], tree) == 2
    assert "there is no module at service/nothing.py" in capsys.readouterr().err
    (tree / "tests/service/test_absolute.py").write_text("import nothing")
    assert main(["service"], tree) == 2
    assert "the tests fail: tests/service/test_absolute.py without any fault:" in capsys.readouterr().err
