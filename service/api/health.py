"""`GET /healthz`, `GET /readyz`, `GET /metrics`: what probes and scrapers ask."""

import orjson
from starlette.requests import Request
from starlette.responses import Response

from service.api.context import Context
from service.api.exchange import Endpoint


def healthz_endpoint(context: Context) -> Endpoint:
    """The endpoint of `/healthz`."""

    async def healthz(request: Request) -> Response:
        """The process answers."""
        return Response(b'{"status":"ok"}', media_type="application/json")

    return healthz


def readyz_endpoint(context: Context) -> Endpoint:
    """The endpoint of `/readyz`."""

    async def readyz(request: Request) -> Response:
        """200 while traffic is welcome: not draining, and every model that should be ready is; else 503. Says why."""
        ready = context.catalog.ready() and not context.draining
        content = {
            "ready": ready,
            "draining": context.draining,
            "waiting_for": context.catalog.unready(),
            "models": {
                name: {
                    version: {"state": entry.state, "reason": entry.reason or None}
                    for version, entry in entries.items()
                }
                for name, entries in context.catalog.models()
            },
        }
        return Response(orjson.dumps(content), 200 if ready else 503, media_type="application/json")

    return readyz


def metrics_endpoint(context: Context) -> Endpoint:
    """The endpoint of `/metrics`."""

    async def metrics(request: Request) -> Response:
        """All metrics, in the text format that the scraper asks for."""
        content, content_type = context.metrics.expose(request.headers.get("accept", ""))
        return Response(content, headers={"Content-Type": content_type})

    return metrics
