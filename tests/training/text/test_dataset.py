"""From the official files to a served model's artifact, by the command line."""

from pathlib import Path

import numpy as np
import pytest
import torch

from chainzrule.cli import main
from chainzrule.service.artifact.store import read_artifact
from chainzrule.training.config import read_config
from chainzrule.training.nn.network import ChainzRuleNetwork
from chainzrule.training.nn.ordinal import CumulativeLogits
from chainzrule.training.text import dataset as module
from chainzrule.training.text.dataset import yelp_full
from chainzrule.training.text.pooled import PooledVectors

CONFIGS = Path(__file__).parents[3] / "training" / "configs"
SMALL = """
name = "stars"
[data]
source = "yelp-full"
[network]
hidden = [8, 8]
[dreg]
strength = 0.1
[fit]
epochs = 12
validation = 0.1
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "stars.toml"
    path.write_text(SMALL)
    return path


def test_the_features_statistics_are_those_of_the_training_rows(
    text_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 100)
    dataset = yelp_full(text_data / "yelp-full", PooledVectors(text_data / "vectors.txt"))
    assert (dataset.task, dataset.labels, dataset.scores) == ("ordinal", ("1", "2", "3", "4", "5"), 4)
    assert (len(dataset.train), len(dataset.test or ())) == (500, 200)
    x = np.asarray(dataset.train.x, np.float64)
    for place, feature in enumerate(dataset.features):
        assert feature.kind == "numeric"
        np.testing.assert_allclose(feature.mean, x[:, place].mean(), atol=1e-12)
        np.testing.assert_allclose(feature.std, x[:, place].std(), rtol=1e-9)
        assert (feature.low, feature.high) == (x[:, place].min(), x[:, place].max())


def test_the_official_files_become_an_artifact(text_data: Path, small: Path, tmp_path: Path) -> None:
    given = ["--reviews", str(text_data / "yelp-full"), "--vectors", str(text_data / "vectors.txt")]
    models = tmp_path / "models"
    assert main(["fit", str(small), *given, "--models", str(models), "--runs", str(tmp_path / "runs")]) == 0
    card = read_artifact(models / "stars" / "1").card
    assert (card.task, card.target, card.labels) == ("ordinal", "stars", ("1", "2", "3", "4", "5"))
    assert [feature.name for feature in card.features[:4]] == ["mean 1", "mean 2", "mean 3", "mean 4"]
    assert card.provenance.training_rows == 500
    assert card.quality["quadratic_kappa"] > 0.7


@pytest.mark.slow
def test_the_committed_configuration_goes_to_an_artifact(text_data: Path, tmp_path: Path) -> None:
    reviews = text_data / "yelp-full" / "train.csv"
    reviews.write_bytes(8 * reviews.read_bytes())  # 500 are one batch of the configuration, and so ten steps in all
    given = ["--reviews", str(text_data / "yelp-full"), "--vectors", str(text_data / "vectors.txt")]
    models = tmp_path / "models"
    config = str(CONFIGS / "yelp-full.toml")
    assert main(["fit", config, *given, "--models", str(models), "--runs", str(tmp_path / "runs")]) == 0
    card = read_artifact(models / "yelp-full" / "1").card
    assert card.provenance.parameters > 2.5e6
    assert card.quality["quadratic_kappa"] > 0.7


def test_the_committed_configuration_has_3_2_million_parameters_and_the_penalty_on() -> None:
    config = read_config(CONFIGS / "yelp-full.toml")
    network = ChainzRuleNetwork(
        400, config.network.hidden, 4, config.network.degree, torch.Generator(), CumulativeLogits
    )
    assert 3.15e6 < network.parameter_count < 3.25e6
    assert config.dreg.as_penalty("ordinal", 0) is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the folder of Yelp Review Full's train.csv and test.csv (--reviews"),
        (["--reviews", "."], "name word vectors in GloVe's text format (--vectors)"),
        (["--reviews", ".", "--vectors", "v.txt", "--encoder", "."], "give either vectors or an encoder"),
        (["--reviews", ".", "--vectors", "none.txt"], "none.txt: cannot be read"),
        (["--reviews", "none", "--vectors", "vectors.txt"], "cannot be read (No such file or directory)"),
        (["--reviews", ".", "--encoder", "."], "no sentence encoder"),
    ],
)
def test_what_is_missing_is_named(
    text_data: Path,
    small: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(text_data)
    assert main(["fit", str(small), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_damage_is_named_with_file_and_line(text_data: Path, small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (text_data / "yelp-full" / "test.csv").open("a") as stream:
        stream.write('"6","too good"\n')
    given = ["--reviews", str(text_data / "yelp-full"), "--vectors", str(text_data / "vectors.txt")]
    assert main(["fit", str(small), *given]) == 2
    assert "test.csv, line 201: the label must be a whole number from 1 to 5" in capsys.readouterr().err


def test_texts_go_with_their_source_alone(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", str(CONFIGS / "digits.toml"), "--vectors", "v.txt"]) == 2
    assert "--vectors goes with a configuration whose data source is yelp-full" in capsys.readouterr().err
