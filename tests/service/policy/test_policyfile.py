"""The file of policies is followed; a fault changes nothing."""

import asyncio
import contextlib
import logging
from pathlib import Path

import pytest

from chainzrule.service.errors import ServiceError
from chainzrule.service.policy import policyfile
from chainzrule.service.policy.policyfile import PolicyFile

pytestmark = pytest.mark.anyio
ABSTAIN, REJECT = '[models.toy]\nnovel = "abstain"\n', '[models.toy]\nnovel = "reject"\n# longer\n'


def action(file: PolicyFile) -> str:
    policy = file.policies.of("toy")
    assert policy is not None
    return policy.rules["novel"].action


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "policies.toml"
    path.write_text(ABSTAIN)
    return path


async def test_changes_are_read(path: Path) -> None:
    file = PolicyFile(path)
    assert action(file) == "abstain"
    path.write_text(REJECT)
    await file.look()
    assert action(file) == "reject"


async def test_it_is_followed_by_itself(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policyfile, "LOOK_SECONDS", 0.01)
    file = PolicyFile(path)
    following = asyncio.create_task(file.follow())
    path.write_text(REJECT)
    async with asyncio.timeout(30):
        while action(file) != "reject":
            await asyncio.sleep(0.01)
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following


async def test_a_file_that_is_being_written_is_left_for_the_next_look(path: Path) -> None:
    file = PolicyFile(path)
    path.write_text(REJECT)
    await file.look(settled=True)
    assert action(file) == "abstain"
    await file.look(settled=True)
    assert action(file) == "reject"


@pytest.mark.parametrize("fault", ["[models.toy", '[models.toy]\nnovel = "perhaps"\n', None])
async def test_a_fault_changes_nothing_and_is_said_once(
    path: Path, caplog: pytest.LogCaptureFixture, fault: str | None
) -> None:
    file = PolicyFile(path)
    if fault is None:
        path.unlink()
    else:
        path.write_text(fault)
    await file.look()
    await file.look()
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert action(file) == "abstain"
    path.write_text(REJECT)
    await file.look()
    assert action(file) == "reject"


def test_the_service_does_not_start_with_a_fault(tmp_path: Path, path: Path) -> None:
    with pytest.raises(ServiceError, match=r"^--policies: the file cannot be read"):
        PolicyFile(tmp_path / "nowhere.toml")
    path.write_text("[models.toy]\nnovel = 3")
    with pytest.raises(ServiceError, match=r"^--policies: models\.toy\.novel: must be one of"):
        PolicyFile(path)
