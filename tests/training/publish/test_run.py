import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chainzrule.loaded import load
from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.artifact.store import read_artifact
from chainzrule.training.config import Config, make_config
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.table import table_dataset
from chainzrule.training.errors import CheckpointError, ConfigError
from chainzrule.training.fitting.loop import Batch, Fit
from chainzrule.training.publish.load import load as load_rows
from chainzrule.training.publish.run import Run, RunReport


def configure(**changes: object) -> Config:
    values: dict[str, object] = {
        "name": "patients",
        "data": {"source": "table", "path": "patients.csv", "target": "outcome"},
        "network": {"hidden": [6]},
        "fit": {"epochs": 8, "batch": 32},
        "noise": {"age": 0.5},
    }
    return make_config(values | changes, "test")


def prepare(frame: pd.DataFrame, folder: Path, resume: bool = False, **changes: object) -> Run:
    config = configure(**changes)
    dataset, _ = table_dataset(frame, "outcome", seed=config.seed)
    return Run(config, dataset, folder / "runs", resume, progress=False)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    random = np.random.default_rng(5)
    age, colour = random.normal(50, 12, 200), random.choice(["blue", "green"], 200)
    outcome = np.where(age + 10 * (colour == "blue") + random.normal(0, 6, 200) > 55, "sick", "well")
    return pd.DataFrame({"age": age, "colour": colour, "outcome": outcome})


