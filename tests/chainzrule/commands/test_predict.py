"""`chainzrule predict`: a table's answers are those of `POST /predict`, to the last digit, in CSV and in Parquet."""

import csv
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_breast_cancer

from chainzrule.bulk import CHUNK_ROWS
from chainzrule.cli import main
from chainzrule.commands import predict
from tests.artifacts import BINARY, CLASSIFIER, MIXED, ORDINAL, REGRESSION, Toy, probed
from tests.chainzrule.commandline import without
from tests.processes import ROOT
from tests.service.conftest import serve

MEASURES = ("volatility", "percentile", "flip_distance", "flip_probability", "gradient_norm")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def posted(root: Path, **question: Any) -> list[dict[str, Any]]:
    async with serve(root, max_rows=10_000) as client:
        response = await client.post("/predict", json=question)
    assert response.status_code == 200, response.text
    answers: list[dict[str, Any]] = response.json()["predictions"]
    return answers


def nested(row: dict[str, Any]) -> dict[str, Any]:
    """A row's answer as `POST /predict` writes it, out of its columns."""
    stability: dict[str, Any] = {}
    answer: dict[str, Any] = {}
    for name, value in row.items():
        if name in ("label", "value", "set"):
            answer[name] = value
        elif name.startswith("probabilities."):
            answer.setdefault("probabilities", {})[name.removeprefix("probabilities.")] = value
        elif name in (*MEASURES, "method", "verdict", "reasons", "runner_up", "out_of_range"):
            stability[name] = value
    rank, features = row["novelty.percentile"], row["novelty.features"]
    answer["novelty"] = None if rank is None else {"percentile": rank, "features": features}
    if "interval.low" in row:
        answer["interval"] = [row["interval.low"], row["interval.high"]]
    return answer | {"stability": stability}


def from_csv(path: Path, delimiter: str = ",") -> list[dict[str, Any]]:
    """A file's answers, with every cell as what the answer has there."""

    def read(name: str, cell: str) -> Any:
        if name in ("reasons", "out_of_range", "set", "novelty.features"):
            return cell.split(";") if cell else []
        if name in (*MEASURES, "value", "interval.low", "interval.high", "novelty.percentile") or name.startswith(
            "probabilities."
        ):
            return float(cell) if cell else None
        return cell

    with path.open(newline="") as stream:
        return [
            nested({name: read(name, cell) for name, cell in row.items()})
            for row in csv.DictReader(stream, delimiter=delimiter)
        ]


KNOWN = replace(CLASSIFIER, name="known", known=True)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    "toy", [CLASSIFIER, KNOWN, ORDINAL, REGRESSION, probed(BINARY, "monte_carlo", 64)], ids=lambda toy: toy.name
)
async def test_answers_are_those_of_the_service(toy: Toy, kind: str, home: Path) -> None:
    toy.publish(home / "models")
    frame = pd.DataFrame(6.0 * toy.rows(15), columns=["height", "weight"])  # some of it out of range
    expected = await posted(
        home / "models", instances=frame.to_numpy().tolist(), noise_scale=2, confidence=0.6, measure=True
    )
    assert {answer["stability"]["verdict"] for answer in expected} != {"stable"}
    mixed = frame.assign(patient=[f"no. {row}" for row in range(15)])[["weight", "patient", "height"]]
    if kind == "csv":
        mixed.to_csv("rows.csv", index=False)
    else:
        mixed.to_parquet("rows.parquet", index=False)
    assert main(["predict", f"rows.{kind}", "--model", toy.name, "--noise-scale", "2", "--confidence", "0.6"]) == 0
    found: list[dict[str, Any]]
    if kind == "csv":
        found = from_csv(Path("rows.predictions.csv"))
    else:
        written = pq.read_table("rows.predictions.parquet")
        found = [nested(row) for row in written.to_pylist()]
        assert written.column_names[:3] == ["weight", "patient", "height"]
        assert written.column("patient").to_pylist() == mixed["patient"].tolist()
    assert found == expected


