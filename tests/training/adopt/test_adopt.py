"""Six real models, trained here in seconds by other libraries: adopted, served, and held against those libraries.

Behind them, what adoption refuses by itself, tried with small graphs.
"""

import json
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from onnxmltools.convert import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from chainzrule.service.artifact.store import read_artifact
from chainzrule.service.runtime.graph import Execution
from chainzrule.service.runtime.model import Model
from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.training.adopt.adopt import adopt
from chainzrule.training.errors import AdoptionError, RepositoryError
from tests.service.conftest import serve
from tests.training.adopt.graphs import model

Floats = NDArray[np.float64]
Predict = Callable[[NDArray[np.float32]], Floats]


@dataclass(frozen=True)
class Subject:
    """A model of another library.

    Attributes:
        content: the ONNX file.
        frame: the sample, target last.
        predict: (rows, K) probabilities or (rows, 1) values, by the source library.
        method: that adoption has to find.
    """

    content: bytes
    frame: pd.DataFrame
    predict: Predict
    method: str


def table(bunch: Any, rows: int) -> tuple[NDArray[np.float32], NDArray[Any], pd.DataFrame]:
    """Values that float32 holds exactly, so that all libraries see the same."""
    x = bunch.data.astype(np.float32)
    names = [str(name) for name in getattr(bunch, "feature_names", range(x.shape[1]))]
    frame = pd.DataFrame(x, columns=names)
    frame["target"] = bunch.target
    return x, bunch.target, frame.iloc[:: max(1, len(x) // rows)].reset_index(drop=True)


def from_sklearn(estimator: Any, bunch: Any, method: str) -> Subject:
    x, y, frame = table(bunch, 60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(x, y)
        content = to_onnx(estimator, x[:1]).SerializeToString()
    if hasattr(estimator, "predict_proba"):
        return Subject(content, frame, estimator.predict_proba, method)
    return Subject(content, frame, lambda rows: estimator.predict(rows)[:, None], method)


def mlp() -> Subject:
    estimator = make_pipeline(StandardScaler(), MLPClassifier((16, 8), max_iter=150, random_state=0))
    return from_sklearn(estimator, load_breast_cancer(), "analytic")


def logistic() -> Subject:
    return from_sklearn(make_pipeline(StandardScaler(), LogisticRegression()), load_wine(), "analytic")


def forest() -> Subject:
    return from_sklearn(RandomForestClassifier(20, max_depth=6, random_state=0), load_wine(), "monte_carlo")


def boosting() -> Subject:
    return from_sklearn(GradientBoostingRegressor(n_estimators=40, random_state=0), load_diabetes(), "monte_carlo")


def light() -> Subject:
    x, y, frame = table(load_breast_cancer(), 60)
    model = lightgbm.LGBMClassifier(n_estimators=20, num_leaves=8, verbose=-1, n_jobs=1).fit(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        types = [("input", FloatTensorType([None, x.shape[1]]))]
        content = convert_lightgbm(model, initial_types=types, target_opset=15).SerializeToString()
    return Subject(
        content, frame, lambda rows: np.asarray(model.booster_.predict(rows))[:, None] * [-1, 1] + [1, 0], "monte_carlo"
    )


def convolutional() -> Subject:
    torch.manual_seed(0)
    x, y, frame = table(load_digits(), 60)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(8, 16, 3, stride=2, padding=1),
        torch.nn.Tanh(),
        torch.nn.Flatten(),
        torch.nn.Linear(64, 10),
    )
    images, labels = torch.from_numpy(x / 16).reshape(-1, 1, 8, 8), torch.from_numpy(y)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimiser.step()

    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.network(pixels / 16)

    whole = Scaled().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            whole,
            (torch.zeros(3, 1, 8, 8),),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
            external_data=False,
        )
    assert program is not None

    def predict(rows: NDArray[np.float32]) -> Floats:
        with torch.no_grad():
            pixels = torch.from_numpy(np.array(rows, np.float32)).reshape(-1, 1, 8, 8)
            return whole(pixels).double().softmax(dim=1).numpy()

    return Subject(program.model_proto.SerializeToString(), frame, predict, "analytic")


SUBJECTS = {one.__name__: one for one in (mlp, logistic, forest, boosting, light, convolutional)}


@dataclass(frozen=True)
class Adopted:
    subject: Subject
    root: Path
    name: str


@pytest.fixture(scope="module", params=list(SUBJECTS))
def adopted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Adopted:
    name, home = request.param, tmp_path_factory.mktemp(request.param)
    subject = SUBJECTS[name]()
    (home / "model.onnx").write_bytes(subject.content)
    subject.frame.to_csv(home / "sample.csv", index=False)
    rows = subject.frame.drop(columns="target").to_numpy(np.float32)
    predicted = subject.predict(rows)
    columns = ["value"] if predicted.shape[1] == 1 else [str(label) for label in range(predicted.shape[1])]
    pd.DataFrame(predicted, columns=columns).to_csv(home / "expected.csv", index=False)
    report = adopt(
        home / "model.onnx",
        data=home / "sample.csv",
        target="target",
        name=name,
        models=home / "models",
        expected=home / "expected.csv",
    )
    assert report.path == home / "models" / name / "1"
    return Adopted(subject, home / "models", name)


def reported(subject: Subject, rows: NDArray[np.float32], label: int) -> Floats:
    """(rows,) what the service reports, by the source library."""
    found = subject.predict(rows)
    return found[:, 0] if found.shape[1] == 1 else found[:, label]


@pytest.mark.anyio
async def test_served_answers_are_the_source_librarys(adopted: Adopted) -> None:
    subject = adopted.subject
    card = read_artifact(adopted.root / adopted.name / "1").card
    assert card.method == subject.method
    assert card.adoption is not None
    assert card.adoption.expected_difference is not None
    assert card.adoption.expected_difference <= 1e-5
    assert (card.adoption.jacobian_difference is not None) == (card.method == "analytic")
    frame = subject.frame.drop(columns="target")
    rows = frame.to_numpy(np.float32)[:10]
    noise = RowEncoder(card).noise
    async with serve(adopted.root, measured_share=0) as client:
        posted = await client.post("/predict", json={"instances": rows.tolist()})
        explained = await client.post("/sensitivity", json={"instances": rows.tolist()})
    assert posted.status_code == explained.status_code == 200, posted.text + explained.text
    assert posted.json()["method"] == card.method
    expected = subject.predict(rows)
    random = np.random.default_rng(99)
    deviations = []
    for n, (plain, row) in enumerate(zip(posted.json()["predictions"], explained.json()["predictions"], strict=True)):
        assert row["method"] == card.method
        assert (plain["stability"]["verdict"] == "not_computed") == (card.method != "analytic")
        if card.labels:
            found = [row["probabilities"][label] for label in card.labels]
            np.testing.assert_allclose(found, expected[n], atol=1e-5)
            label = card.labels.index(row["label"])
            assert label == expected[n].argmax()
        else:
            np.testing.assert_allclose(row["value"], expected[n, 0], rtol=1e-5)
            label = 0
        gradients = {entry["feature"]: entry["gradient"] for entry in row["sensitivities"]}
        effect = np.array([gradients[name] for name in frame.columns]) * noise
        if card.method == "analytic":
            step = np.maximum(1e-2 * noise, 1e-6)
            moved = rows[n] + np.concatenate([np.diag(step), -np.diag(step)])
            moved = moved.astype(np.float32)
            apart = (moved[: len(step)] - moved[len(step) :]).diagonal().astype(np.float64)
            outputs = reported(subject, moved, label)
            differences = (outputs[: len(step)] - outputs[len(step) :]) / np.where(apart > 0, apart, 1.0) * noise
            floor = 1e-3  # of a probability, within which float32 differences are rounding
            deviations.append(np.abs(effect - differences).max() / max(np.abs(differences).max(), floor))
        # The same kind of draws, through the source library, many more and others.
        drawn = rows[n] + (random.standard_normal((2000, len(noise))) * noise).astype(np.float32)
        moved_outputs = subject.predict(drawn)
        spread = reported(subject, drawn, label).std()
        tolerance = 0.2 if card.method == "analytic" else 0.15
        stability = row["stability"]
        assert abs(stability["volatility"] - spread) <= tolerance * spread + 0.01 * (1 if card.labels else spread)
        if card.labels:
            flips = float(np.mean(moved_outputs.argmax(axis=1) != label))
            assert abs(stability["flip_probability"] - flips) <= 0.08, (n, stability, flips)
        if card.method == "monte_carlo":
            centred = (drawn - rows[n]) / np.where(noise > 0, noise, 1.0)
            values = reported(subject, drawn, label)
            slope = np.linalg.lstsq(centred, values - values.mean(), rcond=None)[0]
            # The standard error of 512 draws' slopes, each draw off by the spread.
            assert np.abs(effect - slope).max() <= 6 * spread / np.sqrt(512) + 1e-4
    if deviations:  # a row may lie at a kink
        assert np.quantile(deviations, 0.9) <= 0.05, deviations
        assert np.median(deviations) <= 0.02, deviations


def test_the_card_says_how_every_number_was_obtained(adopted: Adopted) -> None:
    card = json.loads((adopted.root / adopted.name / "1" / "card.json").read_text())
    obtained = card["adoption"]["obtained"]
    assert {
        "scores",
        "stability",
        "reference",
        "conformity",
        "novelty",
        "quality",
        "calibration",
        "noise",
        "range",
        "golden",
    } <= set(obtained)
    assert ("exact" in obtained["stability"]) == (card["method"] == "analytic")
    assert "fitted to" in obtained["quality"]
    errors = [level["calibration_error"] for level in card["calibration"]["noise_scales"][:2] if card.get("labels")]
    assert all(error < 0.05 for error in errors), errors


def test_another_librarys_answers_are_refused(adopted: Adopted, tmp_path: Path) -> None:
    home = adopted.root.parent
    frame = pd.read_csv(home / "expected.csv")
    frame.iloc[3] += 0.01 * max(1.0, float(frame.iloc[3].abs().max()))
    frame.to_csv(tmp_path / "expected.csv", index=False)
    with pytest.raises(AdoptionError, match="differ by more than 1e-05"):
        adopt(
            home / "model.onnx",
            data=home / "sample.csv",
            target="target",
            name="other",
            models=tmp_path / "models",
            expected=tmp_path / "expected.csv",
        )
    assert not (tmp_path / "models" / "other").exists()


@pytest.mark.anyio
async def test_mistaken_rows_are_novel_and_the_samples_are_not(adopted: Adopted) -> None:
    card = read_artifact(adopted.root / adopted.name / "1").card
    rows = adopted.subject.frame.drop(columns="target").to_numpy(np.float32)
    if card.novelty is None:  # the graph is older than the operators that it takes
        assert "opset" in json.loads(card.model_dump_json())["adoption"]["obtained"]["novelty"]
        return
    assert (card.novelty.rows, card.novelty.out_of_fold) == (len(rows), True)
    mistaken = rows[:, ::-1] * 3.0 + 1.0
    async with serve(adopted.root) as client:
        both = (await client.post("/predict", json={"instances": [*rows.tolist(), *mistaken.tolist()]})).json()
    ranks = [row["novelty"]["percentile"] for row in both["predictions"]]
    if len(rows) < 2 * rows.shape[1]:  # so few rows tell little of how columns hang together
        assert np.median(ranks[len(rows) :]) > np.quantile(ranks[: len(rows)], 0.9)
        return
    assert np.mean(np.array(ranks[: len(rows)]) > 98.5) < 0.05
    assert np.mean(np.array(ranks[len(rows) :]) > 98.5) > 0.9
    assert {bool(row["novelty"]["features"]) for row in both["predictions"][len(rows) :]} == {True}


@pytest.mark.anyio
async def test_the_reference_is_what_the_service_then_measures(adopted: Adopted) -> None:
    reference = read_artifact(adopted.root / adopted.name / "1").card.reference
    rows = adopted.subject.frame.drop(columns="target").to_numpy(np.float32)
    assert reference.rows == len(rows)
    async with serve(adopted.root, measured_share=1) as client:
        answer = await client.post("/predict", json={"instances": rows.tolist()})
    stability = [row["stability"] for row in answer.json()["predictions"]]
    for name in ("volatility", "gradient_norm", "flip_probability"):
        distribution = getattr(reference, name)
        if distribution is not None:
            assert distribution.mean == pytest.approx(np.mean([row[name] for row in stability]), rel=1e-5)


X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
CURVE = ("t = Tanh (x) y = MatMul (t, W)", "float[batch,3] x", "float[batch,1] y")


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    """The arguments of an adoption of a small regression, which names the file, the sample and the repository."""
    graph = model(*CURVE, {"W": np.ones((3, 1), np.float32)})
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    frame.assign(y=np.tanh(X).sum(axis=1)).to_csv(tmp_path / "sample.csv", index=False)
    return {
        "model": tmp_path / "model.onnx",
        "data": tmp_path / "sample.csv",
        "target": "y",
        "name": "curve",
        "models": tmp_path / "models",
    }


def test_paths_may_be_texts(given: dict[str, Any]) -> None:
    report = adopt(**{name: str(part) for name, part in given.items()})
    assert report.path == given["models"] / "curve" / "1"


def test_the_report_is_of_what_was_published(given: dict[str, Any]) -> None:
    for version in ("1", "2"):
        report = adopt(**given, noise={"a": 0.5}, units={"b": "m"}, seed=3)
        assert report.path == given["models"] / "curve" / version
        assert report.card == read_artifact(report.path).card
        assert report.notes == ()
    card = report.card
    assert (card.name, card.version, card.task, card.method) == ("curve", "2", "regression", "analytic")
    features = card.model_dump()["features"]
    assert features[0]["noise"] == 0.5
    assert [feature["unit"] for feature in features] == [None, "m", None]
    assert card.provenance.seed == 3
    assert card.provenance.training_rows == card.reference.rows == 40
    assert card.provenance.parameters >= 3
    assert card.adoption is not None
    assert card.adoption.expected_difference is None
    assert card.adoption.obtained["source_library"] == "not compared: no --expected was given"
    assert "not_better" not in card.adoption.obtained
    assert card.provenance.config_sha256 == card.adoption.source_sha256


def test_why_it_is_no_better_method_is_in_the_card(given: dict[str, Any]) -> None:
    graph = model(CURVE[0].replace("Tanh", "Sin"), *CURVE[1:], {"W": np.ones((3, 1), np.float32)})
    given["model"].write_bytes(graph.SerializeToString())
    report = adopt(**given)
    assert report.card.method == "finite_difference"
    assert report.card.adoption is not None
    (note,) = report.notes
    assert report.card.adoption.obtained["not_better"] == note
    assert note == "no exact derivative: operator Sin has no derivative here"


def test_scores_are_told_from_probabilities_by_the_sample(given: dict[str, Any]) -> None:
    graph = model("y = MatMul (x, W)", "float[batch,3] x", "float[batch,3] y", {"W": np.eye(3, dtype=np.float32)})
    given["model"].write_bytes(graph.SerializeToString())
    frame = pd.read_csv(given["data"]).assign(y=X.argmax(axis=1))
    frame.to_csv(given["data"], index=False)
    card = adopt(**given).card
    assert card.labels == ("0", "1", "2")
    assert card.quality["accuracy"] == 1.0
    assert card.adoption is not None
    assert card.adoption.source_difference == 0.0
    assert card.adoption.obtained["scores"] == "the model's output, less its mean over the labels"


def test_a_sample_of_other_columns_is_refused(given: dict[str, Any]) -> None:
    pd.read_csv(given["data"]).drop(columns="b").to_csv(given["data"], index=False)
    with pytest.raises(AdoptionError) as caught:
        adopt(**given)
    assert str(caught.value) == (
        "the sample has 2 columns beside the target, the model's input [3] takes 3; give the columns that it was "
        "trained on, in their order"
    )
    assert not (given["models"] / "curve").exists()


@pytest.mark.parametrize("kind", ["no number", "an infinite score behind finite probabilities"])
def test_answers_that_are_not_finite_are_refused(given: dict[str, Any], kind: str) -> None:
    graph = model(CURVE[0].replace("Tanh", "Log"), *CURVE[1:], {"W": np.ones((3, 1), np.float32)})
    if kind != "no number":
        mask = np.array([0, 0, -np.inf], np.float32)
        graph = model("h = Add (x, mask) y = Softmax (h)", CURVE[1], "float[batch,3] y", {"mask": mask})
        pd.read_csv(given["data"]).assign(y=X.argmax(axis=1)).to_csv(given["data"], index=False)
    given["model"].write_bytes(graph.SerializeToString())
    with pytest.raises(AdoptionError) as caught:
        adopt(**given)
    assert str(caught.value) == "the model's answers to the sample are not all finite; look for outliers in it"
    assert not (given["models"] / "curve").exists()


def test_nothing_is_read_where_nothing_can_be_written(given: dict[str, Any]) -> None:
    given["models"].write_text("a file")
    given["model"].unlink()
    with pytest.raises(RepositoryError, match="no model can be written there"):
        adopt(**given)


def applicants(rows: int) -> tuple[pd.DataFrame, "pd.Series[str]"]:
    """Applications for credit as a bank has them: numbers with gaps, text, and whether it was paid back."""
    random = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "duration": random.integers(4, 72, rows),
            "amount": random.lognormal(8, 0.7, rows).round(0),
            "purpose": random.choice(["car", "repairs", "radio/tv", "education"], rows),
            "age": random.integers(19, 75, rows).astype(float),
            "housing": random.choice(["own", "rent", "free"], rows),
        }
    )
    risk = frame["duration"] / 30 + np.log(frame["amount"]) / 4 - frame["age"] / 60 + (frame["purpose"] == "car")
    frame.loc[random.random(rows) < 0.1, "age"] = np.nan
    return frame, pd.Series(np.where(risk + random.normal(0, 0.3, rows) > 2.9, "bad", "good"), name="credit")


