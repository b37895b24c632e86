"""What the server listens on. `tests/served/test_process.py` has the real process."""

import socket

import pytest

from chainzrule.service.server import listen


def test_a_name_is_listened_on_at_each_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", 0)) for last in (1, 2, 2)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: found)
    listeners = listen("both", 0)
    assert [listener.getsockname()[0] for listener in listeners] == ["127.0.0.1", "127.0.0.2"]
    for listener in listeners:
        listener.close()
