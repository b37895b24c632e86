"""A hundred clients that mean harm beside one that does not: it loses nothing and hardly waits, and nothing grows."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.artifacts import CLASSIFIER
from tests.chaos.abuse import ABUSES
from tests.chaos.attack import attack
from tests.chaos.honest import Seen, ask_alone, crowding, honest_client, in_ms, patience
from tests.chaos.memory import watched_memory
from tests.processes import ROOT, service

pytestmark = pytest.mark.chaos

ALONE_SECONDS, ABUSE_SECONDS = 4.0, 6.0
START_SECONDS = 120.0
MOST_MEMORY = 400.0  # megabytes


@pytest.fixture(scope="module")
def twin() -> Iterator[int]:
    """The port of a server that nobody abuses: what is slow there is the machine's fault, however busy it is."""
    with service(ROOT / "models") as (address, _):
        yield int(address.rpartition(":")[2])


@pytest.fixture(scope="module")
def alone(twin: int) -> tuple[Seen, Seen]:
    """What the honest client sees on a quiet machine."""
    return ask_alone(twin, ALONE_SECONDS)


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """By their number of models: the shipped repository, and one with many small ones beside the shipped."""
    many = tmp_path_factory.mktemp("many")
    shutil.copytree(ROOT / "models", many, dirs_exist_ok=True)
    for number in range(60 - len(list(many.iterdir()))):
        replace(CLASSIFIER, name=f"model-{number}").write(many)
    return {0: ROOT / "models", 60: many}


@pytest.mark.parametrize("kind", ABUSES)
def test_an_honest_client_notices_nothing(
    kind: str, twin: int, alone: tuple[Seen, Seen], repositories: dict[int, Path], tmp_path: Path
) -> None:
    abuse = ABUSES[kind]
    log = tmp_path / "log"
    with service(repositories[abuse.models], log=log, patience=START_SECONDS) as (address, process):
        port = int(address.rpartition(":")[2])
        ask_alone(port, 0.5)  # what is slow once, at the first request, is nobody's abuse
        with (
            watched_memory(process.pid) as memory,
            attack(port, kind, ABUSE_SECONDS) as outcomes,
            honest_client(twin) as elsewhere,
            honest_client(port) as here,
        ):
            time.sleep(ABUSE_SECONDS)
        assert process.poll() is None
        after, _ = ask_alone(port, 0.5)
    print(f"\n{kind}: {dict(outcomes)}")
    for name, one, twins, quiet in zip(("predict", "healthz"), here, elsewhere, alone, strict=True):
        print(f"  {name} p99 {in_ms(one)}; at the twin {in_ms(twins)}, alone {in_ms(quiet)}; lost {dict(one.lost)}")
    print(f"  the machine has {crowding():.1f} times as much to do as it has cores")
    print(f"  memory {memory.samples[0]:.0f} MB, then at most {memory.peak:.0f} MB")
    assert outcomes["bytes"] > 0, "nothing was sent: nothing is shown"
    assert [dict(seen.lost) for seen in (*here, after)] == [{}, {}, {}]
    assert memory.peak < MOST_MEMORY
    for one, twins, quiet in zip(here, elsewhere, alone, strict=True):
        assert one.p99 <= patience(twins, quiet)
    assert "Traceback" not in log.read_text()
