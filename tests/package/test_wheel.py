"""The wheel, as a stranger installs it: in an empty folder that has a `service` and a `training` of its own."""

import contextlib
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import httpx
import pytest
from sklearn.datasets import load_breast_cancer

from chainzrule import __version__
from tests.processes import ROOT, await_ready, free_port

pytestmark = pytest.mark.package

PARTS = ("chainzrule", "service", "training", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy, where nothing lies about from an earlier build."""
    copy, built = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("built")
    for part in PARTS:
        if (ROOT / part).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, copy / part, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / part, copy / part)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(built), "."]
    subprocess.run(command, cwd=copy, check=True, timeout=300)
    [found] = built.iterdir()
    return found


class Stranger:
    """Somebody's folder, and an environment in which the wheel is all that was installed."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self.programs = programs
        self.environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder.parent)}

    def run(self, *words: str, expected: int = 0) -> str:
        """What a command prints, on both streams."""
        done = subprocess.run(
            [self.programs / words[0], *words[1:]],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == expected, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def stranger(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    home = tmp_path_factory.mktemp("home")
    folder, venv = home / "work", home / "venv"
    for name in ("service", "training"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise RuntimeError('this is somebody else')\n")
    shutil.copytree(ROOT / "models" / "breast-cancer", folder / "models" / "breast-cancer")
    subprocess.run([sys.executable, "-m", "venv", venv], check=True, timeout=120)
    # Where packages come from is the machine's business; nothing else of its environment is taken over.
    pip = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CHAINZRULE", "VIRTUAL"))
    }
    install = ["-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), f"{wheel}[cpu]"]
    subprocess.run([venv / "bin" / "python", *install], cwd=folder, env=pip, check=True, timeout=600)
    return Stranger(folder, venv / "bin")


@contextlib.contextmanager
def serving(stranger: Stranger) -> Iterator[str]:
    """`chainzrule serve`, in the stranger's folder."""
    port = free_port()
    process = subprocess.Popen(
        [stranger.programs / "chainzrule", "serve", "--port", str(port), "--drain-grace", "0"],
        cwd=stranger.folder,
        env=stranger.environment,
        stderr=subprocess.PIPE,
    )
    try:
        await_ready(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate(timeout=30)


def test_the_only_top_level_name_is_ours(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        entries = archive.infolist()
    assert {entry.filename.split("/")[0] for entry in entries} == {"chainzrule", f"chainzrule-{__version__}.dist-info"}
    links = [entry.filename for entry in entries if entry.external_attr >> 28 == 0xA]
    assert not links


def test_it_holds_all_of_the_code_and_what_the_page_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    listed = subprocess.run(
        ["git", "ls-files", *PARTS[:3]], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    files = [Path(line) for line in listed.splitlines() if not (ROOT / line).is_symlink()]
    brought = {".py", ".binpb", ".proto"}
    own = (path for path in files if path.suffix in brought or path.name == "py.typed" or "ui" in path.parts)
    code = {path.as_posix() for path in own}
    expected = {name if name.startswith("chainzrule/") else f"chainzrule/{name}" for name in code}
    assert held == expected


def test_its_metadata_say_which_version_it_is_and_which_command_it_brings(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        folder = f"chainzrule-{__version__}.dist-info"
        metadata = Parser().parsestr(archive.read(f"{folder}/METADATA").decode())
        assert archive.read(f"{folder}/entry_points.txt").decode().split() == [
            "[console_scripts]",
            "chainzrule",
            "=",
            "chainzrule.cli:main",
        ]
    assert (metadata["Name"], metadata["Version"]) == ("chainzrule", __version__)
    assert {"cpu", "gpu", "training", "parquet"} <= set(metadata.get_all("Provides-Extra") or ())


def test_it_answers_a_strangers_questions(stranger: Stranger) -> None:
    assert stranger.run("chainzrule", "--version") == f"chainzrule {__version__}\n"
    assert stranger.run("python", "-m", "chainzrule", "--version") == f"chainzrule {__version__}\n"
    assert re.search(r"^breast-cancer +1 .+ yes$", stranger.run("chainzrule", "models"), re.MULTILINE)
    load_breast_cancer(as_frame=True).data[:20].to_csv(stranger.folder / "rows.csv", index=False)
    assert stranger.run("chainzrule", "predict", "rows.csv").startswith("20 rows by breast-cancer version 1: ")
    with (stranger.folder / "rows.predictions.csv").open(newline="") as stream:
        found = list(csv.DictReader(stream))
    instances = load_breast_cancer().data[:20].tolist()
    with serving(stranger) as address:
        answer = httpx.post(f"{address}/predict", json={"instances": instances}, timeout=10).json()
        version = httpx.get(f"{address}/openapi.json", timeout=10).json()["info"]["version"]
        page = httpx.get(f"{address}/", timeout=10)
    assert version == __version__
    assert page.status_code == 200
    for row, expected in zip(found, answer["predictions"], strict=True):
        assert row["label"] == expected["label"]
        assert float(row["volatility"]) == expected["stability"]["volatility"]


def test_it_is_loaded_from_python(stranger: Stranger) -> None:
    program = """
import json, sys
from chainzrule import load
row = [feature.mean for feature in load("models").card.features]
print(json.dumps([load("models").predict([row])[0]["label"], "torch" in sys.modules]))
"""
    assert json.loads(stranger.run("python", "-c", program))[1] is False


def test_what_needs_an_extra_says_so(stranger: Stranger) -> None:
    said = stranger.run("chainzrule", "fit", "--csv", "rows.csv", "--target", "x", "--name", "y", expected=2)
    assert re.fullmatch(
        r"error: `chainzrule fit`: \w+ is not installed; .* pip install 'chainzrule\[training\]'\n", said
    )
    said = stranger.run("python", "-c", "from chainzrule import ChainzRuleClassifier", expected=1)
    assert "pip install 'chainzrule[training]'" in said
