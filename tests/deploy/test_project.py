"""The project's own set-up: the Makefile, the pins, the hooks and CI."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYPROJECT = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
PINS = dict(re.findall(r"^([\w.-]+)==(\S+)$", Path("constraints.txt").read_text(encoding="utf-8"), re.MULTILINE))


def requirements() -> list[Requirement]:
    """Everything that any extra or none brings in."""
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(text) for text in [*PROJECT["dependencies"], *(one for extra in extras for one in extra)]]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # `make test` hands its own flags and variables down to any make below it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        env=environment,
    )


def test_make_alone_lists_every_target() -> None:
    targets = re.search(r"^\.PHONY: (.+)$", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert targets
    listed = re.findall(r"^  make ([a-z-]+) +\S", make().stdout, re.MULTILINE)
    assert sorted(listed) == sorted(targets[1].split())


def test_the_printed_example_is_a_row_of_the_shipped_breast_cancer_model() -> None:
    printed = re.search(r"-d '(.+)'\"", make("-n", "serve", "PORT=9000").stdout)
    assert printed
    body = json.loads(printed[1].replace("\\", ""))
    assert body["model"] == "breast-cancer"
    [row] = body["instances"]
    assert len(row) == 30


@pytest.mark.parametrize("target", ["serve", "test"])
def test_an_old_python_is_named_and_refused(target: str, tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\n[ "$1" = --version ]\n')
    old.chmod(0o755)
    done = make(target, f"PYTHON={old}", f"VENV={tmp_path / 'venv'}")
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "Python 3.9.2" in done.stderr


def test_every_folder_of_code_is_a_package() -> None:
    code = {path.parent for top in ("service", "training") for path in Path(top).rglob("*.py")}
    assert not [folder for folder in code if not (folder / "__init__.py").exists()]
    assert SETUPTOOLS["packages"]["find"]["include"] == ["chainzrule*"]
    for top in ("service", "training"):
        assert Path("chainzrule", top).readlink() == Path("..", top)


def test_every_dependency_is_pinned_to_a_version_that_the_project_admits() -> None:
    for requirement in requirements():
        pin = PINS.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement.name} is not in constraints.txt: run `make constraints`"
        assert requirement.specifier.contains(pin), f"{requirement}, but constraints.txt has {pin}"


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: str(requirement.name))
def test_every_dependency_has_a_lower_bound(requirement: Requirement) -> None:
    assert [one.operator for one in requirement.specifier if one.operator != "<"] == [">="]


def test_what_has_private_parts_in_use_has_an_upper_bound() -> None:
    bounded = {one.name for one in requirements() if any(part.operator == "<" for part in one.specifier)}
    # protocol.py is a subclass of uvicorn's; estimators.py and classical.py use scikit-learn's underscores.
    assert bounded == {"uvicorn", "scikit-learn"}


def test_the_lowest_versions_are_the_lower_bounds() -> None:
    printed = subprocess.run([".ci/lowest"], capture_output=True, text=True, check=True, timeout=20).stdout
    lowest = {found.name: found.specifier for found in map(Requirement, printed.splitlines())}
    extras = PROJECT["optional-dependencies"]
    for requirement in map(Requirement, [*PROJECT["dependencies"], *extras["cpu"], *extras["parquet"]]):
        [bound] = [part.version for part in requirement.specifier if part.operator == ">="]
        assert str(lowest[requirement.name]) == f"=={bound}"
        assert requirement.specifier.contains(bound)


def test_ci_runs_the_wheel_and_the_lowest_versions() -> None:
    lines = Path(".ci/run").read_text(encoding="utf-8").splitlines()
    assert {"make check", "make test-package", "make test-lowest", "make sbom", "make test-deploy"} <= set(lines)


def test_the_hooks_fetch_nothing_and_run_what_make_check_runs() -> None:
    config = yaml.safe_load(Path(".pre-commit-config.yaml").read_text(encoding="utf-8"))
    [repository] = config["repos"]
    assert repository["repo"] == "local"
    assert {hook["entry"].split()[0] for hook in repository["hooks"]} == {".venv/bin/ruff", ".venv/bin/mypy"}


def test_the_workflow_runs_what_anyone_can_run() -> None:
    workflow = yaml.safe_load(Path(".github/workflows/ci.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["check"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    assert job["steps"][-1] == {"run": ".ci/run"}
    assert Path(".ci/run").stat().st_mode & 0o111
