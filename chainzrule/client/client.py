"""Asks a running service."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import httpx

from chainzrule.client import questions, tensors
from chainzrule.client.answers import Answers, Explanation, Prediction
from chainzrule.client.questions import Question, Result
from chainzrule.client.refusals import ClientError
from chainzrule.client.retries import Budget, Retries
from chainzrule.client.sending import Attempts

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Client:
    """Asks one service; keeps its connections, and is closed by `with` or `close`.

    Args:
        address: the service's address, such as `http://localhost:8000`.
        token: the bearer token, where the service asks for one.
        timeout: the seconds that a question may take, all attempts together.
        retries: how often a question is put again while the service is too busy.
        **options: further arguments of `httpx.Client`, such as `verify`, `cert` or `transport`.
    """

    def __init__(
        self,
        address: str = "http://localhost:8000",
        token: str | None = None,
        timeout: float = 30.0,
        retries: Retries | None = None,
        **options: Any,
    ) -> None:
        self._http = httpx.Client(base_url=address, **options)
        self._token = token
        self._timeout = timeout
        self._budget = Budget(retries or Retries())

    def __enter__(self) -> Self:
        """Returns the client."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the connections."""
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def ask(self, question: Question[Result]) -> Result:
        """Returns the answer to a question, which is put again where that may help."""
        attempts = Attempts(question, self._token, self._timeout, self._budget)
        while True:
            request = attempts.request(self._http)
            try:
                result: Result = attempts.result(self._http.send(request))
                return result
            except (ClientError, httpx.TransportError) as error:
                seconds = attempts.wait(error)
            time.sleep(seconds)

    def predict(
        self,
        rows: Any,
        model: str | None = None,
        version: str | None = None,
        *,
        noise_scale: float | None = None,
        noise: Mapping[str, Any] | None = None,
        confidence: float | None = None,
        observe: bool | None = None,
        measure: bool | None = None,
    ) -> Answers[Prediction]:
        """Returns each row's prediction with its stability.

        Args:
            rows: lists of values in the features' order, dictionaries by the features' names, a numpy array, or a
                pandas DataFrame whose columns have the features' names.
            model: the model; None for the service's default.
            version: its version; None for the newest that is ready.
            noise_scale: the multiple of the declared noise at which to measure.
            noise: the noise to measure at in place of the declared one, as the service's documentation has it.
            confidence: with which sets and intervals are to hold the truth.
            observe: whether the rows count in the service's metrics.
            measure: whether stability is wanted even where it takes further runs of the model.

        Raises:
            ClientError: the service refused, could not be reached, or took too long.
        """
        return self.ask(
            questions.predictions(
                rows,
                model=model,
                version=version,
                noise_scale=noise_scale,
                noise=noise,
                confidence=confidence,
                observe=observe,
                measure=measure,
            )
        )

    def explain(
        self,
        rows: Any,
        model: str | None = None,
        version: str | None = None,
        *,
        noise_scale: float | None = None,
        noise: Mapping[str, Any] | None = None,
        confidence: float | None = None,
        top: int | None = None,
        include: Sequence[str] | None = None,
        draws: int | None = None,
        seed: int | None = None,
    ) -> Answers[Explanation]:
        """Returns each row's prediction with what every feature does to it.

        Args:
            rows: the rows, as for `predict`.
            model: the model; None for the service's default.
            version: its version; None for the newest that is ready.
            noise_scale: the multiple of the declared noise at which to measure.
            noise: the noise to measure at in place of the declared one, as the service's documentation has it.
            confidence: with which sets and intervals are to hold the truth.
            top: how many features to list; None for all.
            include: what else is wanted: `jacobian`, `layers`.
            draws: measures by so many draws of the noise too.
            seed: the seed of the draws.

        Raises:
            ClientError: the service refused, could not be reached, or took too long.
        """
        method = None if draws is None else "monte_carlo"
        return self.ask(
            questions.explanations(
                rows,
                model=model,
                version=version,
                noise_scale=noise_scale,
                noise=noise,
                confidence=confidence,
                top=top,
                include=include,
                method=method,
                draws=draws,
                seed=seed,
            )
        )

    def certify(
        self,
        rows: Any,
        model: str | None = None,
        version: str | None = None,
        *,
        radius: float | None = None,
        box: Mapping[str, float | Sequence[float]] | None = None,
    ) -> Answers[Explanation]:
        """Returns what is guaranteed of each row while its inputs stay in a box, in each explanation's `certificate`.

        Args:
            rows: the rows, as for `predict`.
            model: the model; None for the service's default.
            version: its version; None for the newest that is ready.
            radius: half the width of the box, in noise sigmas; 1 where there is no box either.
            box: by feature, how far the box reaches on both sides, or its two ends.

        Raises:
            ClientError: the service refused, could not be reached, or took too long.
        """
        if radius is None and box is None:
            radius = 1.0
        return self.ask(questions.explanations(rows, model=model, version=version, radius=radius, box=box, top=1))

    def infer(
        self,
        inputs: Any,
        model: str,
        version: str | None = None,
        *,
        outputs: Sequence[str] | None = None,
        **parameters: float | bool,
    ) -> "dict[str, NDArray[Any]]":
        """Returns arrays by the outputs' names, which is the quickest way for many rows of numbers; needs numpy.

        Args:
            inputs: a matrix of the features, or by name a column for each input where the model has categories.
            model: the model.
            version: its version; None for the newest that is ready.
            outputs: the outputs, such as `scores`, `covariance` or `volatility`; None for the usual ones.
            **parameters: `noise_scale`, `confidence`, `observe`.

        Raises:
            ClientError: the service refused, could not be reached, or took too long.
        """
        return self.ask(tensors.inference(inputs, model, version, outputs, parameters))

    def stability(self, model: str, version: str | None = None) -> Mapping[str, Any]:
        """Returns how stable the model's recent traffic is, beside its held-out rows."""
        found: Mapping[str, Any] = self.ask(questions.about(model, "/stability", version))
        return found

    def models(self) -> Sequence[Mapping[str, Any]]:
        """Returns the models with their versions and states."""
        return self.ask(questions.models())

    def model(self, model: str, version: str | None = None) -> Mapping[str, Any]:
        """Returns a model's card, and what serves it."""
        found: Mapping[str, Any] = self.ask(questions.about(model, version=version))
        return found

    def ready(self) -> bool:
        """Returns whether the service welcomes traffic."""
        return self.ask(questions.ready())