def pipeline(estimator: Any) -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = ColumnTransformer(
        [
            ("numbers", numbers, ["duration", "amount", "age"]),
            ("texts", OneHotEncoder(handle_unknown="ignore"), ["purpose", "housing"]),
        ]
    )
    return make_pipeline(columns, estimator)


@pytest.mark.anyio
@pytest.mark.parametrize(("estimator", "method"), [
    (LogisticRegression(), "analytic"),
    (GradientBoostingClassifier(n_estimators=20, random_state=0), "monte_carlo"),
    (lightgbm.LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1), "monte_carlo"),
])  # fmt: skip
async def test_a_fitted_pipeline_is_served_as_people_have_its_rows(estimator: Any, method: str, tmp_path: Path) -> None:
    frame, credit = applicants(400)
    model = pipeline(estimator).fit(frame[:200], credit[:200])
    report = adopt(model, frame[200:], credit[200:], name="credit", models=tmp_path)
    assert report.card.method == method
    assert report.card.adoption is not None
    assert report.card.adoption.expected_rows_off == 0
    records = json.loads(frame[200:230].to_json(orient="records"))
    assert any(record["age"] is None for record in records)
    async with serve(tmp_path, measured_share=0) as client:
        posted = (await client.post("/predict", json={"instances": records})).json()
        explained = (await client.post("/sensitivity", json={"instances": records[:5]})).json()
    expected = model.predict_proba(frame[200:230])
    for row, shares in zip(posted["predictions"], expected, strict=True):
        found = [row["probabilities"][label] for label in model.classes_]
        np.testing.assert_allclose(found, shares, atol=1e-5)
    for row in explained["predictions"]:
        assert {entry["feature"] for entry in row["sensitivities"]} == set(frame.columns)
        purpose = next(entry for entry in row["sensitivities"] if entry["feature"] == "purpose")
        assert set(purpose["switch"]) == set(frame["purpose"]) - {purpose["value"]}


