"""Answers `POST /v2/models/{model}[/versions/{version}]/infer`."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from starlette.responses import Response

from chainzrule.service.api.bodies.steps import Steps
from chainzrule.service.api.context import Context
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.oip.request import WantedOutput, read_infer_request
from chainzrule.service.api.oip.tensors import written, written_in_steps
from chainzrule.service.api.requests import read_timeout
from chainzrule.service.api.route import Endpoint
from chainzrule.service.api.writing import write
from chainzrule.service.policy.desk import Decided
from chainzrule.service.policy.outputs import decided_output
from chainzrule.service.policy.substitutes import Answered
from chainzrule.service.serving.infer import Inference, require_outputs
from chainzrule.service.serving.infer import infer as run_inference
from chainzrule.service.serving.tensors import JACOBIAN, Tensors, TensorSpec, Values, tensors_of
from chainzrule.service.serving.version import ServedModel

LARGE_ANSWER = 2**13  # values; writing more takes milliseconds

Output = tuple[TensorSpec, bool, Values]  # an output, whether it is to be raw bytes, and its values


def infer_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of both routes, the one with a version and the one without."""
    settings, allowance = context.settings, context.settings.allowance
    known: WeakKeyDictionary[ServedModel, Tensors] = WeakKeyDictionary()

    async def infer(request: Incoming) -> Response:
        """Predict rows given as tensors; the stability measures are outputs like any other."""
        deadline = context.deadline(read_timeout(request.header(b"x-request-timeout")))
        served = context.catalog.resolve(request.path_params["model"], request.path_params.get("version"))
        tensors = known.get(served)
        if tensors is None:
            tensors = known[served] = tensors_of(served.card)
        wanted = await read_infer_request(request, tensors.inputs, settings.max_body_bytes, settings.max_rows, deadline)
        request.charge_rows(len(next(iter(wanted.values.values()))))
        outputs = wanted.outputs or tuple(WantedOutput(spec.name, wanted.binary) for spec in tensors.usual)
        names = [output.name for output in outputs]
        require_outputs(tensors, names)

        async def run(model: ServedModel, values: Mapping[str, Values], asked: Sequence[str]) -> Inference:
            return await run_inference(
                model,
                values,
                asked,
                wanted.noise_scale,
                wanted.confidence,
                wanted.observe,
                allowance,
                settings.max_sensitivity_rows,
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
        values = [decided_output(name, served, inference, decided) for name in names]
        document: dict[str, Any] = {"model_name": served.card.name, "model_version": served.card.version}
        if wanted.id is not None:
            document["id"] = wanted.id
        specs = [tensors.outputs[name] for name in names]
        answered = list(zip(specs, [output.binary for output in outputs], values, strict=True))
        if sum(map(_size, values)) > LARGE_ANSWER:
            return await _large_answer(request, document, answered, deadline)
        raw: list[bytes] = []
        document["outputs"] = [written(spec, values, binary, raw) for spec, binary, values in answered]
        return _answer(orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY), raw)

    return infer


async def _large_answer(
    request: Incoming, document: dict[str, Any], outputs: list[Output], deadline: float
) -> Response:
    raw: list[bytes] = []

    def steps() -> Steps[bytes]:
        document["outputs"] = listed = []
        for spec, binary, values in outputs:
            listed.append((yield from written_in_steps(spec, values, binary, raw)))
        return orjson.dumps(document)

    return _answer(await write(request, steps(), deadline), raw)


def _answer(header: bytes, raw: list[bytes]) -> Response:
    """Returns the answer that has this JSON and, behind it, the raw bytes of those outputs that are sent so."""
    if not raw:
        return Answer(header)
    return Answer(
        b"".join((header, *raw)),
        content_type=b"application/octet-stream",
        headers=((b"inference-header-content-length", str(len(header)).encode()),),
    )


def _row(values: Mapping[str, Values], row: int) -> dict[str, Any]:
    """Returns one row of a request's tensors."""
    return {name: column[row] for name, column in values.items()}


def _part(values: Mapping[str, Values], rows: Sequence[int]) -> dict[str, Values]:
    """Returns some rows of a request's tensors."""
    return {
        name: [column[row] for row in rows] if isinstance(column, list) else column[list(rows)]
        for name, column in values.items()
    }


def _size(values: Values) -> int:
    return len(values) if isinstance(values, list) else values.size
