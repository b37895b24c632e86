"""What tests of training share."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from chainzrule.service.artifact.card import Role
from chainzrule.service.artifact.features import Bend, CategoricalFeature, Feature, NumericFeature
from chainzrule.service.artifact.interface import Task
from chainzrule.service.artifact.noise import NoiseModel
from chainzrule.training.columns import Columns
from chainzrule.training.export.onnx import export_graphs
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.link import TargetScale, link_of
from chainzrule.training.nn.network import ChainzRuleNetwork
from tests import tables

MakeModel = Callable[..., FittedModel]
Exported = tuple[FittedModel, dict[Role, bytes]]

FEATURES: tuple[Feature, ...] = (
    NumericFeature(name="age", unit="years", mean=50.0, std=12.0, low=18.0, high=90.0, noise=0.5),
    NumericFeature(name="pressure", unit="Pa", mean=101325.0, std=800.0, low=98000.0, high=104000.0, noise=80.0),
    CategoricalFeature(name="colour", levels=("blue", "green", "red")),
    NumericFeature(name="flag", mean=0.3, std=0.458, low=0.0, high=1.0, noise=0.0),
    NumericFeature(name="trace", unit="g", mean=3e-7, std=1e-7, low=0.0, high=1e-6, noise=2e-8),
)

INCOME = Bend(start=-2.5, scale=40.0, mean=3.1, std=1.2)
BENT: tuple[Feature, ...] = (
    *FEATURES[:3],
    NumericFeature(name="income", mean=1500.0, std=4000.0, low=-2.5, high=90_000.0, noise=12.0, bend=INCOME),
    NumericFeature(
        name="delay",
        mean=-30.0,
        std=55.0,
        low=-800.0,
        high=0.5,
        noise=0.5,
        bend=Bend(start=0.5, scale=2.0, mean=-2.4, std=1.5),
    ),
)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def features() -> tuple[Feature, ...]:
    return FEATURES


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    """A model with weights, biases and polynomials far from their symmetric start."""

    def make(
        task: Task = "classification",
        hidden: tuple[int, ...] = (8, 6),
        degree: int = 3,
        scores: int = 3,
        seed: int = 0,
        features: tuple[Feature, ...] = FEATURES,
        noise: NoiseModel | None = None,
    ) -> FittedModel:
        columns = Columns.of(features, None, noise)
        generator = torch.Generator().manual_seed(seed)
        network = ChainzRuleNetwork(columns.width, hidden, scores, degree, generator, link_of(task).last_layer)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        target = TargetScale(mean=-200.0, std=35.0) if task == "regression" else TargetScale()
        return FittedModel(task, network, columns, target)

    return make


@pytest.fixture(scope="session")
def classifier(make_model: MakeModel) -> Exported:
    model = make_model()
    return model, export_graphs(model)


@pytest.fixture(scope="session")
def regressor(make_model: MakeModel) -> Exported:
    model = make_model("regression", hidden=(5, 4, 3), degree=5, scores=1)
    return model, export_graphs(model)


@pytest.fixture(scope="session")
def grader(make_model: MakeModel) -> Exported:
    """An ordinal model of five levels."""
    model = make_model("ordinal", hidden=(6, 5), scores=4)
    return model, export_graphs(model)


@pytest.fixture(scope="session")
def linear_classifier(make_model: MakeModel) -> Exported:
    """The smallest network there is: one layer, degree 1, two labels."""
    model = make_model(hidden=(4,), degree=1, scores=2)
    return model, export_graphs(model)


@pytest.fixture(scope="session")
def bent_classifier(make_model: MakeModel) -> Exported:
    """A model that reads two columns on logarithmic scales, one of them falling from its end."""
    model = make_model(features=BENT)
    return model, export_graphs(model)


@pytest.fixture(scope="session")
def bent_regressor(make_model: MakeModel) -> Exported:
    model = make_model("regression", hidden=(5,), degree=1, scores=1, features=BENT)
    return model, export_graphs(model)


@pytest.fixture(scope="session")
def bent_grader(make_model: MakeModel) -> Exported:
    model = make_model("ordinal", hidden=(6, 5), degree=2, scores=4, features=BENT)
    return model, export_graphs(model)


@pytest.fixture(
    scope="session",
    params=[
        "classifier",
        "regressor",
        "grader",
        "linear_classifier",
        "bent_classifier",
        "bent_regressor",
        "bent_grader",
    ],
)
def exported(request: pytest.FixtureRequest) -> Exported:
    found: Exported = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def patients() -> pd.DataFrame:
    """A small table with a category, gaps and a column of two values."""
    return tables.patients()


@pytest.fixture
def text_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of reviews that an ordinal model can learn: `vectors.txt`, and in `yelp5` and `yelp-full` files.

    The words' first number says how good they are. The cache lies beside the folder.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    random, folder = np.random.default_rng(5), tmp_path / "data"
    folder.mkdir()
    worth = np.linspace(-1, 1, 40)
    numbers = np.column_stack([worth, random.normal(size=(len(worth), 3))])
    lines = [" ".join([f"word{place}", *(f"{number:.5f}" for number in row)]) for place, row in enumerate(numbers)]
    (folder / "vectors.txt").write_text("\n".join(lines) + "\n")
    for name, lowest, files in (
        ("yelp5", 0, {"train.csv": 500, "dev.csv": 150, "test.csv": 200}),
        ("yelp-full", 1, {"train.csv": 500, "test.csv": 200}),
    ):
        (folder / name).mkdir()
        for file, rows in files.items():
            with (folder / name / file).open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
                for level in random.integers(0, 5, rows):
                    places = np.clip(random.normal(4 + 8 * level, 4, 12).round(), 0, len(worth) - 1).astype(int)
                    breaks = "\\n" if lowest else "\n"
                    writer.writerow(
                        [level + lowest, f'So "word{places[0]}"!{breaks}' + " ".join(f"Word{p}" for p in places)]
                    )
    return folder
