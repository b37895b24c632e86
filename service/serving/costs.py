"""What a model's runs take on this machine, measured while it warms up."""

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.runtime.model import Model
from chainzrule.service.serving.engine import Cost, measure_cost
from chainzrule.service.serving.runs import Runs, inputs_of


class Costs:
    """The costs of each kind of run.

    Attributes:
        score: of scores alone.
        answer: of predictions that are not measured where measuring takes further runs.
        predict: of predictions with their stability.
        differentiate: of derivatives.
        layer_norms: of the derivatives' norms after each layer; None where they are not known.
    """

    def __init__(self, model: Model, runs: Runs, golden: NDArray[np.float32]) -> None:
        """Measures them on the card's golden rows, (rows, D)."""

        def rows(count: int) -> NDArray[np.float32]:
            return np.resize(golden, (count, golden.shape[1]))

        def predict(count: int) -> object:
            return runs.predict(inputs_of(rows(count), noise_scale=1.0, observe=False)).listed()

        def answer(count: int) -> object:
            return runs.answer(inputs_of(rows(count), noise_scale=1.0, observe=False)).listed()

        self.score: Cost = measure_cost(lambda count: model.score(rows(count)))
        self.layer_norms: Cost | None = None
        if model.probe is not None:  # some runs of one row and of two tell enough, where each is many
            self.answer: Cost = measure_cost(answer)
            self.predict: Cost = measure_cost(predict, rows=2, repeats=2)
            self.differentiate: Cost = self.predict
            return
        self.predict = self.answer = measure_cost(predict)
        self.differentiate = measure_cost(lambda count: model.differentiate(rows(count)), rows=16)
        self.layer_norms = measure_cost(lambda count: model.layer_norms(rows(count)), rows=16)
