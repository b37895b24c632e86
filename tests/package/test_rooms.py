"""Imports point one way: api -> serving -> runtime, stability, telemetry -> artifact -> pydantic."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ROOT

STDLIB = sys.stdlib_module_names
PACKAGE = "chainzrule"


def modules(folder: str) -> Iterator[tuple[str, Path]]:
    """Every module below a folder, by its name without the package's."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path


def imports(path: Path) -> set[str]:
    """Full names of what a file imports, ours without the package's name: `from a.b import c` counts as `a.b`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = str(node.module)
            named = {f"{module}.{alias.name}" for alias in node.names}
            # `from chainzrule.service import errors` imports service.errors.
            found |= {name for name in named if name.removeprefix(f"{PACKAGE}.") in MODULES} or {module}
    return {name.removeprefix(f"{PACKAGE}.") for name in found}


SERVICE = dict(modules("service"))
TRAINING = dict(modules("training"))
MODULES = SERVICE | TRAINING
IMPORTS = {name: imports(path) for name, path in MODULES.items()}
ROOMS = sorted({".".join(name.split(".")[:2]) for name in SERVICE if name.count(".") > 1})

# Modules that import nothing of ours, and that every room may import.
LOWEST = ("service.errors", "service.fingerprint", "service.naming")
# What a room may import besides itself, the artifact's contract and the lowest modules.
BELOW = {
    "service.artifact": (),
    "service.stability": (),
    "service.telemetry": ("service.stability",),
    "service.runtime": ("service.stability",),
    "service.serving": ("service.runtime", "service.stability", "service.telemetry"),
    "service.policy": ("service.serving", "service.stability", "service.telemetry"),
}

# What people come in by. gRPC asks and answers by what the API reads and writes; the API knows nothing of gRPC.
DOORS = ("service.api", "service.grpc")


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def inside(room: str) -> list[str]:
    return [name for name in SERVICE if within(name, room)]


def test_there_is_something_to_look_at() -> None:
    assert len(SERVICE) > 60
    assert len(TRAINING) > 90
    assert "onnxruntime" in IMPORTS["service.runtime.graph"]
    assert "service.errors" in IMPORTS["service.serving.engine"]


def test_every_room_of_the_service_has_its_place() -> None:
    assert set(ROOMS) == {*BELOW, *DOORS}


@pytest.mark.parametrize("room", list(BELOW))
def test_rooms_import_only_what_lies_below(room: str) -> None:
    allowed = (room, "service.artifact", *LOWEST, *BELOW[room])
    for name in inside(room):
        assert not [i for i in IMPORTS[name] if within(i, "service", "training") and not within(i, *allowed)], name


# What signs and checks signatures needs an extra, so it is imported only where that is asked for.
SIGNING = {"service.artifact.keys": ("cryptography",)}


def test_one_file_imports_cryptography_and_nothing_imports_that_file_with_itself() -> None:
    assert [name for name in SERVICE if any(within(i, "cryptography") for i in IMPORTS[name])] == list(SIGNING)
    for path in MODULES.values():
        early = [node.module for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)]
        assert "chainzrule.service.artifact.keys" not in early, path


@pytest.mark.parametrize("name", inside("service.artifact"))
def test_the_artifact_contract_needs_only_pydantic(name: str) -> None:
    for imported in IMPORTS[name]:
        top = imported.partition(".")[0]
        allowed = ("pydantic", "service.artifact", *LOWEST, *SIGNING.get(name, ()))
        assert within(imported, *allowed) or top in STDLIB, imported


@pytest.mark.parametrize("name", LOWEST)
def test_the_lowest_modules_know_nobody(name: str) -> None:
    assert not [found for found in IMPORTS[name] if within(found, "service", "training")]


@pytest.mark.parametrize("name", inside("service.stability"))
def test_stability_is_pure_numpy(name: str) -> None:
    for imported in IMPORTS[name]:
        top = imported.partition(".")[0]
        allowed = within(imported, "numpy", "service.artifact", "service.stability")
        assert allowed or top in STDLIB, imported


def test_one_file_imports_onnxruntime() -> None:
    assert [name for name in SERVICE if any(within(i, "onnxruntime") for i in IMPORTS[name])] == [
        "service.runtime.graph"
    ]


GRPC = ("grpc", "google")


def test_one_room_imports_grpc_and_nothing_imports_that_room_with_itself() -> None:
    assert {name.rpartition(".")[0] for name in SERVICE if any(within(i, *GRPC) for i in IMPORTS[name])} == {
        "service.grpc"
    }
    for name, path in MODULES.items():
        early = [node.module for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)]
        assert within(name, "service.grpc") or not [one for one in early if within(str(one), "chainzrule.service.grpc")]


WEB = ("fastapi", "starlette", "uvicorn", "httptools", "uvloop")
WEB_MODULES = (
    *(*DOORS, "service.app", "service.framing", "service.paced", "service.protocol", "service.server"),
    *("service.turns", "service.whole"),
)


@pytest.mark.parametrize("name", [name for name in SERVICE if not within(name, *WEB_MODULES)])
def test_only_the_api_knows_http(name: str) -> None:
    assert not [i for i in IMPORTS[name] if within(i, *WEB, *WEB_MODULES)]


@pytest.mark.parametrize("name", list(SERVICE))
def test_the_service_never_imports_what_training_needs(name: str) -> None:
    forbidden = ("training", "torch", "onnx", "onnxscript", "sklearn", "pandas", "scipy", "matplotlib", "tests")
    assert not [i for i in IMPORTS[name] if within(i, *forbidden)]


@pytest.mark.parametrize("name", list(TRAINING))
def test_training_takes_only_the_contract_and_the_acceptance(name: str) -> None:
    allowed = ("service.artifact", "service.runtime", "service.stability", *LOWEST)
    taken = [i for i in IMPORTS[name] if within(i, "service")]
    assert not [i for i in taken if not within(i, *allowed)], taken


def test_no_module_imports_itself_by_a_way_around() -> None:
    """There is no circle of imports, not even one that is only taken while a function runs."""
    left = {name: {i for i in IMPORTS[name] if i in MODULES and i != name} for name in MODULES}
    while free := [name for name, needed in left.items() if not needed & left.keys()]:
        for name in free:
            del left[name]
    assert not left, sorted(left)


@pytest.mark.parametrize("name", list(MODULES))
def test_ours_are_imported_by_the_packages_name(name: str) -> None:
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.ImportFrom):
            assert str(node.module).partition(".")[0] not in ("service", "training"), node.module
