"""The tests mirror the tree, file for file: the name tells where a module's tests are, and what a test is of."""

from pathlib import PurePath

import pytest

from tests.mirror import existing_tests, mirrored, modules, nearest
from tests.processes import ROOT

SHORT = 30  # lines: a module of no more may do without tests of its own
# What else needs none, and why.
EXEMPT = {
    "chainzrule/tables/table.py": "It declares what each kind of table offers; their own tests hold it.",
    "service/stability/observed.py": "It declares what is recorded of a run; the runs are tested.",
    "service/stability/outputs.py": "It declares what a run takes and gives; the runs are tested.",
}

MODULES, TESTS = modules(ROOT), existing_tests(ROOT)


def lines(module: PurePath) -> int:
    return (ROOT / module).read_text().count("\n")


def test_there_is_something_to_look_at() -> None:
    assert len(MODULES) > 120
    assert len(TESTS) > 90
    assert mirrored(PurePath("service/serving/engine.py")) == PurePath("tests/service/serving/test_engine.py")
    assert mirrored(PurePath("service/__main__.py")) == PurePath("tests/service/test_main.py")
    assert not [module for module in MODULES if module.parts[:2] == ("chainzrule", "service")]


def test_every_test_file_has_the_module_it_is_named_after() -> None:
    """What spans modules lies beside the mirror: in tests/served, tests/contract and so on."""
    named = {mirrored(module) for module in MODULES}
    assert [str(test) for test in TESTS if test not in named] == []


def test_every_module_has_its_test_file() -> None:
    without = {str(module) for module in MODULES if lines(module) > SHORT and mirrored(module) not in TESTS}
    assert without == EXEMPT.keys()


@pytest.mark.parametrize(
    ("module", "found"),
    [
        ("service/serving/engine.py", ("tests/service/serving/test_engine.py",)),
        ("training/text/encoding.py", tuple(str(test) for test in TESTS if str(test.parent) == "tests/training/text")),
    ],
)
def test_the_nearest_tests_are_the_modules_own_or_its_folders(module: str, found: tuple[str, ...]) -> None:
    assert tuple(map(str, nearest(PurePath(module), ROOT))) == found
