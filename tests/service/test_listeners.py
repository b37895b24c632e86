"""What the server listens on: hosts, and sockets in the file system."""

import os
import socket
import stat
from pathlib import Path

import pytest

from chainzrule.service.listeners import is_exposed, listen, listen_at


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # the path of a socket has room for about a hundred characters
    return Path()


def test_a_name_is_listened_on_at_each_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", 0)) for last in (1, 2, 2)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: found)
    listeners = listen("both", 0)
    assert [listener.getsockname()[0] for listener in listeners] == ["127.0.0.1", "127.0.0.2"]
    assert len({listener.getsockname()[1] for listener in listeners}) == 1  # one free port for both
    for listener in listeners:
        listener.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6 here")
@pytest.mark.parametrize("host", ["::", ""])
def test_all_addresses_are_those_of_both_families(host: str) -> None:
    listeners = listen(host, 0)
    port = listeners[0].getsockname()[1]
    for address in ("127.0.0.1", "::1"):
        socket.create_connection((address, port), timeout=5).close()
    for listener in listeners:
        listener.close()


def test_an_address_that_is_not_available_leaves_none_open(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("127.0.0.1", "192.0.2.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: found)
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(OSError, match="assign requested address"):
        listen("both", 0)
    assert set(Path("/proc/self/fd").iterdir()) <= before


def test_who_may_connect_to_a_socket_in_the_file_system(folder: Path) -> None:
    path = folder / "socket"
    mask = os.umask(0o077)
    try:
        with listen_at(path) as listener:
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert not is_exposed(listener)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
    finally:
        assert os.umask(mask) == 0o077


def test_a_socket_that_was_left_behind_is_replaced(folder: Path) -> None:
    path = folder / "socket"
    listen_at(path).close()
    assert path.is_socket()
    with listen_at(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_socket_in_use_and_other_files_are_left_alone(folder: Path) -> None:
    path = folder / "socket"
    with listen_at(path), pytest.raises(OSError, match="another process listens there"):
        listen_at(path)
    path.unlink()
    path.write_text("kept")
    with pytest.raises(OSError, match="no socket"):
        listen_at(path)
    assert path.read_text() == "kept"


@pytest.mark.parametrize(("host", "exposed"), [("127.0.0.1", False), ("127.0.0.9", False), ("0.0.0.0", True)])
def test_which_listeners_others_may_reach(host: str, exposed: bool) -> None:
    for listener in listen(host, 0):
        with listener:
            assert is_exposed(listener) == exposed