@pytest.fixture(scope="module")
def report(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> RunReport:
    folder = tmp_path_factory.mktemp("run")
    return prepare(table, folder).publish(folder / "models")


def test_what_is_published_is_what_the_service_reads(report: RunReport) -> None:
    artifact = read_artifact(report.path)
    assert artifact.card == report.card
    assert report.path.name == report.card.version == "1"
    assert {entry.name for entry in report.path.iterdir()} == {
        "card.json",
        "model.onnx",
        "jacobian.onnx",
        "layers.onnx",
        "bounds.onnx",
    }


def test_the_card_tells_the_run(report: RunReport) -> None:
    card = report.card
    assert card.labels == ("sick", "well")
    assert card.quality["accuracy"] > 0.75
    assert card.reference.rows == card.provenance.training_rows == 200
    assert card.calibration is not None
    assert (card.calibration.rows, card.calibration.draws) == (200, 200)  # out of fold, every row once
    first = card.calibration.noise_scales[0]
    assert first.calibration_error is not None
    assert first.calibration_error < 0.02
    assert card.reference.layer_norms is not None
    assert card.reference.layer_norms[-1].mean == pytest.approx(card.reference.gradient_norm.mean, rel=1e-4)
    assert card.reference.out_of_fold
    assert card.conformity is not None
    assert (card.conformity.rows, card.conformity.out_of_fold) == (200, True)
    # The rows that the quality is of: as many of them have a likelier label than the true one as it says.
    wrong = sum(error > -np.log(0.5) for error in card.conformity.errors)
    assert wrong == pytest.approx(200 * (1 - card.quality["accuracy"]))
    assert card.conformity.temperature is not None
    assert 0.2 < card.conformity.temperature < 5.0
    assert card.features[0].noise == 0.5  # type: ignore[union-attr]
    baseline, *rivals = card.baselines
    assert [rival.method for rival in rivals] == ["linear", "boosted"]
    assert all(rival.quality["accuracy"] > 0.7 for rival in rivals)
    assert set(baseline.quality) == set(card.quality)
    assert baseline.parameters == pytest.approx(card.provenance.parameters, rel=0.1)
    assert set(card.provenance.versions) == {"python", "torch", "numpy", "onnxruntime"}


def test_the_published_model_knows_what_it_was_fitted_to(table: pd.DataFrame, report: RunReport) -> None:
    novelty = report.card.novelty
    assert novelty is not None
    assert (novelty.rows, novelty.out_of_fold) == (200, True)
    model = load(report.path)
    rows = table.drop(columns="outcome").values.tolist()
    ranks = [answer["novelty"]["percentile"] for answer in model.predict(rows)]
    assert np.mean(np.array(ranks) > 98.5) < 0.04
    (odd,) = model.predict([[500.0, "blue"]])
    assert odd["novelty"] == {"percentile": 100.0, "features": ["age"]}
    assert "novel" in odd["stability"]["reasons"]


def test_the_same_seed_gives_the_same_card(table: pd.DataFrame, report: RunReport, tmp_path: Path) -> None:
    """On the same machine and versions, to the last bit."""
    again = prepare(table, tmp_path).publish(tmp_path / "models").card
    assert again == report.card


def test_a_taken_version_number_means_the_next(
    table: pd.DataFrame, report: RunReport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The graphs are those of the first version: exporting is what takes time here.
    graphs = read_artifact(report.path).graphs
    monkeypatch.setattr("chainzrule.training.publish.run.export_graphs", lambda _: dict(graphs))
    monkeypatch.setattr("chainzrule.training.publish.run.with_novelty", lambda graph, _: graph)
    second = prepare(table, tmp_path).publish(report.path.parents[1])
    assert (second.path.name, second.card.version) == ("2", "2")


def test_an_interrupted_run_resumed_gives_the_same_model(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, epochs, evaluation = prepare(table, tmp_path / "whole").fit_model()
    done, passes = Fit.epoch, []

    def interrupted(self: Fit, train: Batch, validation: Batch | None) -> None:
        passes.append(1)
        if len(passes) == 12:  # within the second fold
            raise KeyboardInterrupt
        done(self, train, validation)

    monkeypatch.setattr(Fit, "epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(table, tmp_path / "cut").fit_model()
    resumed, resumed_epochs, resumed_evaluation = prepare(table, tmp_path / "cut", resume=True).fit_model()
    assert resumed_epochs == epochs
    assert resumed_evaluation.quality == evaluation.quality
    weights, expected = resumed.network.state_dict(), whole.network.state_dict()
    assert all(bool((weights[key] == expected[key]).all()) for key in expected)


def test_a_resumed_run_must_be_the_same_one(table: pd.DataFrame, tmp_path: Path) -> None:
    prepare(table, tmp_path).fit_model()
    with pytest.raises(CheckpointError, match="another configuration or other data"):
        prepare(table, tmp_path, resume=True, seed=9).fit_model()


def test_a_run_can_forget_its_checkpoints(table: pd.DataFrame, tmp_path: Path) -> None:
    run = prepare(table, tmp_path)
    run.fit_model()
    assert list((tmp_path / "runs").iterdir())
    run.forget()
    assert not (tmp_path / "runs").exists()


def test_held_out_rows_serve_where_there_are_enough(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(2500, 2))
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "outcome": 3 * x[:, 0] + x[:, 1] ** 2})
    run = prepare(frame, tmp_path, noise={}, network={"hidden": [16, 16]}, fit={"epochs": 6, "batch": 64})
    model, epochs, evaluation = run.fit_model()
    assert run.dataset.test is not None
    assert len(evaluation.outputs.scores) == len(run.dataset.test) == 500
    assert evaluation.quality["r2"] > 0.8
    assert model.target.mean == pytest.approx(run.dataset.train.y.mean(), rel=1e-5)
    assert 1 <= epochs <= 6
    assert run.evaluate_baseline().quality["r2"] > 0.5


def test_noise_for_an_unknown_column_is_refused(table: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'agee'"):
        prepare(table, tmp_path, noise={"agee": 1.0})


def test_noise_that_float32_cannot_resolve_is_refused(table: pd.DataFrame, tmp_path: Path) -> None:
    shifted = table.assign(age=table["age"] + 1e6)  # float32 steps by 1/16 there
    with pytest.raises(DataError, match="column 'age' reaches"):
        prepare(shifted, tmp_path, noise={"age": 0.01})


def test_a_fold_knows_nothing_of_the_rows_it_is_judged_on(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    run = prepare(table, tmp_path)
    monkeypatch.setattr(
        "chainzrule.training.publish.evaluation.predict",
        lambda model, rows: seen.append((model.columns, rows)) or pytest.skip("one fold is enough"),
    )
    with contextlib.suppress(pytest.skip.Exception):
        run.fit_model()
    ((columns, rows),) = seen
    others = np.setdiff1d(run.dataset.train.x[:, 0], rows.x[:, 0])
    assert columns.mean[0] == pytest.approx(others.mean(), rel=1e-5)
    assert columns.high[0] == others.max()


def test_cards_hold_synthetic_rows_only(table: pd.DataFrame, report: RunReport) -> None:
    card: ModelCard = report.card
    golden = np.frombuffer(card.golden.features.raw, dtype="<f4").reshape(card.golden.features.shape)
    ages = set(table["age"].astype(np.float32))
    assert not ages & set(golden[:, 0])


def test_declared_effects_come_into_the_card(table: pd.DataFrame, tmp_path: Path) -> None:
    report = prepare(table, tmp_path, constraints={"age": "increasing"}, fit={"epochs": 2, "batch": 64}).publish(
        tmp_path / "models"
    )
    age = next(feature for feature in report.card.features if feature.name == "age")
    assert getattr(age, "monotone", None) == "increasing"
    with pytest.raises(ConfigError, match="'colour', which is no numeric feature"):
        prepare(table, tmp_path, constraints={"colour": "increasing"})


@pytest.fixture(scope="module")
def noise_table() -> pd.DataFrame:
    """A table whose target has nothing to do with its columns."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(200, 3)), columns=list("abc"))
    return frame.assign(outcome=random.choice(["sick", "well"], 200))


def test_a_model_that_has_learnt_nothing_says_so_and_is_never_stable(noise_table: pd.DataFrame, tmp_path: Path) -> None:
    report = prepare(noise_table, tmp_path, noise={}).publish(tmp_path / "models")
    assert report.card.reference.uninformative
    answers = load(report.path).predict(noise_table.drop(columns="outcome").values.tolist())
    assert all("uninformative" in answer["stability"]["reasons"] for answer in answers)
    assert not any(answer["stability"]["verdict"] == "stable" for answer in answers)


def test_a_model_that_has_learnt_something_is_informative(report: RunReport) -> None:
    assert not report.card.reference.uninformative


def test_settings_are_tried_on_small_tables_that_say_nothing_of_them(tmp_path: Path) -> None:
    """Eleven columns of noise and one of little signal: what is simple wins, and the rivals are measured beside it."""
    random = np.random.default_rng(2)
    x = random.normal(size=(150, 12))
    frame = pd.DataFrame(x, columns=[f"x{at}" for at in range(12)]).assign(outcome=x[:, 0] + random.normal(0, 1.5, 150))
    content = {"name": "patients", "data": {"source": "table", "path": "patients.csv", "target": "outcome"}}
    dataset, _ = table_dataset(frame, "outcome", seed=1)
    report = Run(make_config(content, "test"), dataset).publish(tmp_path / "models")
    assert report.tried > 3
    assert report.config.network.degree == 1
    assert report.card.quality["r2"] > 0.1
    linear = next(rival for rival in report.card.baselines if rival.method == "linear")
    assert report.card.quality["r2"] > linear.quality["r2"] - 0.1


def test_rivals_that_are_better_are_named(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 2))
    frame = pd.DataFrame(x, columns=list("ab")).assign(outcome=np.floor(3 * x[:, 0]) % 2 * 4 + x[:, 1])
    report = prepare(frame, tmp_path, noise={}, network={"hidden": [2], "degree": 1}).publish(tmp_path / "models")
    assert "boosted" in report.better


def test_a_heavy_tail_is_read_on_a_logarithmic_scale_and_asked_for_as_it_is(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    income, b = random.lognormal(0, 2, 400), random.normal(size=400)
    outcome = np.where(np.log(income) + 0.5 * b + random.normal(0, 0.5, 400) > 0, "hi", "lo")
    frame = pd.DataFrame({"income": income, "b": b, "outcome": outcome})
    frame.to_csv(tmp_path / "table.csv", index=False)
    data = {"source": "table", "path": str(tmp_path / "table.csv"), "target": "outcome"}
    config = configure(
        data=data, noise={"income": 0.05}, network={"hidden": [8, 8]}, fit={"epochs": 20}, dreg={"strength": 0.01}
    )
    dataset, _ = load_rows(config.data, config.seed)
    report = Run(config, dataset).publish(tmp_path / "models")
    card = report.card
    assert card.features[0].bend is not None  # type: ignore[union-attr]
    assert card.features[1].bend is None  # type: ignore[union-attr]
    assert card.quality["accuracy"] > 0.88
    model = load(report.path)
    rows = [[0.2, 0.0], [0.2 + 1e-3, 0.0], [50.0, 0.0]]
    low, beside, high = model.predict(rows)
    assert (low["label"], high["label"]) == ("lo", "hi")
    # The same absolute noise moves a small income further than a large one.
    assert low["stability"]["volatility"] > 10 * high["stability"]["volatility"]
    slope = abs(beside["probabilities"]["hi"] - low["probabilities"]["hi"]) / 1e-3
    alone = 0.05 * slope  # what the income's noise makes of it, b having its own
    assert low["stability"]["volatility"] > 0.9 * alone
    assert "bounds" in card.graphs


def test_noise_of_any_kind_reaches_card_graph_and_answers(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    height, colour = random.normal(0, 1, 240), random.choice(["blue", "green"], 240)
    frame = pd.DataFrame({"height": height, "width": height + random.normal(0, 1, 240), "colour": colour})
    frame["outcome"] = np.where(frame["height"] + frame["width"] + (colour == "blue") > 0.5, "sick", "well")
    together = {"groups": [{"columns": ["height", "width"], "correlation": 1.0}], "measured": ["height"]}
    noise = {"height": 0.2, "width": {"sd": 0.2, "least": -50}}
    run = prepare(frame, tmp_path, noise=noise, noise_law=together)
    report = run.publish(tmp_path / "models")
    card = report.card
    assert card.noise is not None
    assert card.noise.groups[0].correlation == ((1.0, 1.0), (1.0, 1.0))
    assert [getattr(feature, "noise_source", None) for feature in card.features] == ["measured", "declared", None]
    apart = prepare(frame, tmp_path / "apart", noise=noise).publish(tmp_path / "models").card
    # Errors that move together add up, where both columns speak for the same label.
    assert card.reference.gradient_norm.mean > 1.05 * apart.reference.gradient_norm.mean
    model = load(tmp_path / "models", version=card.version)
    row = {"height": 0.1, "width": 0.1, "colour": "green"}
    assert model.predict([row])[0]["stability"]["method"] == "analytic"
    assert model.predict([{**row, "width": -49.9}])[0]["stability"]["method"] == "monte_carlo"  # near its bound


def test_correlated_noise_is_of_tables(tmp_path: Path, table: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match="'colour', which is no numeric feature"):
        prepare(table, tmp_path, noise_law={"groups": [{"columns": ["age", "colour"], "correlation": 0.5}]})
