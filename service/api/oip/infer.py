"""`POST /v2/models/{model}[/versions/{version}]/infer`."""

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.responses import Response

from chainzrule.service.api.context import Context
from chainzrule.service.api.exchange import Endpoint
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.oip.request import Bounds, InferRequest, Values, WantedOutput, read_infer_request
from chainzrule.service.api.oip.tensormap import TensorMap, tensor_map, to_matrix, to_tensor
from chainzrule.service.api.oip.tensors import TensorSpec, to_bytes
from chainzrule.service.api.predict import require_finite
from chainzrule.service.api.requests import read_timeout
from chainzrule.service.errors import InvalidInput, NonFiniteOutput, TooLarge
from chainzrule.service.serving.measuring import check_measuring, seconds_until
from chainzrule.service.serving.version import ServedModel, inputs_of

PLAIN_OUTPUTS = frozenset(("label", "value", "probabilities", "scores"))


def infer_endpoint(context: Context) -> Endpoint:
    """The endpoint of both routes."""
    bounds = Bounds(context.settings.max_body_bytes, context.settings.max_rows)
    maps: WeakKeyDictionary[ServedModel, TensorMap] = WeakKeyDictionary()

    async def infer(request: Incoming) -> Response:
        """Predict rows given as tensors; the stability measures are outputs like any other."""
        deadline = context.deadline(read_timeout(request.header(b"x-request-timeout")))
        served = context.catalog.resolve(request.path_params["model"], request.path_params.get("version"))
        tensors = maps.get(served)
        if tensors is None:
            tensors = maps[served] = tensor_map(served.card)
        wanted = await read_infer_request(request, tensors.inputs, bounds, deadline)
        outputs = _wanted_outputs(tensors, wanted)
        features = to_matrix(wanted.values, served.model.rows)
        jacobian = any(output.name == "jacobian" for output in outputs)
        if jacobian and len(features) > context.settings.max_sensitivity_rows:
            limit = context.settings.max_sensitivity_rows
            raise TooLarge(f"must be at most {limit} rows with the jacobian; send several requests", "inputs")
        # Who asks for no measure needs none; the usual outputs hold several.
        measured = any(output.name not in PLAIN_OUTPUTS for output in outputs)
        if measured:
            check_measuring(served, len(features), context.settings.max_draws, seconds_until(deadline), "inputs")
        share = await served.predict(inputs_of(features, wanted.noise_scale, wanted.observe), deadline, measured)
        require_finite(share, "inputs")
        derivatives = await _jacobian(served, features, deadline) if jacobian else None
        part = slice(share.start, share.stop)
        document: dict[str, Any] = {"model_name": served.card.name, "model_version": served.card.version}
        if wanted.id is not None:
            document["id"] = wanted.id
        described: list[tuple[TensorSpec, bool, Values]] = []
        for output in outputs:
            if output.name == "jacobian" and derivatives is not None:
                values: Values = derivatives
            else:
                values = to_tensor(output.name, served.card, share.result, part)
            described.append((tensors.outputs[output.name], output.binary, values))
        return _answer(document, described)

    return infer


async def _jacobian(served: ServedModel, features: NDArray[np.float32], deadline: float) -> NDArray[np.float32]:
    jacobian = await served.differentiate(features, deadline)
    if not np.isfinite(jacobian).all():
        raise NonFiniteOutput("the derivatives are not finite; a row may lie far outside the training range", "inputs")
    return jacobian


def _wanted_outputs(tensors: TensorMap, wanted: InferRequest) -> tuple[WantedOutput, ...]:
    if wanted.outputs is None:
        return tuple(WantedOutput(spec.name, wanted.binary) for spec in tensors.usual)
    if any(output.name not in tensors.outputs for output in wanted.outputs):
        known = ", ".join(tensors.outputs)
        raise InvalidInput(f"asks for an output the model does not have; it has {known}", "outputs")
    return wanted.outputs


def _answer(document: dict[str, Any], outputs: list[tuple[TensorSpec, bool, Values]]) -> Response:
    described: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for spec, binary, values in outputs:
        tensor = _describe(spec, values)
        if binary:
            content = to_bytes(values)
            tensor["parameters"] = {"binary_data_size": len(content)}
            raw.append(content)
        else:
            tensor["data"] = values if isinstance(values, list) else values.ravel()
        described.append(tensor)
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
