"""Answers inference requests, whichever door they came through."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from chainzrule.service.api.context import Context
from chainzrule.service.api.oip.question import InferRequest, WantedOutput
from chainzrule.service.policy.desk import Decided
from chainzrule.service.policy.outputs import decided_output
from chainzrule.service.policy.substitutes import Answered
from chainzrule.service.serving.classes import classes_of, require_classes
from chainzrule.service.serving.infer import Inference, require_outputs
from chainzrule.service.serving.infer import infer as run_inference
from chainzrule.service.serving.tensors import JACOBIAN, Tensors, TensorSpec, Values, shape_of, tensors_of
from chainzrule.service.serving.version import ServedModel


class Output(NamedTuple):
    """Holds an output: what it is, whether it is to be raw bytes, and its values."""

    spec: TensorSpec
    binary: bool
    values: Values

    @property
    def shape(self) -> tuple[int, ...]:
        """Returns its shape, whose first size is the number of rows."""
        return shape_of(self.spec, self.values)

    @property
    def size(self) -> int:
        """Returns how many values it has."""
        return len(self.values) if isinstance(self.values, list) else self.values.size


class Inferences:
    """Answers inference requests by one application's models, limits and policies."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._allowance = context.settings.allowance
        self._known: WeakKeyDictionary[ServedModel, Tensors] = WeakKeyDictionary()

    def tensors(self, served: ServedModel) -> Tensors:
        """Returns the tensors of a model version."""
        tensors = self._known.get(served)
        if tensors is None:
            tensors = self._known[served] = tensors_of(served.card)
        return tensors

    async def outputs(
        self, served: ServedModel, wanted: InferRequest, charge: Callable[[int], None], deadline: float
    ) -> list[Output]:
        """Returns the outputs that a request asks for.

        Args:
            served: the model version.
            wanted: the request.
            charge: has the client pay for rows before they run.
            deadline: when the request's time runs out, by the event loop's clock.
        """
        context, tensors = self._context, self.tensors(served)
        if wanted.timeout is not None:
            deadline = min(deadline, context.deadline(wanted.timeout))
        charge(len(next(iter(wanted.values.values()))))
        asked = wanted.outputs or tuple(WantedOutput(spec.name, wanted.binary) for spec in tensors.usual)
        names = [output.name for output in asked]
        require_outputs(tensors, names)
        classified = [output.name for output in asked if output.classes]
        require_classes(tensors, classified, served.card)

        async def run(model: ServedModel, values: Mapping[str, Values], names: Sequence[str]) -> Inference:
            return await run_inference(
                model,
                values,
                names,
                wanted.noise_scale,
                wanted.confidence,
                wanted.observe,
                self._allowance,
                context.settings.max_sensitivity_rows,
                deadline,
            )

        inference = await run(served, wanted.values, names)
        decided: Decided | None = None
        if context.desk is not None and (policy := context.desk.policy(served)) is not None:

            async def answering(other: ServedModel, rows: Sequence[int]) -> Answered:
                return (
                    await run(other, _part(wanted.values, rows), [name for name in names if name != JACOBIAN])
                ).share

            decided = await context.desk.decided(
                served, policy, inference.share, partial(_row, wanted.values), wanted.observe, answering, "inputs"
            )
        found = []
        for output in asked:
            spec, values = tensors.outputs[output.name], decided_output(output.name, served, inference, decided)
            if output.classes:
                spec, values = classes_of(spec, values, served.card, output.classes)
            found.append(Output(spec, output.binary, values))
        return found


def _row(values: Mapping[str, Values], row: int) -> dict[str, Any]:
    """Returns one row of a request's tensors."""
    return {name: column[row] for name, column in values.items()}


def _part(values: Mapping[str, Values], rows: Sequence[int]) -> dict[str, Values]:
    """Returns some rows of a request's tensors."""
    return {
        name: [column[row] for row in rows] if isinstance(column, list) else column[list(rows)]
        for name, column in values.items()
    }
