"""`benchmarks.novelty`: what is spoilt is spoilt as its name says, and the report says what was counted."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.novelty import tables
from benchmarks.novelty.anomalies import mistakes, pictures
from benchmarks.novelty.report import report
from benchmarks.novelty.rivals import Said, of_answers, of_inputs


def test_pictures_are_spoilt_as_their_names_say() -> None:
    x = np.zeros((8, 28, 28), np.float32)
    x[:, 10, 12] = 255.0
    found = {kind: rows.reshape(-1, 28, 28) for kind, rows in pictures(x.reshape(8, 784), None, _random()).items()}
    assert set(found) == {"pixels 0 to 1", "inverted", "uniform noise", "blank", "transposed", "shifted by 4"}
    assert found["pixels 0 to 1"][:, 10, 12].tolist() == [1.0] * 8
    assert found["inverted"][0, 10, 12] == 0.0
    assert found["transposed"][0, 12, 10] == 255.0
    places = {tuple(np.argwhere(image)[0].tolist()) for image in found["shifted by 4"]}
    assert places <= {(6, 12), (14, 12), (10, 8), (10, 16)}
    assert len(places) > 1


def test_every_row_of_a_table_is_spoilt_and_its_levels_are_not() -> None:
    x = np.concatenate([_random().uniform(1, 2, (40, 4)), np.eye(2)[np.arange(40) % 2]], axis=1).astype(np.float32)
    for kind, rows in mistakes(x, x, np.arange(4), _random()).items():
        np.testing.assert_array_equal(rows[:, 4:], x[:, 4:], err_msg=kind)
        assert (rows != x).any(axis=1).mean() > 0.9, kind
    scaled = mistakes(x, x, np.arange(4), _random())["one column x 10"]
    assert ((scaled != x).sum(axis=1) == 1).all()
    swapped = mistakes(x, x, np.arange(4), _random())["two columns swapped"]
    assert ((swapped != x).sum(axis=1) == 2).all()
    np.testing.assert_array_equal(np.sort(swapped[:, :4]), np.sort(x[:, :4]))


def test_rivals_score_what_lies_farther_out_higher() -> None:
    x = _random().normal(size=(200, 3))
    for name, score in of_inputs(x, np.arange(200) % 2).items():
        near, far = score(np.array([[0.0, 0.0, 0.0], [9.0, 9.0, 9.0]]))
        assert far > near, name
    sure, unsure = np.array([[0.99, 0.01]]), np.array([[0.5, 0.5]])
    for name in of_answers(Said(np.log(sure), sure)):
        one, other = (
            of_answers(Said(np.log(shares) + plus, shares))[name] for shares, plus in ((sure, 1), (unsure, 0))
        )
        assert one < other, name


def test_a_table_is_measured_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    every = tables._datasets
    monkeypatch.setattr(tables, "_datasets", lambda keel, seed: (one for one in every(keel, seed) if one[0] == "iris"))
    found = tables.measure(None, repeats=1, seed=1)
    assert set(found) == {"iris"}
    assert found["iris"]["kinds"]["one column x 1,000"]["auroc"]["novelty"] > 0.99
    assert found["iris"]["false_alarms"] < 0.1
    kind = {"novel": 0.5, "stable": 0.25, "steady": 0.75}
    figures = {"auroc": {"novelty": 0.9, "energy": 0.8}, **kind}
    digits = {"rows": 10, "known": 5, "fresh_false_alarms": 0.015, "kinds": {"test digits": kind, "blank": figures}}
    written = report({"digits": digits, "tables": found})
    assert "| blank | **0.9000** | 0.8000 | 50.0% | 25.0% (75.0%) |" in written
    assert "| iris |" in written


def test_datasets_of_others_are_read(tmp_path: Path) -> None:
    for name in tables.KEEL:
        rows = "\n".join(f"{n}.5, {n % 3}.0, {'positive' if n % 2 else 'negative'}" for n in range(30))
        (tmp_path / f"{name}.dat").write_text(f"@relation {name}\n@data\n{rows}\n")
    found = dict(tables._datasets(tmp_path, 1))
    assert list(found) == ["breast-cancer", "diabetes", "wine", "iris", "pima", "vehicle"]
    assert found["pima"].labels == ("negative", "positive")
    assert found["pima"].train.x.shape == (30, 2)


def _random() -> np.random.Generator:
    return np.random.default_rng(0)
