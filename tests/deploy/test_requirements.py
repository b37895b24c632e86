"""What images install: the pinned versions, each file by its sha256, complete, and from wherever it may be had."""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.test_project import PINS, PROJECT

DEVICES = ("cpu", "gpu")


def text(device: str) -> str:
    return Path("requirements", f"{device}.txt").read_text(encoding="utf-8")


def listed(device: str) -> dict[str, tuple[str, list[str]]]:
    """Each package's version, and the hashes of its files."""
    lines = [line for line in text(device).splitlines() if not line.startswith("#")]
    entries = re.split(r"\n(?! )", "\n".join(lines))
    found = {}
    for entry in filter(None, entries):
        head, *hashes = [part.strip() for part in entry.split("\\\n")]
        name, version = re.fullmatch(r"([a-z0-9-]+)==(\S+)(?: ; .+)?", head).groups()  # type: ignore[union-attr]
        found[name] = (version, [re.fullmatch(r"--hash=sha256:([0-9a-f]{64})", one)[1] for one in hashes])  # type: ignore[index]
    return found


def needed(names: list[str]) -> Iterator[str]:
    """The packages that these need on this machine, by what is installed here, and they themselves."""
    left, known = [(Requirement(name), "") for name in names], set()
    while left:
        requirement, extra = left.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        if (name, extra) in known:
            continue
        known.add((name, extra))
        yield name
        for one in metadata.requires(name) or ():
            left += [(Requirement(one), wanted) for wanted in ("", *requirement.extras)]


@pytest.mark.parametrize("device", DEVICES)
def test_every_version_is_the_pinned_one_and_every_file_has_its_hash(device: str) -> None:
    found = listed(device)
    assert len(found) > 20
    for name, (version, hashes) in found.items():
        assert PINS[name] == version, f"{name}: run `make constraints`"
        assert hashes, name
        assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("device", DEVICES)
def test_what_the_project_asks_for_is_there_and_nothing_that_another_device_needs(device: str) -> None:
    extras = PROJECT["optional-dependencies"]
    asked = {
        canonicalize_name(Requirement(one).name)
        for one in [*PROJECT["dependencies"], *extras[device], *extras["signatures"]]
    }
    assert asked <= set(listed(device))
    assert {name for name in listed(device) if name.startswith("onnxruntime")} == {Requirement(extras[device][0]).name}
    assert not {"torch", "onnx", "pytest", "setuptools", "pip"} & set(listed(device))


def test_nothing_that_is_needed_is_missing() -> None:
    """pip looks for nothing further (--no-deps)."""
    extras = PROJECT["optional-dependencies"]
    found = set(needed([*PROJECT["dependencies"], *extras["cpu"], *extras["signatures"]]))
    assert found == set(listed("cpu"))


@pytest.mark.parametrize("device", DEVICES)
def test_no_index_is_named(device: str) -> None:
    assert not re.search(r"://|--(extra-)?index|--find|--trusted|@ ", text(device))


def test_the_image_installs_them_and_nothing_else() -> None:
    dockerfile = Path("Dockerfile").read_text(encoding="utf-8")
    assert dockerfile.count("pip install ") == 1
    for option in (
        "--require-hashes",
        "--no-deps",
        "--only-binary :all:",
        '--requirement "requirements/${DEVICE}.txt"',
    ):
        assert option in dockerfile
