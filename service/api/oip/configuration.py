"""Answers the protocol's model configuration extension, which load generators ask before they begin."""

from typing import Any

import orjson
from starlette.responses import Response

from chainzrule.service.api.context import Context
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.route import Endpoint
from chainzrule.service.serving.tensors import TensorSpec, tensors_of


def configuration_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/v2/models/{model}[/versions/{version}]/config`."""

    async def configuration(request: Incoming) -> Response:
        """The model's tensors without their first dimension, and how many rows a request may have."""
        found = model_configuration(context, request.path_params["model"], request.path_params.get("version"))
        return Answer(orjson.dumps(found))

    return configuration


def model_configuration(context: Context, name: str, version: str | None) -> dict[str, Any]:
    """Returns a model's configuration; raises the errors of `Catalog.resolve`."""
    tensors = tensors_of(context.catalog.resolve(name, version).card)
    return {
        "name": name,
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "max_batch_size": context.settings.max_rows,
        "input": [_tensor(spec) for spec in tensors.inputs],
        "output": [_tensor(spec) for spec in tensors.usual],
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    """Returns a tensor of one row; texts have another name here than elsewhere in the protocol."""
    datatype = "STRING" if spec.datatype == "BYTES" else spec.datatype
    return {"name": spec.name, "data_type": f"TYPE_{datatype}", "dims": list(spec.shape[1:])}
