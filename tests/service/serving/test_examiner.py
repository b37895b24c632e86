"""Versions are examined elsewhere, and whatever becomes of the examination is a reason in words."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainzrule.service.artifact.listing import StoredVersion
from chainzrule.service.errors import ArtifactError
from chainzrule.service.serving import examiner as module
from chainzrule.service.serving.examiner import Examiner
from tests.artifacts import BINARY, CLASSIFIER
from tests.harmful import hanging
from tests.processes import ROOT

pytestmark = pytest.mark.anyio


@pytest.fixture
def examiner() -> Iterator[Examiner]:
    made = Examiner(seconds=60.0, memory=2**32)
    yield made
    made.close()


def stored(path: Path) -> StoredVersion:
    return StoredVersion(path.parent.name, path.name, path)


def descendants(pid: int) -> list[int]:
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*found, *(further for child in found for further in descendants(child))]


async def examining(examiner: Examiner) -> int:
    """The process of the only examination, once there is one."""
    end = time.monotonic() + 60
    while not (found := examiner._pid and descendants(examiner._pid)):
        assert time.monotonic() < end
        await asyncio.sleep(0.01)
    return found[0]


async def test_sound_versions_have_their_digests(examiner: Examiner, tmp_path: Path) -> None:
    versions = [stored(toy.write(tmp_path)) for toy in (CLASSIFIER, BINARY)]
    found = await asyncio.gather(*map(examiner.examine, versions))
    assert found == [version.read().digest for version in versions]


async def test_a_refusal_has_its_place(examiner: Examiner, tmp_path: Path) -> None:
    version = stored(CLASSIFIER.write(tmp_path))
    (version.path / "jacobian.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"^jacobian\.onnx: is missing$") as caught:
        await examiner.examine(version)
    assert caught.value.place == "jacobian.onnx"


async def test_what_hangs_took_too_long_and_holds_nobody_up(tmp_path: Path) -> None:
    examiner = Examiner(seconds=1.5, memory=2**32)
    try:
        waiting = asyncio.create_task(examiner.examine(stored(hanging(tmp_path))))
        await examining(examiner)
        with pytest.raises(ArtifactError, match=r"took longer than 1\.5 s to load and check; the setting load_timeout"):
            await waiting
    finally:
        examiner.close()


@pytest.mark.parametrize(
    ("number", "reason"),
    [(signal.SIGSEGV, "ended with SIGSEGV"), (signal.SIGKILL, "was killed, probably because memory was short")],
)
async def test_what_crashes_is_told(examiner: Examiner, tmp_path: Path, number: int, reason: str) -> None:
    waiting = asyncio.create_task(examiner.examine(stored(hanging(tmp_path))))
    os.kill(await examining(examiner), number)
    with pytest.raises(ArtifactError, match=reason):
        await waiting
    assert await examiner.examine(stored(CLASSIFIER.write(tmp_path)))


async def test_one_that_nobody_waits_for_is_ended(examiner: Examiner, tmp_path: Path) -> None:
    waiting = asyncio.create_task(examiner.examine(stored(hanging(tmp_path))))
    await examining(examiner)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    end = time.monotonic() + 60
    while descendants(examiner._pid):
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_a_forking_process_that_died_is_replaced(examiner: Examiner, tmp_path: Path) -> None:
    waiting = asyncio.create_task(examiner.examine(stored(hanging(tmp_path))))
    await examining(examiner)
    os.kill(examiner._pid, signal.SIGKILL)
    with pytest.raises(ArtifactError, match="interrupted"):
        await waiting
    assert await examiner.examine(stored(CLASSIFIER.write(tmp_path)))


async def test_a_forking_process_that_is_stuck_is_given_up(
    examiner: Examiner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = stored(CLASSIFIER.write(tmp_path))
    await examiner.examine(version)
    os.kill(examiner._pid, signal.SIGSTOP)
    monkeypatch.setattr(module, "STUCK_SECONDS", 0.1)
    examiner.seconds = 0.1
    with pytest.raises(ArtifactError, match=r"took longer than 0\.1 s"):
        await examiner.examine(version)
    examiner.seconds = 60.0
    assert await examiner.examine(version)


async def test_it_rests_when_there_is_nothing_to_do(
    examiner: Examiner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.2)
    version = stored(CLASSIFIER.write(tmp_path))
    await examiner.examine(version)
    end = time.monotonic() + 60
    while examiner._pid:
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
    assert await examiner.examine(version)


FORKED = """
import asyncio, sys
from pathlib import Path
from chainzrule.service.artifact.listing import StoredVersion
from chainzrule.service.serving.examiner import Examiner
examiner = Examiner(60.0, 2**32)
examiner.fork()
forked = examiner._pid
print(asyncio.run(examiner.examine(StoredVersion("toy", "1", Path(sys.argv[1])))))
assert examiner._pid == forked
examiner.close()
print(Path(f"/proc/{forked}").exists())
"""


def test_it_can_be_forked_before_anything_else_begins(tmp_path: Path) -> None:
    path = CLASSIFIER.write(tmp_path)
    command = [sys.executable, "-W", "error", "-c", FORKED, str(path)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.split() == [stored(path).read().digest, "False"]
