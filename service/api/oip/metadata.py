"""Answers the protocol's health and metadata routes."""

from typing import Any

import orjson
from starlette.responses import Response

from chainzrule import __version__
from chainzrule.service.api.context import Context
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.route import Endpoint
from chainzrule.service.errors import NotReady
from chainzrule.service.serving.tensors import tensors_of

EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics")


def server_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/v2`."""

    async def server(request: Incoming) -> Response:
        """The server's name, version and protocol extensions."""
        return _json(server_metadata())

    return server


def live_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/v2/health/live`."""

    async def live(request: Incoming) -> Response:
        """The process answers."""
        return _json({"live": True})

    return live


def ready_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/v2/health/ready`."""

    async def ready(request: Incoming) -> Response:
        """200 while traffic is welcome, else 503: what `/readyz` says."""
        return _json({"ready": context.ready}, 200 if context.ready else 503)

    return ready


def model_ready_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/v2/models/{model}[/versions/{version}]/ready`."""

    async def model_ready(request: Incoming) -> Response:
        """200 while the model answers, 503 while it does not."""
        name = request.path_params["model"]
        try:
            context.catalog.resolve(name, request.path_params.get("version"))
        except NotReady:
            return _json({"name": name, "ready": False}, 503)
        return _json({"name": name, "ready": True})

    return model_ready


def model_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/v2/models/{model}[/versions/{version}]`."""

    async def model(request: Incoming) -> Response:
        """The model's versions, inputs and usual outputs."""
        return _json(model_metadata(context, request.path_params["model"], request.path_params.get("version")))

    return model


def server_metadata() -> dict[str, Any]:
    """Returns the server's name, version and protocol extensions."""
    return {"name": "chainzrule", "version": __version__, "extensions": list(EXTENSIONS)}


def model_metadata(context: Context, name: str, version: str | None) -> dict[str, Any]:
    """Returns a model's versions, inputs and usual outputs; raises the errors of `Catalog.resolve`."""
    tensors = tensors_of(context.catalog.resolve(name, version).card)
    return {
        "name": name,
        "versions": [version for version, entry in context.catalog.entries(name).items() if entry.served],
        "platform": "onnx_onnxv1",
        "inputs": [spec.describe() for spec in tensors.inputs],
        "outputs": [spec.describe() for spec in tensors.usual],
    }


def _json(content: dict[str, object], status: int = 200) -> Response:
    return Answer(orjson.dumps(content), status)
