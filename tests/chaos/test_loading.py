"""Versions that hang, explode or crash, and repositories that break: all else goes on, and all of it recovers."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.artifacts import BINARY, CLASSIFIER
from tests.harmful import exploding, hanging, sparse
from tests.served.test_process import Process, process

pytestmark = pytest.mark.chaos

FLAGS = ("--reload-seconds", "0.2", "--drain-grace", "0.2")
PATIENCE = 60.0  # seconds within which everything recovers


@pytest.fixture
def models(tmp_path: Path) -> Path:
    root = tmp_path / "models"
    CLASSIFIER.publish(root)
    BINARY.publish(root)
    return root


@pytest.fixture
def running(models: Path) -> Iterator[Process]:
    with process(models, *FLAGS, "--load-timeout", "8") as started:
        yield started
        assert not [line for line in started.lines if "Traceback" in line]


def versions(running: Process) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = httpx.get(f"{running.address}/readyz", timeout=10).json()["models"]
    return found


def ready(running: Process) -> bool:
    return httpx.get(f"{running.address}/readyz", timeout=10).status_code == 200


def answers(running: Process, model: str = "toy") -> bool:
    body = {"model": model, "instances": [[1.0, 2.0]]}
    return httpx.post(f"{running.address}/predict", json=body, timeout=10).status_code == 200


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def state(running: Process, model: str, version: str = "1") -> str:
    entry = versions(running).get(model, {}).get(version, {})
    return f"{entry.get('state')} {entry.get('reason')}"


def test_one_that_hangs_holds_nobody_up(running: Process, models: Path) -> None:
    hanging(models)
    until(lambda: state(running, "hangs").startswith("LOADING"))
    replace(CLASSIFIER, name="later").publish(models)
    shutil.rmtree(models / "binary")
    until(lambda: "later" in versions(running) and "binary" not in versions(running))
    until(lambda: answers(running, "later"))
    assert ready(running)
    assert answers(running)
    until(lambda: "FAILED took longer than 8 s" in state(running, "hangs"))
    shutil.rmtree(models / "hangs")
    replace(CLASSIFIER, name="hangs").publish(models)
    until(lambda: answers(running, "hangs"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_while_one_hangs(models: Path, number: int) -> None:
    hanging(models)
    with process(models, *FLAGS, "--load-timeout", "600") as running:  # it is ready before that one is
        assert answers(running)
        assert state(running, "hangs").startswith("LOADING")
        running.signal(number)
        assert running.end(30) == 0


def test_one_that_explodes_is_refused(models: Path) -> None:
    exploding(models)
    with process(models, *FLAGS, "--max-load-bytes", str(2**28)) as running:
        assert "takes more memory" in state(running, "explodes")
        assert ready(running)
        assert answers(running)


def test_one_that_crashes_is_refused_and_tried_again(running: Process, models: Path) -> None:
    hanging(models)
    until(lambda: state(running, "hangs").startswith("LOADING"))

    def crash() -> bool:
        for pid in descendants(running.process.pid)[1:]:
            os.kill(pid, signal.SIGSEGV)
        return "SIGSEGV" in state(running, "hangs")

    until(crash)
    assert answers(running)
    until(lambda: "took longer" in state(running, "hangs"))


def test_a_huge_file_of_another_hash_costs_no_memory(running: Process, models: Path) -> None:
    sparse(models, 2**31 - 1)
    until(lambda: "sha256 is not the card's" in state(running, "sparse") or "took longer" in state(running, "sparse"))
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    [peak] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
    assert peak < 400 * 1024  # KiB
    assert answers(running)


def test_half_a_copy_takes_no_replica_out(running: Process, models: Path, tmp_path: Path) -> None:
    source = replace(CLASSIFIER, name="new").publish(tmp_path / "elsewhere")
    target = models / "new" / "1"
    target.mkdir(parents=True)
    until(lambda: state(running, "new").startswith("FAILED"))
    assert ready(running)
    (target / "card.json").write_text("{}")
    until(lambda: state(running, "new").startswith("FAILED card.json"))
    assert ready(running)
    for path in source.iterdir():
        shutil.copy(path, target)
    until(lambda: answers(running, "new"))


def test_an_emptied_repository_is_served_on(running: Process, models: Path) -> None:
    moved = models.rename(models.with_name("elsewhere"))
    models.mkdir()
    running.wait_for("it is empty, though models were served from it")
    assert ready(running)
    assert answers(running)
    assert "chainzrule_repository_unreadable 1.0" in httpx.get(f"{running.address}/metrics", timeout=10).text
    models.rmdir()
    running.wait_for("No such file or directory")
    assert answers(running)
    moved.rename(models)
    until(lambda: "chainzrule_repository_unreadable 0.0" in httpx.get(f"{running.address}/metrics", timeout=10).text)


def test_a_swapped_configmap_is_seen(running: Process, models: Path) -> None:
    home = models / "mapped" / "1"
    for number, seed in enumerate((1, 2), start=1):
        version = replace(CLASSIFIER, name="mapped", seed=seed).write(models.parent / f"data{number}")
        data = home / f"..{number}"
        data.mkdir(parents=True)
        for path in version.iterdir():
            shutil.copy(path, data / path.name)
            os.utime(data / path.name, (1_700_000_000, 1_700_000_000))
            if number == 1:
                (home / path.name).symlink_to(f"..data/{path.name}")
    (home / "..data").symlink_to("..1")
    until(lambda: answers(running, "mapped"))

    def answered() -> Any:
        body = {"model": "mapped", "instances": [[1.0, 2.0]]}
        return httpx.post(f"{running.address}/predict", json=body, timeout=10).json()

    before = answered()
    (home / "..new").symlink_to("..2")
    (home / "..new").rename(home / "..data")
    until(lambda: bool(answered() != before))


def test_it_is_live_while_many_models_load_and_stops_at_once(models: Path) -> None:
    for number in range(60):
        replace(CLASSIFIER, name=f"model-{number}").write(models)
    with process(models, *FLAGS, awaited='"listening"') as running:
        until(lambda: httpx.get(f"{running.address}/healthz", timeout=10).status_code == 200)
        assert not ready(running)
        running.signal(signal.SIGTERM)
        assert running.end(30) == 0
        assert "".join(running.lines).count("model version ready") < 60


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and theirs."""
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*found, *(further for child in found for further in descendants(child))]
