"""Answers probes and scrapers: `GET /healthz`, `GET /readyz`, `GET /metrics`."""

import orjson
from starlette.responses import Response

from chainzrule.service.api.compression import accepts_gzip
from chainzrule.service.api.context import Context
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.route import Endpoint
from chainzrule.service.api.scrapes import Scrapes


def healthz_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/healthz`."""

    async def healthz(request: Incoming) -> Response:
        """The process answers."""
        return Answer(b'{"status":"ok"}')

    return healthz


def readyz_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/readyz`."""

    async def readyz(request: Incoming) -> Response:
        """200 while traffic is welcome: not draining, and every model that should be ready is; else 503. Says why."""
        ready = context.ready
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
        return Answer(orjson.dumps(content), 200 if ready else 503)

    return readyz


def metrics_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/metrics`."""
    scrapes = Scrapes(context.metrics, context.writer)

    async def metrics(request: Incoming) -> Response:
        """All metrics, in the text format that the scraper asks for."""
        return await scrapes.answer(request.header(b"accept") or "", accepts_gzip(request.header(b"accept-encoding")))

    return metrics
