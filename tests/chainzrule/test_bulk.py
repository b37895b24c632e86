import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainzrule import bulk
from chainzrule.bulk import Tally, added_columns, predict_table
from chainzrule.loaded import LoadedModel, load
from chainzrule.tables.csvfile import CsvTable
from chainzrule.tables.table import TableError
from tests.artifacts import CLASSIFIER, CUBIC, FAMILIAR, IMAGE, ORDINAL, REGRESSION, SILENT, Toy

NOVELTY = ("novelty.percentile", "novelty.features")
STABILITY = (
    "verdict",
    "reasons",
    "method",
    "volatility",
    "percentile",
    "flip_distance",
    "flip_probability",
    "runner_up",
)
SET = ("set", *NOVELTY, *STABILITY)
KINDS = {
    "label": "text",
    "verdict": "text",
    "runner_up": "text",
    "method": "text",
    "reasons": "texts",
    "out_of_range": "texts",
    "set": "texts",
}


def run(folder: Path, toy: Toy, text: str, **options: Any) -> tuple[Tally, str]:
    """What becomes of a table: the tally, and what was written."""
    toy.publish(folder / "models")
    (folder / "rows.csv").write_text(text)
    model = load(folder / "models")
    with CsvTable(folder / "rows.csv") as table:
        added = added_columns(model, table)
        with table.writer(folder / "new.csv", added) as writer:
            tally = predict_table(model, table, writer, **options)
    return tally, (folder / "new.csv").read_text()


@pytest.mark.parametrize(
    ("toy", "expected"),
    [
        (
            CLASSIFIER,
            ["label", *(f"probabilities.{label}" for label in ("no", "yes", "maybe")), *SET],
        ),
        (
            ORDINAL,
            ["label", "value", *(f"probabilities.{label}" for label in ORDINAL.names), *SET],
        ),
        (
            REGRESSION,
            [
                "value",
                "interval.low",
                "interval.high",
                *NOVELTY,
                "verdict",
                "reasons",
                "method",
                "volatility",
                "percentile",
            ],
        ),
        (FAMILIAR, ["label", *(f"probabilities.{label}" for label in FAMILIAR.names), *SET]),
        # Whose flip distance is null in every answer.
        (SILENT, ["label", *(f"probabilities.{label}" for label in SILENT.names), *SET]),
    ],
    ids=lambda value: value.name if isinstance(value, Toy) else "",
)
def test_the_added_columns_are_the_answers_members(toy: Toy, expected: list[str], tmp_path: Path) -> None:
    toy.publish(tmp_path / "models")
    (tmp_path / "rows.csv").write_text("weight,height,patient,age,dose\n")
    with CsvTable(tmp_path / "rows.csv") as table:
        added = added_columns(load(tmp_path / "models"), table)
        prefixed = added_columns(load(tmp_path / "models"), table, "their ")
    assert list(added) == [*expected, "gradient_norm", "out_of_range"]
    kinds = KINDS | ({"novelty.features": "texts"} if toy.known else {})
    assert added == {name: kinds.get(name, "number") for name in added}
    assert list(prefixed) == [f"their {name}" for name in added]


