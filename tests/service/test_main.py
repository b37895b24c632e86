"""The command line: what ends a start, in one line and with status 2. `test_process.py` has the real process."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.__main__ import main
from service.runtime.graph import Execution, choose_execution
from tests.artifacts import CLASSIFIER


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    kept = root.handlers, root.level
    yield
    root.handlers, root.level = kept


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (("--port", "99999"), "--port (CHAINZRULE_PORT): "),
        (("--max-rows", "0"), "--max-rows (CHAINZRULE_MAX_ROWS): "),
        (("--device", "s3cret"), "--device (CHAINZRULE_DEVICE): "),
        (("--reload-seconds", "s3cret"), "--reload-seconds (CHAINZRULE_RELOAD_SECONDS): "),
        (("--models", "absent"), "--models: absent is not a directory"),
        (("--models", "{models}/toy/1/card.json"), "--models: "),
        (("--token-file", "absent"), "--token-file: the file cannot be read"),
        (("--token-file", "/dev/null"), "--token-file: the file is empty"),
    ],
)
def test_settings_that_cannot_work_end_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], name: str
) -> None:
    CLASSIFIER.publish(tmp_path)
    given = [flag.format(models=tmp_path) for flag in flags]
    if "--models" not in given:
        given += ["--models", str(tmp_path)]
    assert main(given) == 2
    own = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("{")]
    assert len(own) == 1
    assert own[0].startswith(name)
    assert "s3cret" not in own[0]


def test_every_fault_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "x", "--max-rows", "0"]) == 2
    assert [line.partition(" ")[0] for line in capsys.readouterr().err.splitlines()] == ["--port", "--max-rows"]


def test_an_unknown_flag_ends_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--max-row", "1"])
    assert caught.value.code == 2
    assert "--max-row" in capsys.readouterr().err


def test_a_device_that_is_not_there_ends_the_start_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if choose_execution("auto", 1) == Execution("cuda", 1):
        pytest.skip("CUDA works on this machine")
    assert main(["--models", str(tmp_path), "--device", "cuda"]) == 2
    assert "device=cuda cannot be used" in capsys.readouterr().err


def test_help_names_the_flags(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for flag in ("--models", "--host", "--port", "--device", "--max-rows", "--token-file"):
        assert flag in text
