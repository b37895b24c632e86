"""Versions that cannot be served, in every way: other models answer as before, it stops in time, and all recovers."""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from tests.artifacts import CLASSIFIER, Toy, numeric
from tests.chaos.honest import Seen, ask_alone, honest_client, in_ms, patience
from tests.harmful import exploding, hanging, sparse
from tests.processes import ROOT, service, until
from tests.served.test_process import process

pytestmark = pytest.mark.chaos

GRACE, SHUTDOWN = 0.5, 5
FLAGS = (
    *("--reload-seconds=0.2", "--load-timeout=3", f"--max-load-bytes={2**28}"),
    *(f"--drain-grace={GRACE}", f"--shutdown-timeout={SHUTDOWN}"),
)
SPINS = 10_000.0
SECONDS = 6.0  # of trouble beside the honest client
RECOVERED = 60.0  # seconds within which all is well again
ENDED = GRACE + SHUTDOWN + 5.0  # seconds; five for a machine that is busy
GOOD = replace(CLASSIFIER, name="trouble")
SECOND = replace(GOOD, seed=2)


@dataclass(frozen=True)
class Trouble:
    """One way in which a version, or the repository, cannot be served.

    Attributes:
        make: makes it in a repository; called again and again, with the number of calls before.
        said: a pattern of what the service says of it, in `/readyz` or in its log.
        mend: makes all good, with a model that answers as `GOOD`.
    """

    make: Callable[[Path, int], object]
    said: str
    mend: Callable[[Path], object]


def once(make: Callable[[Path], object]) -> Callable[[Path, int], object]:
    return lambda models, turn: None if turn else make(models)


def anew(models: Path) -> None:
    """Puts a good version in the place of whatever is there."""
    for found in models.glob("trouble*"):
        found.unlink() if found.is_symlink() else shutil.rmtree(found)
    GOOD.write(models)


def four_that_hang(models: Path) -> None:
    for number in range(4):
        hanging(models, f"trouble{number or ''}")


def half_a_copy(models: Path, turn: int) -> None:
    """A card that grows byte by byte."""
    source = GOOD.write(models.parent / "elsewhere") if turn == 0 else models.parent / "elsewhere" / "trouble" / "1"
    target = models / "trouble" / "1"
    target.mkdir(parents=True, exist_ok=True)
    (target / "card.json").write_bytes((source / "card.json").read_bytes()[: 100 * (turn + 1)])


def closed(models: Path) -> None:
    path = GOOD.write(models)
    (path / "model.onnx").chmod(0)
    if os.geteuid() == 0:  # whom no mode keeps out
        (path / "model.onnx").unlink()
        (path / "model.onnx").mkdir()


def emptied(models: Path) -> None:
    models.rename(models.with_name("moved"))
    models.mkdir()


def filled(models: Path) -> None:
    models.rmdir()
    models.with_name("moved").rename(models)
    GOOD.write(models)


def swapped(models: Path, turn: int) -> None:
    """A mounted ConfigMap: first one version, then another, then one whose graph is not the card's, and so on."""
    home = models / "trouble" / "1"
    if turn == 0:
        for number, toy in enumerate((GOOD, SECOND, GOOD)):
            data = home / f"..{number}"
            data.mkdir(parents=True)
            for path in toy.write(models.parent / f"data{number}").iterdir():
                shutil.copy(path, data)
        (home / "..2" / "model.onnx").write_bytes(b"another")
        for name in ("card.json", "model.onnx", "jacobian.onnx"):
            (home / name).symlink_to(f"..data/{name}")
    if turn % 4 == 0:
        (home / "..new").symlink_to(f"..{turn // 4 % 3}")
        (home / "..new").rename(home / "..data")


def many(models: Path) -> None:
    for number in range(60):
        replace(GOOD, name=f"trouble-{number}").write(models)


TROUBLES = {
    "four that hang": Trouble(once(four_that_hang), "took longer than 3 s", anew),
    "it takes all memory": Trouble(once(lambda models: exploding(models, "trouble")), "takes more memory", anew),
    "2 GiB of nothing": Trouble(
        once(lambda models: sparse(models, 2**31 - 1, "trouble")), "sha256 is|took longer", anew
    ),
    "a copy that never ends": Trouble(half_a_copy, "card.json", anew),
    "a file that cannot be read": Trouble(once(closed), "is not a readable regular file", anew),
    "a link to itself": Trouble(once(lambda models: (models / "trouble").symlink_to("trouble")), "symbolic", anew),
    "an emptied repository": Trouble(once(emptied), "it is empty, though models were served", filled),
    "a ConfigMap that is swapped": Trouble(swapped, "its files were changed and cannot be served", anew),
    "sixty at once": Trouble(once(many), "trouble-59", anew),
}


