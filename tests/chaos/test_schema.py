"""The OpenAPI document and the service hold each other to their word: all of Schemathesis's checks on a real server."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.processes import ROOT, service

pytestmark = pytest.mark.chaos

SCHEMATHESIS = ROOT / ".venv-schemathesis" / "bin" / "schemathesis"


@pytest.mark.parametrize("examples", [15, pytest.param(1000, marks=pytest.mark.slow)])
def test_the_service_is_as_its_document_says(examples: int, tmp_path: Path) -> None:
    if not SCHEMATHESIS.exists():
        pytest.skip("`make test-chaos` installs Schemathesis, where the package index has it")
    with service(ROOT / "models", "--admin", "true", log=tmp_path / "log") as (address, process):
        command = [SCHEMATHESIS, "run", f"{address}/openapi.json", "--checks", "all", "--max-examples", str(examples)]
        command += ["--seed", "1", "--no-color", "--warnings", "off", "--report", "json"]
        command += ["--report-json-path", tmp_path / "report.json"]
        found = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.chaos.known_rows"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.poll() is None
    print(found.stdout[-800:])
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr[-5000:]
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert json.loads((tmp_path / "report.json").read_text())
