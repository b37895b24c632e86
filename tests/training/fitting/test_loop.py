import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from chainzrule.training.config import FitConfig
from chainzrule.training.errors import DivergenceError
from chainzrule.training.fitting.checkpoint import Checkpoint
from chainzrule.training.fitting.loop import Batch, Fit, FitReport, fit, one_cycle
from chainzrule.training.fitting.losses import task_loss
from chainzrule.training.fitting.objective import derivative_controlled, plain
from chainzrule.training.nn.network import ChainzRuleNetwork
from chainzrule.training.penalties.dreg import Schedule

CONFIG = FitConfig(epochs=6, batch=16)
CROSS_ENTROPY, SQUARED_ERROR = task_loss("classification"), task_loss("regression")


@pytest.fixture(scope="module")
def rows() -> tuple[Batch, Batch]:
    x = torch.randn(120, 4, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] * x[:, 1] > 0).long()
    return (x[:90], y[:90]), (x[90:], y[90:])


def network() -> ChainzRuleNetwork:
    return ChainzRuleNetwork(4, [8, 8], 2, 3, torch.Generator().manual_seed(1))


def run(rows: tuple[Batch, Batch], config: FitConfig = CONFIG, seed: int = 3, **options: Any) -> FitReport:
    return fit_with(Schedule(0.01, 0.01), *rows, config, seed, **options)


def fit_with(
    penalty: Schedule | None, train: Batch, validation: Batch | None, config: FitConfig, seed: int, **options: Any
) -> FitReport:
    started = network()
    objective = derivative_controlled(started, CROSS_ENTROPY, penalty)
    return fit(started, CROSS_ENTROPY, train, validation, config, objective, seed, **options)


def same(a: FitReport, b: FitReport) -> bool:
    first, second = a.network.state_dict(), b.network.state_dict()
    return a.losses == b.losses and all(torch.equal(first[key], second[key]) for key in first)


def test_the_seed_decides_everything(rows: tuple[Batch, Batch]) -> None:
    assert same(run(rows), run(rows))
    assert not same(run(rows), run(rows, seed=4))


@pytest.mark.parametrize("optimiser", ["adamw", "lbfgs"])
@pytest.mark.parametrize("after", [1, 4])
def test_an_interrupted_fit_resumed_is_bit_identical(
    rows: tuple[Batch, Batch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, optimiser: str
) -> None:
    config = FitConfig(epochs=6, batch=16, optimiser=optimiser)  # type: ignore[arg-type]
    whole = run(rows, config)
    done = Fit.epoch

    def interrupted(self: Fit, train: Batch, validation: Batch | None) -> None:
        if len(self.losses) == after:
            raise KeyboardInterrupt
        done(self, train, validation)

    monkeypatch.setattr(Fit, "epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(rows, config, checkpoint=Checkpoint(tmp_path / "fit.pt", "run", resume=False, interval=0))
    monkeypatch.undo()
    resumed = run(rows, config, checkpoint=Checkpoint(tmp_path / "fit.pt", "run", resume=True, interval=0))
    assert same(whole, resumed)
    assert whole.validation_losses == resumed.validation_losses


def test_a_finished_fit_is_not_repeated(
    rows: tuple[Batch, Batch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(rows, checkpoint=Checkpoint(tmp_path / "fit.pt", "run", resume=False))
    monkeypatch.setattr(Fit, "epoch", None)
    assert same(first, run(rows, checkpoint=Checkpoint(tmp_path / "fit.pt", "run", resume=True)))


def test_early_stopping_keeps_the_best_epochs_weights(rows: tuple[Batch, Batch]) -> None:
    config = FitConfig(epochs=200, batch=16, patience=3, learning_rate=0.02)
    report = run(rows, config)
    assert len(report.losses) == report.best_epoch + 3 < 200
    with torch.no_grad():
        loss = float(CROSS_ENTROPY(report.network(rows[1][0]), rows[1][1]))
    assert loss == min(report.validation_losses) == report.validation_losses[report.best_epoch - 1]


def test_stopping_after_an_epoch_keeps_the_learning_rates(rows: tuple[Batch, Batch]) -> None:
    assert run(rows, stop_after=2).losses == run(rows).losses[:2]


def test_without_validation_rows_every_epoch_is_run(rows: tuple[Batch, Batch]) -> None:
    report = fit_with(None, rows[0], None, CONFIG, 0)
    assert report.best_epoch == len(report.losses) == CONFIG.epochs
    assert report.validation_losses == ()


def test_the_penalty_flattens_the_network(rows: tuple[Batch, Batch]) -> None:
    config = FitConfig(epochs=30, batch=16, validation=0)

    def slope(penalty: Schedule | None) -> float:
        report = fit_with(penalty, rows[0], None, config, 0)
        with torch.no_grad():
            assert isinstance(report.network, ChainzRuleNetwork)
            return float(report.network.propagate(rows[0][0]).slopes[0].square().mean())

    assert slope(Schedule(1.0, 1.0)) < 0.5 * slope(None)


def test_a_loss_that_is_not_finite_says_what_to_do(rows: tuple[Batch, Batch]) -> None:
    x = rows[0][0].clone()
    x[0, 0] = float("inf")
    with pytest.raises(DivergenceError, match=r"the loss became nan: lower fit.learning_rate"):
        fit_with(None, (x, rows[0][1]), None, CONFIG, 0)


def test_only_matrices_decay() -> None:
    started = network()
    optimiser = Fit(started, CROSS_ENTROPY, CONFIG, plain(started, CROSS_ENTROPY), 0)._optimiser
    decayed, kept = optimiser.param_groups
    assert all(parameter.ndim == 2 and len(parameter) != 4 for parameter in decayed["params"])
    assert len(decayed["params"]) == 3
    assert len(kept["params"]) == 5
    assert kept["weight_decay"] == 0


def test_one_cycle_rises_and_falls() -> None:
    assert one_cycle(0) == pytest.approx(0.04)
    assert one_cycle(0.3) == pytest.approx(1)
    assert one_cycle(1) == pytest.approx(1e-5)
    assert one_cycle(0.1) < one_cycle(0.2) < 1 > one_cycle(0.6) > one_cycle(0.9)


def test_lbfgs_stops_where_nothing_moves_any_more() -> None:
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0)).double()
    y = (x[:, 0] + 0.3 * x[:, 1] ** 2).double()
    network = ChainzRuleNetwork(2, [4], 1, 3, torch.Generator().manual_seed(1)).double()
    config = FitConfig(epochs=2000, optimiser="lbfgs", weight_decay=0.01)
    report = fit(network, SQUARED_ERROR, (x, y), None, config, plain(network, SQUARED_ERROR), seed=0)
    assert len(report.losses) < 1000
    assert report.losses[-1] < 0.1
    assert all(later <= earlier for earlier, later in itertools.pairwise(report.losses))
