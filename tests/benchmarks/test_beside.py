"""`benchmarks.serving.beside` starts each checkout by the program that it has, on its own copy of the models."""

from pathlib import Path

import pytest

from benchmarks.serving.beside import server_of
from tests.processes import ROOT


@pytest.mark.parametrize(("package", "program"), [("chainzrule", ["chainzrule", "serve"]), ("service", ["service"])])
def test_a_checkout_is_started_by_its_own_program(tmp_path: Path, package: str, program: list[str]) -> None:
    (tmp_path / package).mkdir()
    server = server_of(tmp_path, ROOT / "models")
    assert list(server.command[: 2 + len(program)]) == ["python", "-m", *program]
    assert server.folder == tmp_path
    assert str(tmp_path / "models") in server.command
