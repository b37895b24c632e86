"""A fitted network on held-out rows: what it says of them, and what noise then does to them."""

import numpy as np
import torch
from numpy.typing import NDArray

from chainzrule.service.stability.link import link_of
from chainzrule.training.data.dataset import Rows
from chainzrule.training.measure.calibration import Matrix, Scores, Trial, sample, simulate
from chainzrule.training.measure.outputs import predict
from chainzrule.training.nn.fitted import FittedModel


def try_model(model: FittedModel, rows: Rows, most: int, seed: int) -> Trial:
    """Try at most so many of the rows, chosen at random."""
    chosen = rows.take(sample(len(rows), model.columns.width, most, seed))
    outputs = predict(model, chosen)
    assert outputs.covariance is not None
    link = link_of(model.task, outputs.scores.shape[1])
    flips, spread = simulate(link, network_scores(model), chosen.x, model.columns.noise, seed)
    return Trial(outputs.scores, outputs.covariance, outputs.mean_shift, flips, spread)


def network_scores(model: FittedModel) -> Scores:
    """A fitted model's scores in float32, as the exported graph computes them."""
    mean, std = (torch.from_numpy(values).float() for values in (model.columns.mean, model.columns.std))

    def scores(x: Matrix) -> NDArray[np.floating]:
        with torch.no_grad():
            found: NDArray[np.floating] = model.network((torch.from_numpy(x) - mean) / std).numpy()
        return found * model.target.std + model.target.mean if model.task == "regression" else found

    return scores
