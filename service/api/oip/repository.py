"""Answers the protocol's model repository extension, which lists models and takes them in and out of service."""

from typing import Any

import orjson
from starlette.responses import Response

from chainzrule.service.api.bodies.body import INLINE, parse_large, parse_small, read_body
from chainzrule.service.api.context import Context
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.route import Endpoint
from chainzrule.service.errors import Forbidden, InvalidInput, NotReady
from chainzrule.service.serving.catalog import State

# The extension has no state FAILED, so these are the states that clients know.
_STATES = {State.LOADING: "LOADING", State.READY: "READY", State.FAILED: "UNAVAILABLE"}


def index_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/v2/repository/index`."""

    async def index(request: Incoming) -> Response:
        """All models and versions with their state; only ready ones with `{"ready": true}`."""
        wanted = await _read(request, context)
        ready = wanted.get("ready", False)
        if type(ready) is not bool:
            raise InvalidInput("must be true or false", "ready")
        return Answer(orjson.dumps(index_of(context, ready)))

    return index


def index_of(context: Context, ready: bool) -> list[dict[str, str]]:
    """Returns all models and versions with their state; with `ready` only those that answer."""
    listed = [
        {"name": name, "version": version, "state": _STATES[entry.state], "reason": entry.reason}
        for name, entries in context.catalog.models()
        for version, entry in entries.items()
    ]
    listed += [
        {"name": name, "version": "", "state": "UNAVAILABLE", "reason": "unloaded"}
        for name in context.catalog.unloaded()
    ]
    return [item for item in listed if not ready or item["state"] == "READY"]


def load_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/v2/repository/models/{model}/load`."""

    async def load(request: Incoming) -> Response:
        """Bring a model into service, or look at its directory again; needs the setting `admin`."""
        require_admin(context)
        parameters = (await _read(request, context)).get("parameters")
        await load_model(context, request.path_params["model"], parameters)
        return Answer(b"", content_type=None)

    return load


async def load_model(context: Context, name: str, parameters: object) -> None:
    """Brings a model into service, or looks at its directory again.

    Raises:
        InvalidInput: there are parameters.
        NotReady: the repository cannot be read.
        ServiceError: raised as by `Repository.load`.
    """
    if parameters:
        raise InvalidInput("are not taken: models are served as the repository has them", "parameters")
    try:
        await context.repository.load(name)
    except OSError:
        raise NotReady("the model repository cannot be read") from None


def unload_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/v2/repository/models/{model}/unload`."""

    async def unload(request: Incoming) -> Response:
        """Take a model out of service until it is loaded again; needs the setting `admin`."""
        require_admin(context)
        await _read(request, context)
        context.repository.unload(request.path_params["model"])
        return Answer(b"", content_type=None)

    return unload


async def _read(request: Incoming, context: Context) -> dict[str, Any]:
    """Returns the body's JSON object, which may be left out, of any content type, because clients send various ones."""
    deadline = context.deadline(None)
    text = await read_body(request, context.settings.max_body_bytes, deadline)
    if len(text) > INLINE:
        return await parse_large(request, text, deadline)
    return parse_small(request, text) if text.strip() else {}


def require_admin(context: Context) -> None:
    """Raises `Forbidden` where the settings let nobody load or unload models."""
    if not context.settings.admin:
        raise Forbidden("models are loaded and unloaded here only with the setting admin")
