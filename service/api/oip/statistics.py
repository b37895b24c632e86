"""Answers the protocol's statistics extension, which says where the time of requests and runs went."""

from typing import Any

import orjson
from starlette.responses import Response

from chainzrule.service.api.context import Context
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.route import Endpoint


def statistics_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/v2/models/{model}[/versions/{version}]/stats`, and of `/v2/models/stats`."""

    async def statistics(request: Incoming) -> Response:
        """Requests, runs and their time since each version was loaded; all models' unless one is named."""
        named = statistics_of(context, request.path_params.get("model"), request.path_params.get("version"))
        return Answer(orjson.dumps({"model_stats": named}))

    return statistics


def statistics_of(context: Context, name: str | None, version: str | None) -> list[dict[str, Any]]:
    """Returns the statistics of one version, of a model's versions or, where none is named, of all.

    Raises the errors of `Catalog.resolve`.
    """
    catalog = context.catalog
    if name is not None and version is not None:
        served = [catalog.resolve(name, version)]
    else:
        models = dict(catalog.models()) if name is None else {name: catalog.entries(name)}
        served = [entry.served for entries in models.values() for entry in entries.values() if entry.served]
    return [{"name": each.card.name, "version": each.card.version, **each.statistics.describe()} for each in served]
