"""Imports point one way: api -> runtime, stability, telemetry -> artifact -> pydantic."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STDLIB = sys.stdlib_module_names


def modules(package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path


def imports(path: Path) -> set[str]:
    """Full names of what a file imports: `from a.b import c` counts as `a.b`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            # `from service import errors` imports service.errors.
            found |= {f"service.{a.name}" for a in node.names} if node.module == "service" else {str(node.module)}
    return found


SERVICE = dict(modules("service"))
TRAINING = dict(modules("training"))


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def test_there_is_something_to_look_at() -> None:
    assert len(SERVICE) > 30
    assert len(TRAINING) > 20
    assert "onnxruntime" in imports(SERVICE["service.runtime.graph"])


@pytest.mark.parametrize("name", [name for name in SERVICE if within(name, "service.artifact")])
def test_the_artifact_contract_needs_only_pydantic(name: str) -> None:
    for imported in imports(SERVICE[name]):
        top = imported.partition(".")[0]
        assert within(imported, "pydantic", "service.artifact", "service.errors") or top in STDLIB, imported


def test_errors_know_nobody() -> None:
    assert imports(SERVICE["service.errors"]) == set()


@pytest.mark.parametrize("name", [name for name in SERVICE if within(name, "service.stability")])
def test_stability_is_pure_numpy(name: str) -> None:
    for imported in imports(SERVICE[name]):
        top = imported.partition(".")[0]
        allowed = within(imported, "numpy", "service.artifact.card", "service.stability")
        assert allowed or top in STDLIB, imported


def test_one_file_imports_onnxruntime() -> None:
    users = [name for name, path in SERVICE.items() if any(within(i, "onnxruntime") for i in imports(path))]
    assert users == ["service.runtime.graph"]


WEB = ("fastapi", "starlette", "uvicorn", "httptools", "uvloop")
WEB_MODULES = ("service.api", "service.app", "service.protocol", "service.__main__")


@pytest.mark.parametrize("name", [name for name in SERVICE if not within(name, *WEB_MODULES)])
def test_only_the_api_knows_http(name: str) -> None:
    assert not [i for i in imports(SERVICE[name]) if within(i, *WEB, *WEB_MODULES)]


@pytest.mark.parametrize("name", [name for name in SERVICE if within(name, "service.runtime", "service.telemetry")])
def test_what_lies_below_does_not_look_up(name: str) -> None:
    above = ("service.served", "service.settings")
    above = (*above, "service.runtime") if within(name, "service.telemetry") else (*above, "service.telemetry")
    assert not [i for i in imports(SERVICE[name]) if within(i, *above)]


@pytest.mark.parametrize("name", list(SERVICE))
def test_the_service_never_imports_what_training_needs(name: str) -> None:
    forbidden = ("training", "torch", "onnx", "onnxscript", "sklearn", "pandas", "scipy", "matplotlib", "tests")
    assert not [i for i in imports(SERVICE[name]) if within(i, *forbidden)]


@pytest.mark.parametrize("name", list(TRAINING))
def test_training_takes_only_the_contract_and_the_acceptance(name: str) -> None:
    allowed = ("service.artifact", "service.runtime", "service.stability", "service.errors")
    taken = [i for i in imports(TRAINING[name]) if within(i, "service")]
    assert not [i for i in taken if not within(i, *allowed)], taken
