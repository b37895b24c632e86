"""`chainzrule keys`: private keys that only their owner reads, and that nothing overwrites."""

import os
import re
from pathlib import Path

import pytest

from chainzrule.cli import main
from chainzrule.service.artifact.keys import read_private_key, read_public_key


def test_a_new_key_is_its_owners_alone_whatever_the_umask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "release.key"
    before = os.umask(0)
    try:
        assert main(["keys", "new", str(file)]) == 0
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "release.key.pub").stat().st_mode & 0o777 == 0o644
    private, public = read_private_key(file), read_public_key(tmp_path / "release.key.pub")
    assert private.public.id == public.id
    printed = capsys.readouterr().out
    assert f"id      {public.id}\npublic  {public.line}\n" in printed
    assert not re.search(r"PRIVATE|BEGIN", printed)


@pytest.mark.parametrize("taken", ["release.key", "release.key.pub"])
@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_a_key_is_never_overwritten(tmp_path: Path, taken: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    if kind == "file":
        (tmp_path / taken).write_text("precious")
    else:
        (tmp_path / taken).symlink_to(tmp_path / "elsewhere")
    assert main(["keys", "new", str(tmp_path / "release.key")]) == 2
    assert f"{taken}: exists, and keys are never overwritten" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [taken]
    if kind == "file":
        assert (tmp_path / taken).read_text() == "precious"


def test_either_half_shows_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "release.key"
    main(["keys", "new", str(file)])
    made = capsys.readouterr().out.splitlines()[1:]
    for half in (file, tmp_path / "release.key.pub"):
        assert main(["keys", "show", str(half)]) == 0
        assert capsys.readouterr().out.splitlines() == made


def test_what_is_no_key_is_refused_without_its_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "note").write_text("my secret")
    assert main(["keys", "show", str(tmp_path / "note")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "is not a public key" in said
    assert "secret" not in said