def booster(kind: str) -> Any:
    """A booster that takes gaps and categories by itself."""
    if kind == "lightgbm":
        return lightgbm.LGBMClassifier(n_estimators=15, min_data_per_group=5, verbose=-1, n_jobs=1)
    catboost = pytest.importorskip("catboost")
    quiet = {"verbose": False, "allow_writing_files": False, "thread_count": 1}
    return catboost.CatBoostClassifier(iterations=30, cat_features=["purpose", "housing"], **quiet)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["lightgbm", "catboost"])
async def test_a_booster_that_was_fitted_with_gaps_and_categories_takes_them(kind: str, tmp_path: Path) -> None:
    frame, credit = applicants(400)
    if kind == "lightgbm":
        frame = frame.astype({"purpose": "category", "housing": "category"})
    model = booster(kind).fit(frame[:200], credit[:200])
    report = adopt(model, frame[200:], credit[200:], name="credit", models=tmp_path)
    assert report.card.method == "monte_carlo"
    records = json.loads(frame[200:230].to_json(orient="records"))
    async with serve(tmp_path, measured_share=1) as client:
        posted = (await client.post("/predict", json={"instances": records})).json()
    expected = model.predict_proba(frame[200:230])
    for row, shares in zip(posted["predictions"], expected, strict=True):
        np.testing.assert_allclose([row["probabilities"][label] for label in model.classes_], shares, atol=1e-5)
        assert row["stability"]["verdict"] in ("stable", "elevated", "unstable")


