"""What ends a start, in one line and with status 2. `tests/served/test_process.py` has the real process."""

import json
import logging
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainzrule.cli import main
from chainzrule.commands.serve import named
from chainzrule.service.listeners import listen
from chainzrule.service.runtime.graph import Execution, choose_execution
from chainzrule.service.settings import Settings
from tests.artifacts import CLASSIFIER


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    kept = root.handlers, root.level
    at_warning = warnings.showwarning
    at_hang_up = signal.getsignal(signal.SIGHUP)
    yield
    root.handlers, root.level = kept
    warnings.showwarning = at_warning
    signal.signal(signal.SIGHUP, at_hang_up)


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
        (("--unstable-flip-probability", "0.001"), "elevated_flip_probability is more than unstable_flip_probability"),
        (("--window-rows", "10"), "window_minimum_rows is more than window_rows"),
        (("--host", "192.0.2.1"), "--host, --port: cannot listen on 192.0.2.1:8000 ("),
        (("--host", "no such host"), "--host, --port: cannot listen on no such host:8000 ("),
        (("--host", "a" * 100), "--host, --port: cannot listen on aaa"),
        (("--unix-socket", "absent/socket"), "--unix-socket: cannot listen on absent/socket (No such file"),
        (
            ("--unix-socket", "/dev/null"),
            "--unix-socket: cannot listen on /dev/null (there is a file that is no socket)",
        ),
        (("--tls-key", "key"), "tls_certificate and tls_key are given together or not at all"),
        (("--tls-client-ca", "ca"), "tls_client_ca needs tls_certificate and tls_key"),
        (("--unix-socket", "x", "--tls-key", "y", "--tls-certificate", "z"), "unix_socket takes no tls_certificate"),
        (("--tls-certificate", "absent", "--tls-key", "absent"), "--tls-certificate: the file cannot be read ("),
        (
            ("--tls-certificate", "/dev/null", "--tls-key", "/dev/null"),
            "--tls-certificate, --tls-key: they do not work",
        ),
    ],
)
def test_settings_that_cannot_work_end_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], name: str
) -> None:
    CLASSIFIER.publish(tmp_path)
    given = [flag.format(models=tmp_path) for flag in flags]
    if "--models" not in given:
        given += ["--models", str(tmp_path)]
    assert main(["serve", *given]) == 2
    own = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("{")]
    assert len(own) == 1
    assert own[0].startswith(name)
    assert "s3cret" not in own[0]


def test_a_port_in_use_ends_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (listener,) = listen("127.0.0.1", 0)
    with listener:
        port = listener.getsockname()[1]
        assert main(["serve", "--port", str(port), "--models", str(tmp_path)]) == 2
    (own,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("{")]
    assert own == f"--host, --port: cannot listen on 127.0.0.1:{port} (Address already in use)"


def test_a_port_for_grpc_that_is_in_use_ends_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("grpc")
    (listener,) = listen("127.0.0.1", 0)
    with listener:
        port = listener.getsockname()[1]
        assert main(["serve", "--port", "0", "--grpc-port", str(port), "--models", str(tmp_path)]) == 2
    (own,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("{")]
    assert own == f"--grpc-port: cannot listen on 127.0.0.1:{port} (Address already in use)"


def test_grpc_without_its_extra_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.startswith("chainzrule.service.grpc")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "grpc", None)
    assert main(["serve", "--port", "0", "--grpc-port", "8001", "--models", str(tmp_path)]) == 2
    assert "pip install 'chainzrule[grpc]'" in capsys.readouterr().err


def test_misspelt_variables_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINZRULE_MAXROWS", "s3cret")
    assert main(["serve", "--models", str(tmp_path / "absent")]) == 2
    lines = capsys.readouterr().err.splitlines()
    found = json.loads(next(line for line in lines if line.startswith("{")))
    assert found["level"] == "WARNING"
    assert (found["variable"], found["nearest"]) == ("CHAINZRULE_MAXROWS", "CHAINZRULE_MAX_ROWS")
    assert "s3cret" not in str(found)


def test_every_fault_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "x", "--max-rows", "0"]) == 2
    assert [line.partition(" ")[0] for line in capsys.readouterr().err.splitlines()] == ["--port", "--max-rows"]


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ("localhost", "*.localhost")),
        ({"host": "::1"}, ("localhost", "*.localhost")),
        ({"host": "localhost"}, ("localhost", "*.localhost")),
        ({"allowed_hosts": "predict.example.com"}, ("predict.example.com",)),
        ({"host": "0.0.0.0"}, ()),
        ({"host": "0.0.0.0", "allowed_hosts": "a,b"}, ("a", "b")),
        ({"unix_socket": "service.sock"}, ()),
    ],
)
def test_the_address_tells_by_which_names_the_service_is_called(
    settings: dict[str, str], names: tuple[str, ...]
) -> None:
    assert named(Settings.model_validate(settings)).allowed_hosts == names


def test_an_unknown_flag_ends_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--max-row", "1"])
    assert caught.value.code == 2
    assert "--max-row" in capsys.readouterr().err


def test_a_device_that_is_not_there_ends_the_start_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if choose_execution("auto", 1) == Execution("cuda", 1):
        pytest.skip("CUDA works on this machine")
    assert main(["serve", "--models", str(tmp_path), "--device", "cuda"]) == 2
    assert "device=cuda cannot be used" in capsys.readouterr().err


def test_help_names_the_flags(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for flag in ("--models", "--host", "--port", "--device", "--max-rows", "--token-file"):
        assert flag in text
    assert "tuple" not in text
    assert "null" not in text
    assert "()" not in text
