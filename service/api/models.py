"""Answers `GET /models` and the routes below it: the models, their cards, and their live stability."""

import asyncio
import zlib
from dataclasses import asdict
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from starlette.responses import Response

from chainzrule.service.api.compression import accepts_gzip, packed
from chainzrule.service.api.context import Context
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.route import Endpoint
from chainzrule.service.errors import InvalidInput
from chainzrule.service.serving.catalog import Entry
from chainzrule.service.serving.version import ServedModel


def list_models_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/models`."""

    async def list_models(request: Incoming) -> Response:
        """All models with their versions, newest first, and the state of each."""
        default = context.catalog.default()
        models = [
            {"name": name, "default": name == default, "versions": _versions(entries)}
            for name, entries in context.catalog.models()
        ]
        return _json({"models": models})

    return list_models


def get_model_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/models/{name}`."""
    cards: WeakKeyDictionary[ServedModel, bytes] = WeakKeyDictionary()

    def write(served: ServedModel, live: dict[str, Any], compress: bool) -> Answer:
        """Writes the answer, in the writer's thread, because an image model's takes half a second."""
        card = cards.get(served)
        if card is None:
            card = cards[served] = zlib.compress(_card(served), 1)
        content = orjson.dumps({**live, "card": orjson.Fragment(zlib.decompress(card))})
        return packed(content, b"application/json", compress)

    async def get_model(request: Incoming) -> Response:
        """A model's card, with every feature spelled out, and its live state."""
        name, served = _served(context, request)
        live = {
            "name": name,
            "version": served.card.version,
            "provider": served.model.execution.provider,
            "loaded_at": served.loaded_at,
            "versions": _versions(context.catalog.entries(name)),
        }
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            context.writer, write, served, live, accepts_gzip(request.header(b"accept-encoding"))
        )

    return get_model


def get_stability_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/models/{name}/stability`."""

    async def get_stability(request: Incoming) -> Response:
        """The rolling window of the latest observed predictions beside the card's reference."""
        name, served = _served(context, request)
        reference = served.card.reference
        quantiles = reference.volatility.quantiles
        return _json(
            {
                "model": name,
                "version": served.card.version,
                "window": asdict(served.window.summary()),
                "reference": {
                    "rows": reference.rows,
                    "out_of_fold": reference.out_of_fold,
                    "gradient_tail_ratio": reference.gradient_tail_ratio,
                    "volatility_mean": reference.volatility.mean,
                    "volatility_quantiles": {f"p{q}": quantiles[q] for q in (50, 90, 99)},
                    "out_of_range_rate": reference.out_of_range_rate,
                },
            }
        )

    return get_stability


def _served(context: Context, request: Incoming) -> tuple[str, ServedModel]:
    name = request.path_params["name"]
    given = request.query_params.multi_items()
    if len(given) > 1 or any(parameter != "version" for parameter, _ in given):
        raise InvalidInput("has parameters this route does not know; it takes version, once", "query")
    return name, context.catalog.resolve(name, request.query_params.get("version"))


def _card(served: ServedModel) -> bytes:
    card = served.card.model_dump(mode="json", exclude={"golden": True, "features": True, "conformity": {"errors"}})
    card["features"] = [feature.model_dump(mode="json") for feature in served.card.inputs()]
    return orjson.dumps(card)


def _versions(entries: dict[str, Entry[ServedModel]]) -> list[dict[str, Any]]:
    return [
        {
            "version": version,
            "state": entry.state,
            "reason": entry.reason or None,
            "task": None if entry.served is None else entry.served.card.task,
        }
        for version, entry in entries.items()
    ]


def _json(content: dict[str, Any]) -> Response:
    return Answer(orjson.dumps(content))