@pytest.mark.anyio
async def test_a_real_models_answers_are_those_of_the_service(home: Path) -> None:
    data = load_breast_cancer(as_frame=True)
    rows = pd.concat([data.frame] * 3)[: CHUNK_ROWS + 100]
    rows.to_csv("rows.csv", index=False)
    models = ROOT / "models"
    assert main(["predict", "rows.csv", "--model", "breast-cancer", "--version", "1", "--models", str(models)]) == 0
    instances = rows.drop(columns="target").to_numpy().tolist()
    # A chunk is a run, as a request is: a float32 product's last digit may hang on how many rows it has.
    expected = await posted(models, model="breast-cancer", instances=instances[:CHUNK_ROWS])
    expected += await posted(models, model="breast-cancer", instances=instances[CHUNK_ROWS:])
    assert from_csv(Path("rows.predictions.csv")) == expected


@pytest.mark.anyio
async def test_categories_and_gaps_are_read_as_the_service_reads_them(home: Path) -> None:
    MIXED.publish(home / "models")
    Path("rows.csv").write_text("site;age;dose;colour\nnorth;;1.5;red\nsouth;4;NA;NA\nsouth;4;0;\n")
    assert main(["predict", "rows.csv", "--skip-bad-rows"]) == 0
    rows = [[None, "red", 1.5, "north"], [4, None, 0, "south"]]
    expected = await posted(home / "models", instances=rows)
    text = Path("rows.predictions.csv").read_text()
    assert [line.split(";")[:4] for line in text.splitlines()[1:]] == [
        ["north", "", "1.5", "red"],
        ["south", "4", "0", ""],
    ]
    assert from_csv(Path("rows.predictions.csv"), ";") == expected


@pytest.mark.anyio
async def test_a_table_is_read_as_it_is_written(home: Path) -> None:
    MIXED.publish(home / "models")
    text = "site;age;dose;colour\nnorth;?;1,5 mg;red\nsouth;4;0,25;?\n"
    Path("rows.csv").write_text(text, encoding="utf-16")
    flags = ["--decimal", ",", "--unit", "dose=mg", "--na", "?", "--encoding", "utf-16"]
    assert main(["predict", "rows.csv", *flags]) == 0
    expected = await posted(home / "models", instances=[[None, "red", 1.5, "north"], [4, None, 0.25, "south"]])
    assert from_csv(Path("rows.predictions.csv"), ";") == expected
    assert Path("rows.predictions.csv").read_text().splitlines()[1].startswith("north;?;1,5 mg;red;")


