"""Versions are read, checked and opened once; what was opened is what answers."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chainzrule.service.artifact.listing import StoredVersion
from chainzrule.service.errors import ArtifactError, NoBounds
from chainzrule.service.serving.load import Loader
from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.stability.verdict import Thresholds
from tests.artifacts import BINARY, CLASSIFIER, FAMILIAR, Toy
from tests.service.serving.conftest import Load
from tests.service.serving.test_certify import bounded

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("name", "version"), [("other", "1"), ("toy", "2")])
async def test_a_version_that_is_not_its_folders_is_refused(
    tmp_path: Path, loader: Loader, name: str, version: str
) -> None:
    path = CLASSIFIER.write(tmp_path)
    shutil.copytree(path, tmp_path / "moved" / name / version)
    with pytest.raises(ArtifactError, match="not those of its directory") as caught:
        await loader.load(StoredVersion(name, version, tmp_path / "moved" / name / version))
    assert caught.value.place == "card.json"
    assert loader.open(StoredVersion("toy", "1", path)).card.name == "toy"


async def test_what_does_not_reproduce_its_golden_rows_is_refused(tmp_path: Path, loader: Loader) -> None:
    other = replace(CLASSIFIER, seed=9)
    path = CLASSIFIER.with_graph("model", other.graphs["model"]).write(tmp_path)
    with pytest.raises(ArtifactError, match="golden rows"):
        await loader.load(StoredVersion("toy", "1", path))


@pytest.mark.parametrize("toy", [CLASSIFIER, BINARY], ids=lambda toy: toy.name)
async def test_what_was_opened_answers_whatever_becomes_of_the_files(tmp_path: Path, loader: Loader, toy: Toy) -> None:
    path = toy.write(tmp_path)
    served = await loader.load(StoredVersion(toy.name, "1", path))
    shutil.rmtree(path)
    rows = toy.rows(3)
    deadline = asyncio.get_running_loop().time() + 30
    share = await served.predict(inputs_of(rows.astype(np.float32), 1.0, observe=False), deadline)
    np.testing.assert_allclose(share.result.scores[share.start : share.stop], toy.scores(rows), atol=2e-5)
    jacobian = await served.differentiate(rows.astype(np.float32), deadline)
    np.testing.assert_allclose(jacobian, toy.jacobian(rows), rtol=1e-4, atol=1e-6)
    assert served.card == toy.card()


async def test_a_version_without_a_bounds_graph_says_so_and_one_with_it_certifies(load: Load) -> None:
    plain = await load(CLASSIFIER)
    with pytest.raises(NoBounds, match="no bounds graph"):
        plain.require_bounds()
    (await load(bounded(BINARY))).require_bounds()


async def test_the_loaders_ways_are_the_versions(tmp_path: Path, loader: Loader) -> None:
    card = CLASSIFIER.card()
    reference = card.reference.model_copy(update={"flip_probability": card.reference.volatility})
    path = replace(CLASSIFIER, changes={"reference": reference}).write(tmp_path)
    stored = StoredVersion("toy", "1", path)
    # The quantiles rise from 0.001 to 0.101 in steps of a thousandth.
    strict = replace(loader, thresholds=Thresholds(unstable_flip_probability=0.051), window_rows=2)
    served = await strict.load(stored)
    assert served.reading().unstable_ratio == pytest.approx(0.5)
    assert served.reading().novel_ratio is None
    assert strict.open(stored).standard.rules[0].unstable == 0.051
    served.window.add(np.ones(3), np.ones(3), np.zeros(3, np.int64), np.zeros(3, np.bool_), np.zeros(3, np.bool_))
    assert served.window.samples == 2
    assert b'model="toy",version="1"' in loader.metrics.registry.snapshot().text("")[0]


async def test_the_share_of_novel_rows_is_that_of_the_threshold(tmp_path: Path, loader: Loader) -> None:
    stored = StoredVersion("familiar", "1", FAMILIAR.write(tmp_path))
    served = await replace(loader, thresholds=Thresholds(novel_percentile=97.0)).load(stored)
    assert served.reading().novel_ratio == pytest.approx(0.03)
