from pathlib import Path

import pytest
import torch

from chainzrule.training.errors import CheckpointError, StorageError
from chainzrule.training.fitting.checkpoint import Checkpoint


def test_a_state_comes_back_to_the_run_that_saved_it(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "fit.pt"
    Checkpoint(path, "run", resume=False).save({"weights": torch.arange(3.0), "losses": [0.5]}, force=True)
    state = Checkpoint(path, "run", resume=True).load()
    assert state is not None
    assert state["losses"] == [0.5]
    assert torch.equal(state["weights"], torch.arange(3.0))
    assert [entry.name for entry in path.parent.iterdir()] == ["fit.pt"]


def test_another_runs_state_is_refused(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "fit.pt", "run", resume=False).save({}, force=True)
    with pytest.raises(CheckpointError, match="another configuration or other data"):
        Checkpoint(tmp_path / "fit.pt", "other", resume=True).load()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "fit.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged; start again without --resume"):
        Checkpoint(tmp_path / "fit.pt", "run", resume=True).load()


def test_without_resume_an_old_state_is_forgotten(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "fit.pt", "run", resume=False).save({}, force=True)
    assert Checkpoint(tmp_path / "fit.pt", "run", resume=False).load() is None


def test_saves_are_spaced_out_unless_forced(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "fit.pt", "run", resume=False, interval=3600)
    checkpoint.save({"epoch": 1})
    assert checkpoint.load() is None
    checkpoint.save({"epoch": 2}, force=True)
    assert checkpoint.load() == {"epoch": 2}


def test_a_crash_while_saving_leaves_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path / "fit.pt", "run", resume=False)
    checkpoint.save({"epoch": 1}, force=True)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("chainzrule.training.fitting.checkpoint.torch.save", crash)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save({"epoch": 2}, force=True)
    assert Checkpoint(tmp_path / "fit.pt", "run", resume=True).load() == {"epoch": 1}


def test_without_room_the_file_is_named_and_the_last_state_stays(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "fit.pt", "run", resume=False)
    checkpoint.save({"epoch": 1}, force=True)
    (tmp_path / "fit.partial").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"fit\.partial: cannot be written .*; make room there") as caught:
        checkpoint.save({"weights": torch.zeros(100_000)}, force=True)
    assert "--runs" in str(caught.value)
    assert checkpoint.load() == {"epoch": 1}
    checkpoint.save({"epoch": 3}, force=True)
    assert checkpoint.load() == {"epoch": 3}
