"""The unit for a machine without containers, read and judged by systemd's own tools."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from chainzrule.service.settings import Settings
from tests.processes import ROOT

UNIT = ROOT / "deploy" / "systemd" / "chainzrule@.service"
TEXT = UNIT.read_text(encoding="utf-8")
PROGRAM = "/opt/chainzrule/bin/chainzrule"


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not here")
    return subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=60)


def values(key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", TEXT, re.MULTILINE)


def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(TEXT.replace(PROGRAM, "/bin/true"))  # which has to be there to be verified
    done = analyze("verify", "--man=no", str(unit))
    assert (done.returncode, [line for line in done.stderr.splitlines() if UNIT.stem in line]) == (0, [])
    unit.write_text(TEXT.replace(PROGRAM, "/bin/true").replace("ProtectHome=yes", "ProtectHomes=yes"))
    assert "ProtectHomes" in analyze("verify", "--man=no", str(unit)).stderr


def test_it_exposes_little() -> None:
    done = analyze("security", "--offline=yes", "--threshold=20", "--no-pager", str(UNIT))
    assert done.returncode == 0, done.stdout[-400:]


def test_its_variables_are_settings_and_the_file_may_change_all_but_the_port() -> None:
    lines = [line for line in TEXT.splitlines() if line.startswith("Environment")]
    assert [line.partition("=")[0] for line in lines] == ["Environment", "EnvironmentFile", "Environment"]
    assert lines[-1] == "Environment=CHAINZRULE_PORT=%i"  # the last one counts
    names = re.findall(r"CHAINZRULE_([A-Z_]+)=", " ".join(lines))
    assert {name.lower() for name in names} <= set(Settings.model_fields)
    assert "ORT_DISABLE_TELEMETRY=1" in lines[0]


def test_it_may_drain_before_it_is_killed_and_is_not_started_again_with_settings_that_cannot_work() -> None:
    settings = Settings.model_fields
    [seconds] = values("TimeoutStopSec")
    assert int(seconds) >= settings["drain_grace"].default + settings["shutdown_timeout"].default + 5
    assert values("RestartPreventExitStatus") == ["2"]
    assert values("ExecStart") == [f"{PROGRAM} serve"]
    assert values("DynamicUser") == ["yes"]


def test_the_page_installs_it_where_it_expects_itself() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for part in (
        "deploy/systemd/chainzrule@.service",
        "ln -sfn /opt/chainzrule-1 /opt/chainzrule\n",
        "/etc/chainzrule/chainzrule.env",
    ):
        assert part in page
