"""Results that are kept as they come, and trials that are run once."""

from dataclasses import replace
from pathlib import Path

import pytest
from tqdm import tqdm

from chainzrule.training.data.errors import DataError
from chainzrule.training.fairfight.plan import tuning
from chainzrule.training.fairfight.race import Results, race
from chainzrule.training.fairfight.trial import Trial, cost

TRIALS = [replace(trial, epochs=1) for trial in tuning("breast-cancer", "linear")[:3]]


@pytest.fixture
def bar() -> "tqdm[None]":
    return tqdm(total=10**15, disable=True)


def test_results_are_on_disk_at_once_and_found_again(tmp_path: Path) -> None:
    results = Results(tmp_path / "new")
    for number, trial in enumerate(TRIALS):
        results.add(trial, {"figures": {"score": number}, "seconds": 1.0})
        again = Results(tmp_path / "new")
        assert list(again.by_key) == list(results.by_key)
        assert again.by_key[trial.key]["figures"] == {"score": number}
        assert again.by_key[trial.key]["trial"]["problem"] == "breast-cancer"
    results.add(TRIALS[0], {"figures": None})  # a later result counts
    assert Results(tmp_path / "new").by_key[TRIALS[0].key]["figures"] is None
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["breast-cancer.jsonl"]


def test_a_line_that_was_cut_off_spoils_none(tmp_path: Path) -> None:
    Results(tmp_path).add(TRIALS[0], {"figures": 1})
    with (tmp_path / "breast-cancer.jsonl").open("a") as stream:
        stream.write('{"key": "cut o')
    results = Results(tmp_path)
    assert list(results.by_key) == [TRIALS[0].key]
    results.add(TRIALS[1], {"figures": 2})
    assert list(Results(tmp_path).by_key) == [TRIALS[0].key, TRIALS[1].key]


def test_only_what_has_no_result_is_run_and_once(
    tmp_path: Path, bar: "tqdm[None]", monkeypatch: pytest.MonkeyPatch
) -> None:
    results = Results(tmp_path)
    known = {"figures": {"score": -1.0}}
    results.add(TRIALS[0], known)
    moved: list[float] = []
    monkeypatch.setattr(bar, "update", moved.append)
    race([*TRIALS, TRIALS[1]], results, None, 1, bar)
    assert results.by_key[TRIALS[0].key]["figures"] == known["figures"]
    assert all(results.by_key[trial.key]["figures"]["score"] > 0.8 for trial in TRIALS[1:])
    assert sum(moved) == pytest.approx(sum(map(cost, TRIALS)))
    assert len((tmp_path / "breast-cancer.jsonl").read_text().splitlines()) == 3
    race(TRIALS, results, None, 1, bar)  # starts no process
    assert len((tmp_path / "breast-cancer.jsonl").read_text().splitlines()) == 3


def test_what_fails_ends_the_race(tmp_path: Path, bar: "tqdm[None]") -> None:
    broken: Trial = replace(TRIALS[0], problem="mars")
    with pytest.raises(DataError, match="no problem is named 'mars'"):
        race([broken], Results(tmp_path), None, 1, bar)
