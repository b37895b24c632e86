"""`POST /v2/models/{model}[/versions/{version}]/infer`."""

from typing import Any

import orjson
from starlette.responses import Response

from service.api.context import Context
from service.api.exchange import Endpoint
from service.api.incoming import Answer, Incoming
from service.api.oip.request import InferRequest, Values, WantedOutput, read_infer_request
from service.api.oip.tensormap import further_outputs, input_specs, to_matrix, to_tensor, usual_outputs
from service.api.oip.tensors import TensorSpec, to_bytes
from service.api.predict import require_finite
from service.api.requests import read_timeout
from service.errors import InvalidInput, TooLarge
from service.served import ServedModel, inputs_of


def infer_endpoint(context: Context) -> Endpoint:
    """The endpoint of both routes."""

    async def infer(request: Incoming) -> Response:
        """Predict rows given as tensors; the stability measures are outputs like any other."""
        deadline = context.deadline(read_timeout(request.header(b"x-request-timeout")))
        served = context.catalog.resolve(request.path_params["model"], request.path_params.get("version"))
        wanted = await read_infer_request(request, input_specs(served.card), context.settings.max_body_bytes, deadline)
        outputs = _wanted_outputs(served, wanted)
        features = to_matrix(wanted.values, served.model.rows)
        jacobian = any(output.name == "jacobian" for output in outputs)
        limit = context.settings.max_sensitivity_rows if jacobian else context.settings.max_rows
        if len(features) > limit:
            raise TooLarge(f"must be at most {limit} rows; send several requests", "inputs")
        share = await served.predict(inputs_of(features, wanted.noise_scale, wanted.observe), deadline)
        require_finite(share)
        part = slice(share.start, share.stop)
        tensors: list[tuple[WantedOutput, Values]] = []
        for output in outputs:
            if output.name == "jacobian":
                derivatives = await served.differentiate(features, deadline)
                tensors.append((output, derivatives.result.jacobian[derivatives.start : derivatives.stop]))
            else:
                tensors.append((output, to_tensor(output.name, served.card, share.result, part)))
        return _answer(served, wanted, tensors)

    return infer


def _wanted_outputs(served: ServedModel, wanted: InferRequest) -> tuple[WantedOutput, ...]:
    usual = usual_outputs(served.card)
    if wanted.outputs is None:
        return tuple(WantedOutput(spec.name, wanted.binary) for spec in usual)
    known = {spec.name for spec in (*usual, *further_outputs(served.card))}
    if any(output.name not in known for output in wanted.outputs):
        raise InvalidInput(f"asks for an output the model does not have; it has {', '.join(sorted(known))}", "outputs")
    return wanted.outputs


def _answer(served: ServedModel, wanted: InferRequest, tensors: list[tuple[WantedOutput, Values]]) -> Response:
    specs = {spec.name: spec for spec in (*usual_outputs(served.card), *further_outputs(served.card))}
    described: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for output, values in tensors:
        tensor = _describe(specs[output.name], values)
        if output.binary:
            content = to_bytes(values)
            tensor["parameters"] = {"binary_data_size": len(content)}
            raw.append(content)
        else:
            tensor["data"] = values if isinstance(values, list) else values.ravel()
        described.append(tensor)
    document: dict[str, Any] = {"model_name": served.card.name, "model_version": served.card.version}
    if wanted.id is not None:
        document["id"] = wanted.id
    document["outputs"] = described
    header = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    if not raw:
        return Answer(header)
    return Answer(
        b"".join((header, *raw)),
        content_type=b"application/octet-stream",
        headers=((b"inference-header-content-length", str(len(header)).encode()),),
    )


def _describe(spec: TensorSpec, values: Values) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": [len(values), *spec.shape[1:]]}
