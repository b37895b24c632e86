"""A hundred clients that mean harm beside one that does not: it loses nothing and hardly waits, and nothing grows."""

import shutil
import time
from pathlib import Path

import pytest

from tests.chaos.abuse import ABUSES
from tests.chaos.attack import attack
from tests.chaos.honest import ask_alone, honest_client
from tests.chaos.memory import watched_memory
from tests.processes import ROOT, service

pytestmark = pytest.mark.chaos

ALONE_SECONDS, ABUSE_SECONDS = 2.0, 6.0
START_SECONDS = 120.0  # 60 models take their time
MOST_MEMORY = 400.0  # megabytes
# A busy machine adds its own delays, so that no bound is tighter than these; the true figures are printed.
LEAST_P99, SLOWDOWN = 0.1, 3.0  # seconds, times
HEALTH_P99, HEALTH_WORST = 0.1, 1.0  # seconds


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """By their number of models: the shipped repository, and one where a shipped model has many names."""
    return {0: ROOT / "models", 60: many_models(tmp_path_factory.mktemp("many"), 60)}


def many_models(folder: Path, count: int) -> Path:
    """A repository with the shipped models and others of the same kind, so many in all."""
    shutil.copytree(ROOT / "models", folder, dirs_exist_ok=True)
    shipped = folder / "breast-cancer" / "1"
    for number in range(count - len(list(folder.iterdir()))):
        home = folder / f"model-{number}" / "1"
        shutil.copytree(shipped, home)
        card = (home / "card.json").read_text()
        (home / "card.json").write_text(card.replace('"name":"breast-cancer"', f'"name":"model-{number}"', 1))
    return folder


@pytest.mark.parametrize("kind", ABUSES)
def test_an_honest_client_notices_nothing(kind: str, repositories: dict[int, Path], tmp_path: Path) -> None:
    abuse = ABUSES[kind]
    with service(repositories[abuse.models], log=tmp_path / "log", patience=START_SECONDS) as (address, process):
        port = int(address.rpartition(":")[2])
        alone, _ = ask_alone(port, ALONE_SECONDS)
        with (
            watched_memory(process.pid) as memory,
            attack(port, kind, ABUSE_SECONDS) as outcomes,
            honest_client(port) as (seen, probed),
        ):
            time.sleep(ABUSE_SECONDS)
        assert process.poll() is None
        after, _ = ask_alone(port, 1.0)
    print(f"\n{kind}: {dict(outcomes)}")
    print(f"  honest p99 {1000 * alone.quantile(0.99):.1f} ms alone, {1000 * seen.quantile(0.99):.1f} ms beside it")
    print(f"  (median {1000 * alone.quantile(0.5):.1f}, {1000 * seen.quantile(0.5):.1f}); lost {dict(seen.lost)}")
    print(f"  health p99 {1000 * probed.quantile(0.99):.1f} ms, worst {1000 * probed.quantile(1):.1f} ms")
    print(f"  memory {memory.samples[0]:.0f} MB, then at most {memory.peak:.0f} MB")
    assert outcomes["bytes"] > 0, "nothing was sent: nothing is shown"
    assert not alone.lost
    assert not seen.lost
    assert not probed.lost
    assert not after.lost
    assert memory.peak < MOST_MEMORY
    assert seen.quantile(0.99) <= max(LEAST_P99, SLOWDOWN * alone.quantile(0.99))
    assert probed.quantile(0.99) <= HEALTH_P99
    assert probed.quantile(1) <= HEALTH_WORST
    assert "Traceback" not in (tmp_path / "log").read_text()
