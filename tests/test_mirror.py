"""The tests mirror the tree, file for file: the name tells where a module's tests are, and what a test is of."""

from pathlib import PurePath

import pytest

from tests.mirror import existing_tests, mirrored, modules, nearest
from tests.processes import ROOT

SHORT = 30  # lines: a module of no more may do without tests of its own
# What else needs none, and why.
EXEMPT = {
    "chainzrule/tables/table.py": "It declares what each kind of table offers; their own tests hold it.",
    "service/api/schemas.py": "It declares what tests/contract holds to the committed OpenAPI document.",
    "training/data/errors.py": "It holds one class without behaviour.",
}
# What is to be moved or written still. An entry that is no longer needed fails; when all are gone, so does this table.
PENDING_TESTS = {
    "tests/service/api/oip/test_binary.py",
    "tests/service/api/oip/test_fuzz.py",
    "tests/service/api/oip/test_refusals.py",
    "tests/service/api/oip/test_statistics.py",
    "tests/service/test_import_direction.py",
    "tests/service/test_process.py",
    "tests/training/adopt/test_models.py",
}
PENDING_MODULES = {
    "service/api/body.py",
    "service/api/context.py",
    "service/api/deadlines.py",
    "service/api/incoming.py",
    "service/api/oip/request.py",
    "service/api/oip/tensors.py",
    "service/api/requests.py",
    "service/api/routes.py",
    "service/app.py",
    "service/artifact/card.py",
    "service/artifact/store.py",
    "service/runtime/bounds.py",
    "service/runtime/probe.py",
    "service/serving/costs.py",
    "service/serving/explain.py",
    "service/serving/infer.py",
    "service/serving/load.py",
    "service/serving/predict.py",
    "service/serving/question.py",
    "service/serving/runs.py",
    "service/serving/tensors.py",
    "service/stability/flips.py",
    "service/stability/lone/link.py",
    "service/stability/outputs.py",
    "service/stability/standard.py",
    "service/stability/volatility.py",
    "service/telemetry/live.py",
    "service/telemetry/version.py",
    "training/adopt/adopt.py",
    "training/adopt/derivative.py",
    "training/adopt/head.py",
    "training/adopt/sample.py",
    "training/adopt/source.py",
    "training/adopt/steps.py",
    "training/fairfight/classical.py",
    "training/fairfight/functions.py",
    "training/fairfight/measure.py",
    "training/fairfight/methods.py",
    "training/fairfight/penalties.py",
    "training/fairfight/plan.py",
    "training/fairfight/plots.py",
    "training/fairfight/portrait.py",
    "training/fairfight/race.py",
    "training/fairfight/report.py",
    "training/fairfight/rivals.py",
    "training/fairfight/summary.py",
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
    assert {str(test) for test in TESTS if test not in named} == PENDING_TESTS


def test_every_module_has_its_test_file() -> None:
    without = {str(module) for module in MODULES if lines(module) > SHORT and mirrored(module) not in TESTS}
    assert without - EXEMPT.keys() == PENDING_MODULES


def test_every_exception_is_still_one() -> None:
    for name in EXEMPT:
        assert PurePath(name) in MODULES
        assert mirrored(PurePath(name)) not in TESTS


@pytest.mark.parametrize(
    ("module", "found"),
    [
        ("service/serving/engine.py", ("tests/service/serving/test_engine.py",)),
        ("training/text/encoding.py", tuple(str(test) for test in TESTS if str(test.parent) == "tests/training/text")),
    ],
)
def test_the_nearest_tests_are_the_modules_own_or_its_folders(module: str, found: tuple[str, ...]) -> None:
    assert tuple(map(str, nearest(PurePath(module), ROOT))) == found