def test_a_torch_module_is_adopted_from_memory(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.GELU(), torch.nn.Linear(8, 2))
    report = adopt(module, X, X[:, 0] > 0, name="module", models=tmp_path)
    assert report.card.method == "analytic"
    assert [feature.name for feature in report.card.features] == ["x0", "x1", "x2"]
    assert report.card.adoption is not None
    assert report.card.adoption.expected_difference is not None


def test_a_pickle_is_adopted_where_it_is_trusted(given: dict[str, Any]) -> None:
    frame = pd.read_csv(given["data"])
    model = LinearRegression().fit(frame[["a", "b", "c"]], frame["y"])
    given["model"] = given["model"].with_suffix(".pkl")
    given["model"].write_bytes(pickle.dumps(model))
    with pytest.raises(AdoptionError, match="is a pickle, which runs whatever code it holds"):
        adopt(**given)
    assert adopt(**given, trust_pickle=True).card.method == "analytic"


class Attention(torch.nn.Module):
    """A small transformer over the columns of a table, with a class token, as FT-Transformer is."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = (torch.nn.Parameter(torch.randn(3, 8) * 0.5) for _ in range(2))
        self.token = torch.nn.Parameter(torch.randn(1, 1, 8) * 0.5)
        self.encoder = torch.nn.TransformerEncoderLayer(
            8, 2, 16, dropout=0.0, batch_first=True, activation="gelu", norm_first=True
        )
        self.head = torch.nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x[..., None] * self.weight + self.bias
        tokens = torch.cat([self.token.expand(tokens.shape[0], -1, -1), tokens], 1)
        scores: torch.Tensor = self.head(self.encoder(tokens)[:, 0])
        return scores


class Recurrent(torch.nn.Module):
    """A recurrent layer, in both directions, over the columns of a table."""

    def __init__(self, layer: type[torch.nn.LSTM | torch.nn.GRU]) -> None:
        super().__init__()
        self.layer = layer(1, 6, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.layer(x[..., None])[0].mean(1))
        return scores


@pytest.mark.parametrize("make", [
    Attention, lambda: Recurrent(torch.nn.LSTM), lambda: Recurrent(torch.nn.GRU)
], ids=["attention", "lstm", "gru"])  # fmt: skip
def test_attention_and_recurrence_are_differentiated_as_autograd_does(
    make: Callable[[], torch.nn.Module], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module = make().eval()
    report = adopt(module, X, X.argmax(axis=1), name="attention", models=tmp_path)
    assert report.card.method == "analytic"
    artifact = read_artifact(report.path)
    found = Model(artifact.card, artifact.graphs, Execution("cpu", threads=1)).differentiate(X[:8])
    rows = [torch.autograd.functional.jacobian(module, torch.from_numpy(row[None]))[0, :, 0].numpy() for row in X[:8]]
    expected = np.array(rows)
    expected -= expected.mean(axis=1, keepdims=True)  # scores are centred
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
