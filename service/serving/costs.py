"""Measures how long a model's runs take on this machine, while the model warms up."""

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.runtime.model import Model
from chainzrule.service.serving.engine import Cost, measure_cost
from chainzrule.service.serving.runs import Runs, inputs_of


class Costs:
    """Holds the cost of each kind of run.

    Attributes:
        score: the cost of scores alone.
        answer: the cost of predictions, measured only where that takes no further runs.
        predict: the cost of predictions with their stability.
        differentiate: the cost of derivatives.
        layer_norms: the cost of the derivatives' norms after each layer; None where the model has none.
    """

    def __init__(self, model: Model, runs: Runs, golden: NDArray[np.float32]) -> None:
        """Measures the costs on the card's golden rows, (rows, D)."""

        def rows(count: int) -> NDArray[np.float32]:
            return np.resize(golden, (count, golden.shape[1]))

        def predict(count: int) -> object:
            return list(runs.predict(inputs_of(rows(count), noise_scale=1.0, observe=False)).listed())

        def answer(count: int) -> object:
            return list(runs.answer(inputs_of(rows(count), noise_scale=1.0, observe=False)).listed())

        self.score: Cost = measure_cost(lambda count: model.score(rows(count)))
        self.layer_norms: Cost | None = None
        if model.probe is not None:  # every run is many rows here, so a few runs of one row and of two are enough
            self.answer: Cost = measure_cost(answer)
            self.predict: Cost = measure_cost(predict, rows=2, repeats=2)
            self.differentiate: Cost = self.predict
            return
        self.predict = self.answer = measure_cost(predict)
        self.differentiate = measure_cost(lambda count: model.differentiate(rows(count)), rows=16)
        self.layer_norms = measure_cost(lambda count: model.layer_norms(rows(count)), rows=16)