@pytest.fixture(scope="module")
def twin() -> Iterator[int]:
    """The port of a server without trouble: what is slow there is the machine's fault, however busy it is."""
    with service(ROOT / "models") as (address, _):
        yield int(address.rpartition(":")[2])


@pytest.fixture(scope="module")
def alone(twin: int) -> tuple[Seen, Seen]:
    """What the honest client sees on a quiet machine."""
    return ask_alone(twin, 4.0)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "models", tmp_path / "models"))


def answers(address: str, model: str) -> bool:
    body = {"model": model, "instances": [[1.0, 2.0]]}
    return httpx.post(f"{address}/predict", json=body, timeout=10).status_code == 200


@pytest.mark.parametrize("kind", TROUBLES)
def test_others_answer_as_before_and_all_recovers(
    kind: str, twin: int, alone: tuple[Seen, Seen], models: Path, tmp_path: Path
) -> None:
    trouble, log = TROUBLES[kind], tmp_path / "log"
    with service(models, *FLAGS, log=log) as (address, running):
        port = int(address.rpartition(":")[2])
        ask_alone(port, 0.5)  # what is slow once, at the first request, is no trouble
        with honest_client(twin) as elsewhere, honest_client(port) as here:
            end = time.monotonic() + SECONDS
            turn = 0
            while time.monotonic() < end:
                trouble.make(models, turn)
                turn += 1
                time.sleep(0.25)

        def named() -> bool:
            said = httpx.get(f"{address}/readyz", timeout=10).text + log.read_text()
            return re.search(trouble.said, said) is not None

        until(named, RECOVERED)
        assert httpx.get(f"{address}/readyz", timeout=10).status_code == 200
        begin = time.monotonic()
        trouble.mend(models)
        until(lambda: answers(address, "trouble"), RECOVERED)
        until(lambda: "FAILED" not in httpx.get(f"{address}/readyz", timeout=10).text, RECOVERED)
        recovered = time.monotonic() - begin
        running.send_signal(signal.SIGTERM)
        assert running.wait(ENDED) == 0
    print(f"\n{kind}: recovered in {recovered:.1f} s")
    for name, one, twins, quiet in zip(("predict", "healthz"), here, elsewhere, alone, strict=True):
        print(f"  {name} p99 {in_ms(one)}; at the twin {in_ms(twins)}, alone {in_ms(quiet)}; lost {dict(one.lost)}")
    assert [dict(seen.lost) for seen in here] == [{}, {}]
    for one, twins, quiet in zip(here, elsewhere, alone, strict=True):
        assert one.p99 <= patience(twins, quiet)
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("kind", TROUBLES)
def test_it_stops_in_the_midst_of_trouble(kind: str, models: Path, tmp_path: Path) -> None:
    trouble, log = TROUBLES[kind], tmp_path / "log"
    with service(models, *FLAGS, "--load-timeout=600", log=log) as (_, running):
        for turn in range(6):
            trouble.make(models, turn)
            time.sleep(0.25)
        begin = time.monotonic()
        running.send_signal(signal.SIGTERM)
        assert running.wait(ENDED) == 0
        print(f"\n{kind}: ended after {time.monotonic() - begin:.2f} s")
    assert "Traceback" not in log.read_text()


# Its runs take hundredths of a second, of which it makes dozens while it is examined and again while it is opened.
LONG = Toy(
    features=(numeric("spin", mean=SPINS, std=SPINS / 10, low=0.0, high=2 * SPINS, noise=0.0), numeric("weight")),
    spin=True,
)


@pytest.mark.parametrize("moment", [0.0, 0.3, 0.6, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
def test_it_stops_at_any_moment_of_loading(moment: float, tmp_path: Path) -> None:
    models = tmp_path / "models"
    for number in range(4):
        replace(LONG, name=f"long-{number}").write(models)
    with process(models, *FLAGS, "--load-timeout=600", awaited='"listening"') as running:
        time.sleep(moment)
        begin = time.monotonic()
        running.signal(signal.SIGTERM)
        assert running.end(ENDED) == 0
    log = "".join(running.lines)
    ready = log.count("model version ready")
    print(f"\nafter {moment} s, with {ready} of 4 ready: ended after {time.monotonic() - begin:.2f} s")
    assert "Traceback" not in log