@pytest.mark.parametrize(
    ("toy", "header", "message"),
    [
        (CLASSIFIER, "height,Weight", "no column weight, which toy needs; it has height, Weight"),
        (IMAGE, "pixel_0_0,id", "no column pixel_0_1, pixel_0_2, pixel_1_0, pixel_1_1, pixel_1_2, which image needs"),
        (CLASSIFIER, "height,weight,label", "a column 'label', which the answer's would hide; give a --prefix"),
        (REGRESSION, "height,weight,volatility", "a column 'volatility'"),
        (REGRESSION, "height,weight,interval.high", "a column 'interval.high'"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(toy: Toy, header: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=message):
        run(tmp_path, toy, header + "\n")


def test_columns_are_matched_by_name_and_others_passed_through(tmp_path: Path) -> None:
    tally, written = run(tmp_path, CLASSIFIER, "patient,weight,height\nthe first,2,1.5\n")
    assert tally.rows == 1
    header, row = written.splitlines()
    assert header.startswith("patient,weight,height,label,probabilities.no,")
    answer = load(tmp_path / "models").predict([[1.5, 2.0]])[0]
    assert row.startswith(f"the first,2,1.5,{answer['label']},{answer['probabilities']['no']!r},")


def test_bad_rows_are_named_and_counted_and_nothing_is_predicted_from_the_first_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "CHUNK_ROWS", 2)
    text = "height,weight\n1,2\n1,2\n1,2\n1,x\n1,2\n1\n1,2\n,2\n"
    predicted: list[int] = []
    answer = LoadedModel.answer

    def counted(self: LoadedModel, matrix: Any, *noise_scale: float) -> Any:
        predicted.append(len(matrix))
        return answer(self, matrix, *noise_scale)

    monkeypatch.setattr(LoadedModel, "answer", counted)
    tally, _ = run(tmp_path, CLASSIFIER, text)
    assert (tally.rows, tally.bad) == (2, 3)
    assert tally.reasons == {
        5: "weight: must be a number, not text",
        7: "has 1 fields, where the header names 2",
        9: "height: must be a number, not null: training saw no gaps here",
    }
    assert predicted == [4, 2]  # the golden rows, and the one chunk ahead of the first bad row
    tally, written = run(tmp_path, CLASSIFIER, text, skip_bad_rows=True)
    assert (tally.rows, tally.bad) == (5, 3)
    assert [line.partition(",")[0] for line in written.splitlines()[1:]] == ["1"] * 5
    assert sum(tally.verdicts.values()) == 5


def test_only_the_first_bad_rows_are_named(tmp_path: Path) -> None:
    tally, _ = run(tmp_path, CLASSIFIER, "height,weight\n" + "x,1\n" * 50)
    assert tally.bad == 50
    assert list(tally.reasons) == list(range(2, 22))


def test_an_answer_that_is_not_finite_is_a_bad_row(tmp_path: Path) -> None:
    tally, written = run(tmp_path, CUBIC, "height,weight\n1,2\n1e30,2\n1,3\n", skip_bad_rows=True)
    assert (tally.rows, tally.bad) == (2, 1)
    assert tally.reasons[3].startswith("the model's answer is not finite")
    assert [line.split(",")[1] for line in written.splitlines()[1:]] == ["2", "3"]


def test_the_noise_scale_is_passed_on(tmp_path: Path) -> None:
    _, written = run(tmp_path, REGRESSION, "height,weight\n1,2\n", noise_scale=3.0)
    answer = load(tmp_path / "models").predict([[1.0, 2.0]], noise_scale=3.0)[0]
    header, row = (line.split(",") for line in written.splitlines())
    found = dict(zip(header, row, strict=True))
    assert float(found["volatility"]) == answer["stability"]["volatility"]
    assert found["percentile"] == ""


def test_the_confidence_is_passed_on(tmp_path: Path) -> None:
    for toy, name in ((CLASSIFIER, "set"), (REGRESSION, "interval.low")):
        found = []
        for confidence in (0.3, 0.95, 0.999):
            folder = tmp_path / f"{toy.name}{confidence}"
            folder.mkdir()
            _, written = run(folder, toy, "height,weight\n1,-1\n", confidence=confidence)
            header, row = (line.split(",") for line in written.splitlines())
            found.append(dict(zip(header, row, strict=True))[name])
            [answer] = load(folder / "models").predict([[1.0, -1.0]], confidence=confidence)
            expected = ";".join(answer["set"]) if toy.names else answer["interval"][0]
            assert found[-1] == ("" if expected is None else str(expected))
        assert len(set(found)) > 1


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "CHUNK_ROWS", 2)
    told: list[tuple[float, int]] = []
    run(tmp_path, CLASSIFIER, "height,weight\n" + "1,2\n" * 5, show=lambda share, rows: told.append((share, rows)))
    assert [rows for _, rows in told] == [2, 4, 5]
    assert told[-1][0] == 1.0


def peak(folder: Path, rows: int) -> int:
    """The most memory, in bytes, that Python held at once while so many rows were predicted."""
    CLASSIFIER.publish(folder / "models")
    random = np.random.default_rng(0)
    lines = "".join(f"{height:.3f},{weight:.3f}\n" for height, weight in random.normal(size=(rows, 2)))
    (folder / "rows.csv").write_text("height,weight\n" + lines)
    model = load(folder / "models")
    tracemalloc.start()
    try:
        with (
            CsvTable(folder / "rows.csv") as table,
            table.writer(folder / "new.csv", added_columns(model, table)) as writer,
        ):
            assert predict_table(model, table, writer).rows == rows
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "CHUNK_ROWS", 64)
    (few, many) = (tmp_path / "few", tmp_path / "many")
    assert peak(many, 64 * 80) < 1.2 * peak(few, 64 * 4)
    assert (many / "new.csv").stat().st_size > 500_000
