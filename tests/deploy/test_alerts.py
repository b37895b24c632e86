"""The alert rules, against series as replicas export them; `test_live_alerts.py` has live ones."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.monitoring import RULES, tool

UNIT_TESTS = sorted(Path("tests/deploy/rules").glob("*.yml"))
ALERTS: list[dict[str, Any]] = [
    rule
    for path in RULES
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
]


def check(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_rules() -> None:
    check(tool("promtool"), "check", "rules", *RULES)


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_promtool_finds_that_the_rules_do_what_they_should(path: Path) -> None:
    check(tool("promtool"), "test", "rules", path)


def test_every_alert_is_unit_tested() -> None:
    tested = "".join(path.read_text(encoding="utf-8") for path in UNIT_TESTS)
    assert [rule["alert"] for rule in ALERTS if f'alertname="{rule["alert"]}"' not in tested] == []


def test_alertmanager_takes_its_configuration() -> None:
    check(tool("amtool"), "check-config", "deploy/alertmanager/alertmanager.yml")


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_has_a_severity_a_text_and_a_runbook_entry(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["description"].endswith(".")
    path, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", Path(path).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor == rule["alert"].lower()
    assert rule["alert"] in headings