def test_what_it_came_to_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    CLASSIFIER.publish(home / "models")
    Path("rows.csv").write_text("height,weight\n" + "1,-1\n" * 3 + "500,-1\nx,2\n")
    assert main(["predict", "rows.csv", "--output", "scored.csv", "--skip-bad-rows"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    first, *rest = said.out.splitlines()
    assert first.startswith("4 rows by toy version 1: 3 ")
    assert rest == [
        "left out 1 row that cannot be predicted:",
        "  line 6: height: must be a number, not text",
        "wrote scored.csv",
    ]
    assert sorted(path.name for path in home.iterdir()) == ["models", "rows.csv", "scored.csv"]


def test_bad_rows_are_refused_before_anything_is_written(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    CLASSIFIER.publish(home / "models")
    Path("rows.csv").write_text("height,weight\n1,s3cret\n1,2\n" + "1\n" * 30)
    Path("rows.predictions.csv").write_text("of yesterday")
    assert main(["predict", "rows.csv"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[:3] == [
        "error: rows.csv: 31 rows cannot be predicted, so nothing was written; --skip-bad-rows leaves such out",
        "  line 2: weight: must be a number, not text",
        "  line 4: has 1 fields, where the header names 2",
    ]
    assert lines[-1] == "  and 11 more"
    assert len(lines) == 22
    assert "s3cret" not in said.err
    assert Path("rows.predictions.csv").read_text() == "of yesterday"
    assert sorted(path.name for path in home.iterdir()) == ["models", "rows.csv", "rows.predictions.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv"], "none.csv: no such file"),
        (["notes.md"], "notes.md: neither CSV nor Parquet by its name"),
        (["rows.csv", "--model", "none"], "there is no model 'none'; models has toy"),
        (["rows.csv", "--version", "2"], "toy has no version 2; it has 1"),
        (["rows.csv", "--models", "nowhere"], "nowhere is no model repository"),
        (["rows.csv", "--noise-scale", "0"], "--noise-scale: must be above 0, at most 100"),
        (["rows.csv", "--noise-scale", "nan"], "--noise-scale: must be above 0"),
        (["rows.csv", "--confidence", "90"], "--confidence: must be between 0 and 1, for example 0.9"),
        (["rows.csv", "--confidence", "nan"], "--confidence: must be between 0 and 1"),
        (["rows.csv", "--output", "rows.csv"], "--output: rows.csv is FILE itself"),
        (["rows.csv", "--output", "new.parquet"], "--output: new.parquet must be of FILE's kind"),
        (["rows.csv", "--output", "new.csv.gz"], "and unzipped"),
        (["rows.csv", "--output", "nowhere/new.csv"], "--output: nowhere is no directory"),
        (["rows.csv", "--output", "folder.csv"], "or no regular file"),
        (["empty.csv"], "empty.csv: there is no row that could be predicted"),
        (["bad.csv", "--skip-bad-rows"], "bad.csv: there is no row that could be predicted"),
        (["other.csv"], "the table has no column height, weight, which toy needs; it has a, b"),
        (["taken.csv"], "the table has a column 'label'"),
        (["broken.parquet"], "broken.parquet: cannot be read"),
    ],
)
def test_refusals_take_one_line(
    arguments: list[str], message: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    CLASSIFIER.publish(home / "models")
    files = {
        "rows.csv": "height,weight\n1,2\n",
        "notes.md": "notes",
        "empty.csv": "height,weight\n",
        "bad.csv": "height,weight\n1\n",
        "other.csv": "a,b\n1,2\n",
        "taken.csv": "height,weight,label\n1,2,3\n",
        "broken.parquet": "PAR1",
    }
    for name, text in files.items():
        Path(name).write_text(text)
    Path("folder.csv").mkdir()
    assert main(["predict", *arguments]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert said.err.startswith("error: ")
    assert message in said.err
    assert sorted(path.name for path in home.iterdir()) == sorted([*files, "folder.csv", "models"])


def test_a_prefix_keeps_columns_apart(home: Path) -> None:
    CLASSIFIER.publish(home / "models")
    Path("rows.csv").write_text("height,weight,label\n1,2,mine\n")
    assert main(["predict", "rows.csv", "--prefix", "model "]) == 0
    with Path("rows.predictions.csv").open(newline="") as stream:
        [row] = csv.DictReader(stream)
    assert row["label"] == "mine"
    assert row["model label"] in CLASSIFIER.names


def test_a_version_that_would_not_load_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = CLASSIFIER.publish(home / "models")
    (path / "model.onnx").unlink()
    Path("rows.csv").write_text("height,weight\n1,2\n")
    assert main(["predict", "rows.csv"]) == 2
    assert capsys.readouterr().err == "error: toy version 1 would not load: model.onnx: is missing\n"


def test_parquet_without_pyarrow_names_the_extra(home: Path) -> None:
    CLASSIFIER.publish(home / "models")
    Path("rows.parquet").touch()
    code, _, said, _ = without("pyarrow", "predict", "rows.parquet", cwd=home)
    assert code == 2
    assert (
        said
        == "error: `chainzrule predict`: pyarrow is not installed; install it with: pip install 'chainzrule[parquet]'\n"
    )


def test_a_person_sees_how_far_it_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    CLASSIFIER.publish(home / "models")
    Path("rows.csv").write_text("height,weight\n1,2\n")
    master, terminal = os.openpty()
    with os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        assert main(["predict", "rows.csv"]) == 0
    shown = os.read(master, 10_000).decode()
    os.close(master)
    assert "100%, 1 row" in shown
    assert shown.endswith("\r\033[K")


def test_help_says_what_becomes_of_other_columns() -> None:
    assert "All of FILE's columns are passed through" in predict.EXAMPLES
