"""Where a module's tests lie: `tests/service/x/test_y.py` for `service/x/y.py`. All paths are relative to the root."""

from pathlib import Path, PurePath

TOPS = ("service", "training", "chainzrule")


def mirrored(module: PurePath) -> PurePath:
    """The test file of a module."""
    return PurePath("tests", module.with_name(f"test_{module.stem.strip('_')}.py"))


def modules(root: Path) -> list[PurePath]:
    """Every module of the package but the `__init__` files; the package's links to the two folders are not followed."""
    found = [path for top in TOPS for path in (root / top).rglob("*.py") if path.name != "__init__.py"]
    own = [path.relative_to(root) for path in found]
    return sorted(path for path in own if path.parts[:2] not in (("chainzrule", "service"), ("chainzrule", "training")))


def existing_tests(root: Path) -> list[PurePath]:
    """Every test file in the folders that mirror the package's."""
    return sorted(path.relative_to(root) for top in TOPS for path in (root / "tests" / top).rglob("test_*.py"))


def nearest(module: PurePath, root: Path) -> tuple[PurePath, ...]:
    """The module's own test file; where it has none, the tests of the nearest folder that has any."""
    own = mirrored(module)
    if (root / own).exists():
        return (own,)
    for folder in own.parents:
        if found := tuple(sorted(path.relative_to(root) for path in (root / folder).glob("test_*.py"))):
            return found
    raise FileNotFoundError(f"there are no tests near {module}")
