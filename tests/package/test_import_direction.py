"""The package's own modules lie on top of the service and of training, and only some of them need training."""

import ast
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

TOP = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted(ROOT.glob("chainzrule/*.py"))}
TOP |= {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for room in ("client", "commands", "tables")
    for path in sorted((ROOT / "chainzrule" / room).glob("*.py"))
}
BELOW = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for room in ("service", "training")
    for path in sorted((ROOT / room).rglob("*.py"))
}
TRAINING = ("commands.adopt", "commands.compare", "commands.fit", "commands.noise", "noiseflags", "tableflags")
HEAVY = ("numpy", "pydantic", "onnxruntime", "onnx", "torch", "pandas", "pyarrow", "chainzrule.service")


def imports(path: Path, *, lazy: bool = True) -> set[str]:
    """What a file imports; without `lazy`, only what it does as soon as it is imported itself."""
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree)) if lazy else tree.body
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found.add(str(node.module))
    return found


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def test_there_is_something_to_look_at() -> None:
    assert len(TOP) > 20
    assert len(BELOW) > 150
    assert "chainzrule.service.runtime.graph" in imports(TOP["chainzrule.loaded"])


@pytest.mark.parametrize("name", list(BELOW))
def test_service_and_training_know_nothing_of_what_lies_on_top(name: str) -> None:
    found = {module for module in imports(BELOW[name]) if within(module, "chainzrule")}
    above = {module for module in found if not within(module, "chainzrule.service", "chainzrule.training")}
    assert above <= ({"chainzrule.cli"} if name.endswith("__main__") else {"chainzrule"})  # its version


@pytest.mark.parametrize("name", [name for name in TOP if name.removeprefix("chainzrule.") not in TRAINING])
def test_only_what_trains_needs_training(name: str) -> None:
    found = imports(TOP[name])
    if name == "chainzrule.client.answers":  # which makes a frame for whoever asks for one
        found -= {"pandas"}
    if name == "chainzrule.__init__":  # which names its estimators for type checkers, and imports them on first use
        found = imports(TOP[name], lazy=False)
    assert not [module for module in found if within(module, "chainzrule.training", "torch", "pandas", "onnx")]


@pytest.mark.parametrize(
    "name", ["__init__", "__main__", "cli", "exits", "extras", "commands.__init__", "commands.serve"]
)
def test_what_every_command_passes_through_imports_nothing_heavy(name: str) -> None:
    assert not [module for module in imports(TOP[f"chainzrule.{name}"], lazy=False) if within(module, *HEAVY)]


@pytest.mark.parametrize("name", [name for name in TOP if within(name, "chainzrule.client")])
def test_the_client_needs_httpx_alone(name: str) -> None:
    early = imports(TOP[name], lazy=False)
    own = [module for module in early if within(module, "chainzrule")]
    assert all(within(module, "chainzrule.client") for module in own)
    assert {module.partition(".")[0] for module in early} - {"chainzrule", "httpx"} <= sys.stdlib_module_names
    assert not [module for module in imports(TOP[name]) if within(module, "chainzrule.service", "chainzrule.training")]
