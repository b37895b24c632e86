"""Answers `POST /v2/models/{model}[/versions/{version}]/infer`."""

from typing import Any

import orjson
from starlette.responses import Response

from chainzrule.service.api.bodies.steps import Steps
from chainzrule.service.api.context import Context
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.oip.inference import Inferences, Output
from chainzrule.service.api.oip.request import read_infer_request
from chainzrule.service.api.oip.tensors import written, written_in_steps
from chainzrule.service.api.requests import read_timeout
from chainzrule.service.api.route import Endpoint
from chainzrule.service.api.writing import write

LARGE_ANSWER = 2**13  # values; writing more takes milliseconds


def infer_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of both routes, the one with a version and the one without."""
    settings, inferences = context.settings, Inferences(context)

    async def infer(request: Incoming) -> Response:
        """Predict rows given as tensors; the stability measures are outputs like any other."""
        deadline = context.deadline(read_timeout(request.header(b"x-request-timeout")))
        served = context.catalog.resolve(request.path_params["model"], request.path_params.get("version"))
        inputs = inferences.tensors(served).inputs
        wanted = await read_infer_request(request, inputs, settings.max_body_bytes, settings.max_rows, deadline)
        outputs = await inferences.outputs(served, wanted, request.charge_rows, deadline)
        document: dict[str, Any] = {"model_name": served.card.name, "model_version": served.card.version}
        if wanted.id is not None:
            document["id"] = wanted.id
        if sum(output.size for output in outputs) > LARGE_ANSWER:
            return await _large_answer(request, document, outputs, deadline)
        raw: list[bytes] = []
        document["outputs"] = [written(spec, values, binary, raw) for spec, binary, values in outputs]
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
