"""`chainzrule token`: the token is shown once, and its line is what the service reads."""

import subprocess
import sys
from pathlib import Path

import pytest

from chainzrule.cli import main
from chainzrule.service.api.access.scopes import Scope
from chainzrule.service.api.access.tokens import Token, digest_of, read_tokens
from tests.processes import ROOT


def test_the_line_states_the_token_that_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "clinic", "--scopes", "observe, predict"]) == 0
    printed = capsys.readouterr()
    (token,), (line,) = printed.err.splitlines(), printed.out.splitlines()
    assert token not in line
    listed = read_tokens(printed.out.encode(), "tokens")
    assert listed.tokens == {digest_of(token.encode()): Token("clinic", frozenset((Scope.PREDICT, Scope.OBSERVE)))}
    assert listed.faults == ()


def test_no_two_tokens_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert main(["token", "clinic"]) == 0
    first, second = capsys.readouterr().err.split()
    assert first != second
    assert len(first) >= 43  # 256 bits


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("a b",), "a name has at most 64"),
        (("",), "a name has at most 64"),
        (("x" * 65,), "a name has at most 64"),
        (("clinic", "--scopes", "root"), "--scopes: takes predict, observe, admin"),
        (("clinic", "--scopes", ""), "--scopes: takes predict"),
    ],
)
def test_what_no_line_could_state_is_refused(
    arguments: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {reason}")


def test_it_needs_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from chainzrule.cli import main; main(['token', 'clinic']); "
        "assert not {'onnxruntime', 'numpy', 'fastapi'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
