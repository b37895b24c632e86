import errno
import os
from pathlib import Path

import pytest

from chainzrule.training.errors import RepositoryError, TrainingError
from chainzrule.training.publish.reserve import reserved


def test_what_was_published_stays(tmp_path: Path) -> None:
    home = tmp_path / "models" / "patients"
    with reserved(tmp_path / "models", "patients"):
        assert list(home.iterdir()) == []
        (home / "1").mkdir()
    assert (home / "1").is_dir()


def test_a_refused_first_publication_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TrainingError), reserved(tmp_path, "patients"):
        raise TrainingError
    assert not (tmp_path / "patients").exists()


def test_a_directory_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "patients").mkdir()
    with pytest.raises(KeyboardInterrupt), reserved(tmp_path, "patients"):
        raise KeyboardInterrupt
    assert (tmp_path / "patients").is_dir()


def test_a_directory_that_nothing_can_be_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "temporary")

    monkeypatch.setattr("chainzrule.training.publish.reserve.tempfile.TemporaryFile", read_only)
    with pytest.raises(RepositoryError, match=r"patients: .* \(Read-only file system\).*--models"):
        reserved(tmp_path, "patients").__enter__()
    assert not (tmp_path / "patients").exists()


@pytest.mark.parametrize("taken", ["models", "models/patients"])
def test_a_file_in_its_place_is_refused(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).parent.mkdir(exist_ok=True)
    (tmp_path / taken).touch()
    with pytest.raises(RepositoryError, match="patients: no model can be written there"):
        reserved(tmp_path / "models", "patients").__enter__()
    assert (tmp_path / taken).is_file()
