"""The Dockerfile, read without building it."""

import re
import subprocess
import sysconfig
from fnmatch import fnmatch
from pathlib import Path

from chainzrule.service.settings import Settings

DOCKERFILE = Path("Dockerfile").read_text(encoding="utf-8")
FINAL_STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sysconfig.get_path("scripts"), "hadolint")
    checked = subprocess.run([hadolint, "--no-color", "Dockerfile"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_it_runs_as_a_numeric_user_that_is_not_root() -> None:
    [user] = re.findall(r"^USER (.+)$", FINAL_STAGE, re.MULTILINE)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_its_variables_are_settings_of_the_service() -> None:
    names = {name.lower() for name in re.findall(r"\bCHAINZRULE_([A-Z_]+)(?==)", DOCKERFILE)}
    assert {"host", "port", "models", "device"} <= names <= set(Settings.model_fields)


def test_onnx_runtime_reports_nothing_to_its_maker() -> None:
    assert re.search(r"^ +ORT_DISABLE_TELEMETRY=1", FINAL_STAGE, re.MULTILINE)


def test_signals_reach_python() -> None:
    assert re.search(r'^ENTRYPOINT \["python", "-m", "chainzrule", "serve"\]$', FINAL_STAGE, re.MULTILINE)


def test_only_the_service_its_command_and_the_models_are_copied() -> None:
    copied = dict(re.findall(r"^COPY (?!--from)(\S+) (\S+)$", FINAL_STAGE, re.MULTILINE))
    folders = {"LICENSE": "./", "chainzrule": "chainzrule", "service": "chainzrule/service", "models": "/models"}
    assert copied == folders


def test_the_links_stay_out() -> None:
    ignored = Path(".dockerignore").read_text(encoding="utf-8").splitlines()
    links = [path.as_posix() for path in Path("chainzrule").iterdir() if path.is_symlink()]
    assert sorted(links) == ["chainzrule/service", "chainzrule/training"]
    assert set(links) <= set(ignored)


def test_the_build_context_holds_what_is_copied_and_nothing_more() -> None:
    lines = Path(".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        word for words in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for word in words.split()[:-1]
    }
    assert allowed == copied
    assert all(Path(name).exists() for name in allowed)
    assert any(fnmatch("service/api/__pycache__", line) for line in lines)


def test_the_gpu_build_takes_another_extra_and_another_base() -> None:
    for device in ("cpu", "gpu"):
        assert re.search(rf"^ARG {device.upper()}_BASE=\S+:\S+$", DOCKERFILE, re.MULTILINE)
        assert re.search(rf"^FROM \$\{{{device.upper()}_BASE\}} AS python-{device}$", DOCKERFILE, re.MULTILINE)
