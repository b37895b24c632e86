"""Who may do what, asked of a real process."""

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from chainzrule.service.api.access.scopes import ADMIN, OBSERVE, PREDICT
from chainzrule.service.api.access.tokens import line_of
from tests.artifacts import CLASSIFIER
from tests.processes import service

ROW = {"instances": [[1.0, 2.0]]}


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_tokens_come_and_go_while_it_runs(tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path / "models")
    file = tmp_path / "tokens"
    file.write_text(f"{line_of('old', 'clinic', PREDICT)}\n{line_of('o', 'operators', OBSERVE | ADMIN)}\n")
    flags = ("--token-file", str(file), "--reload-seconds", "0", "--admin", "true")
    with service(tmp_path / "models", *flags) as (address, process):

        def ask(token: str) -> int:
            return httpx.post(f"{address}/predict", json=ROW, headers=bearer(token), timeout=30).status_code

        assert (ask("old"), ask("o"), ask("new")) == (200, 403, 401)
        new = file.with_name("new")
        new.write_text(f"{line_of('new', 'clinic', PREDICT)}\n{line_of('o', 'operators', OBSERVE | ADMIN)}\n")
        new.rename(file)
        until(lambda: ask("new") == 200)
        assert ask("old") in (401, 429)
        file.write_text(line_of("newest", "clinic", PREDICT))
        process.send_signal(signal.SIGHUP)
        until(lambda: ask("newest") == 200)
        assert ask("new") in (401, 429)
        file.unlink()  # what cannot be read changes nothing
        process.send_signal(signal.SIGHUP)
        httpx.get(f"{address}/healthz", timeout=30)
        assert ask("newest") == 200
        process.terminate()
        lines = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 0
    assert "tokens read again" in lines
    assert not re.search(r"newest|Traceback", lines)


def test_guesses_are_slowed_counted_and_logged_without_their_text(tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path / "models")
    (tmp_path / "token").write_text("right")
    with service(tmp_path / "models", "--token-file", str(tmp_path / "token")) as (address, process):
        with httpx.Client(base_url=address, timeout=30) as client:
            guesses = [client.post("/predict", json=ROW, headers=bearer(f"s3cret{n}")).status_code for n in range(500)]
            assert guesses[:10] == [401] * 10
            assert guesses.count(429) >= 400
            assert client.post("/predict", json=ROW, headers=bearer("right")).status_code == 200
            assert "chainzrule_wrong_tokens_total 500.0" in client.get("/metrics").text
        process.terminate()
        lines = process.communicate(timeout=60)[1].decode().splitlines()
    said = [line for line in lines if "wrong tokens" in line]
    assert 1 <= len(said) <= 20
    assert "s3cret" not in "\n".join(lines)


def test_a_page_of_another_site_can_do_nothing(tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path / "models")
    with service(tmp_path / "models", "--admin", "true") as (address, _):
        unload, evil = f"{address}/v2/repository/models/toy/unload", {"Origin": "https://evil.example"}
        form = {**evil, "Content-Type": "application/x-www-form-urlencoded"}
        assert httpx.post(unload, content=b"a=b", headers=form).status_code == 415
        assert httpx.post(unload, content=b"", headers=evil).status_code == 415
        assert httpx.post(unload, json={}, headers=evil).status_code == 403
        assert httpx.post(f"{address}/predict", json=ROW, headers={"Host": "rebound.example"}).status_code == 421
        assert httpx.post(f"{address}/predict", json=ROW).status_code == 200
        assert httpx.post(unload, content=b"{}").status_code == 200  # as Triton's clients send it
