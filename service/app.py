"""Builds the application. This is the only place where its objects are wired together."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from chainzrule import __version__
from chainzrule.service.api.access.access import Access
from chainzrule.service.api.access.clients import Clients
from chainzrule.service.api.access.crosssite import CrossSite
from chainzrule.service.api.access.failures import Failures
from chainzrule.service.api.access.hosts import ALL, Hosts
from chainzrule.service.api.access.limits import ClientLimits
from chainzrule.service.api.access.origins import Origins
from chainzrule.service.api.access.tokenfiles import TokenFiles
from chainzrule.service.api.context import Context
from chainzrule.service.api.documentation import register
from chainzrule.service.api.exchange import Exchange, guarded
from chainzrule.service.api.hot import HotRoutes
from chainzrule.service.api.problems import routing_problem
from chainzrule.service.api.routes import routes
from chainzrule.service.artifact.listing import StoredVersion
from chainzrule.service.errors import KeyFileError
from chainzrule.service.memory import give_back_after_bursts
from chainzrule.service.policy.desk import Desk
from chainzrule.service.policy.policies import Policies
from chainzrule.service.policy.policyfile import PolicyFile
from chainzrule.service.runtime.cpu import available_cpus
from chainzrule.service.runtime.graph import choose_execution
from chainzrule.service.serving.background import in_background
from chainzrule.service.serving.catalog import Catalog, State
from chainzrule.service.serving.examiner import Examiner
from chainzrule.service.serving.load import Loader
from chainzrule.service.serving.repository import Repository
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.settings import Settings
from chainzrule.service.telemetry.live import VersionReading
from chainzrule.service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from chainzrule.service.artifact.keys import Keyring
    from chainzrule.service.grpc.server import GrpcServer

log = logging.getLogger(__name__)

DESCRIPTION = """Predictions, each with how stable it is under the declared noise of its inputs.

`volatility` is the standard deviation of the reported output under that noise, `flip_probability` the chance that the
noise changes the label, `flip_distance` the number of noise sigmas to the nearest decision boundary."""


class Application(FastAPI):
    """Extends FastAPI with hot routes, which are dispatched ahead of it; both ways run through the same exchange."""

    context: Context
    exchange: Exchange
    tokens: TokenFiles | None
    policies: PolicyFile | None
    grpc: "GrpcServer | None"

    async def reload(self) -> None:
        """Reads the token files, the policies and the repository again."""
        if self.tokens is not None:
            await self.tokens.look()
        if self.policies is not None:
            await self.policies.look()
        await self.context.repository.refresh()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or runs the lifespan."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        await self.exchange(scope, receive, send)

    async def routed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request by FastAPI's own routing, which finds the routes that are not hot."""
        await super().__call__(scope, receive, send)


def create_app(settings: Settings, examiner: Examiner | None = None) -> Application:
    """Returns an application, whose models begin to load when its lifespan starts.

    Args:
        settings: the settings of the service.
        examiner: examines model versions before they are opened, and is the caller's to close; None makes a new one.

    Raises:
        DeviceError: `device` is `cuda`, which does not work here.
        ServiceError: the token file cannot be read, has a fault or lists no token; the policies cannot be read or have
            a fault; or a file of `require_signature` holds no key.
        ImportError: a setting needs an extra that is not installed: `require_signature` needs `signatures`, `grpc_port`
            needs `grpc`.
    """
    tokens = TokenFiles(settings.token_file) if settings.token_file is not None else None
    execution = choose_execution(settings.device, settings.threads or available_cpus())
    log.info(
        "execution chosen",
        extra={"provider": execution.provider, "threads": execution.threads, "note": execution.note or None},
    )
    metrics = Metrics()
    loader = Loader(
        execution,
        settings.limits,
        settings.thresholds,
        settings.window_rows,
        settings.window_minimum_rows,
        metrics,
        _read_keys(settings.require_signature),
    )
    catalog: Catalog[ServedModel] = Catalog(settings.default_model, settings.required_models, ServedModel.retire)
    examining = examiner or Examiner(settings.load_timeout, settings.max_load_bytes)

    async def examine(stored: StoredVersion) -> str:
        if loader.keys is not None:  # what nobody has signed is not even examined
            await in_background(loader.require_signature, stored)
        return await examining.examine(stored)

    repository = Repository(settings.models, catalog, examine, loader.load, settings.keep_versions)
    policies = PolicyFile(settings.policies) if settings.policies is not None else None
    desk = Desk(policies, catalog) if policies is not None else None
    context = Context(settings, catalog, repository, metrics, desk)
    metrics.in_progress.set_function(lambda: context.in_progress)
    metrics.held_bytes.set_function(lambda: context.reading.budget.held)
    metrics.lost_reviews.set_function(lambda: 0 if desk is None else desk.reviews.lost)
    metrics.ready.set_function(lambda: context.ready)
    metrics.unreadable.set_function(lambda: len(repository.notices.unreadable))
    metrics.watch(tuple(State), lambda: _readings(catalog), lambda: _queues(catalog))

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Nothing waits for the models: /healthz answers while they load, and /readyz says what it waits for.
        duties = [
            asyncio.create_task(repository.follow(settings.reload_seconds)),
            asyncio.create_task(_warn_of_missing_default(catalog, settings.default_model)),
            asyncio.create_task(context.reading.deadlines.sweep()),
            asyncio.create_task(give_back_after_bursts(context.reading.budget)),
        ]
        if tokens is not None:
            duties.append(asyncio.create_task(tokens.follow()))
        if policies is not None:
            duties.append(asyncio.create_task(policies.follow()))
            duties.append(asyncio.create_task(_warn_of_missing_models(catalog, policies.policies)))
        async with app.grpc or contextlib.nullcontext():
            yield
        for duty in duties:
            duty.cancel()
        await asyncio.gather(*duties, return_exceptions=True)
        context.reading.thread.close()
        if desk is not None:
            await asyncio.to_thread(desk.reviews.close)
        await repository.close()
        if examiner is None:
            examining.close()

    app = Application(
        title="ChainzRule",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        exception_handlers={HTTPException: routing_problem},
        redirect_slashes=False,
        docs_url=None,  # FastAPI's page loads scripts from other servers
        redoc_url=None,
    )
    cross_site = CrossSite(settings.cors_origins)
    served = [guarded(route, context, cross_site) for route in routes(context)]
    register(app, served, context)
    hosts = Hosts(settings.allowed_hosts) if settings.allowed_hosts and ALL not in settings.allowed_hosts else None
    limited = settings.client_rows_per_second or settings.client_milliseconds_per_second
    limits = ClientLimits(settings.client_rows_per_second, settings.client_milliseconds_per_second) if limited else None
    failures = Failures(metrics.wrong_tokens.inc)
    access = Access(served, Clients(settings.trusted_proxies), failures, hosts, tokens, limits)
    origins = Origins(app.routed, settings.cors_origins) if settings.cors_origins else None
    app.context = context
    app.tokens = tokens
    app.policies = policies
    app.grpc = _grpc_server(context, None if access.permits_all else access)
    app.exchange = Exchange(
        context, None if access.permits_all else access, HotRoutes(served), origins or app.routed, origins
    )
    return app


def _grpc_server(context: Context, access: Access | None) -> "GrpcServer | None":
    if not context.settings.grpc_port:
        return None
    # Only here, because it needs an extra.
    from chainzrule.service.grpc.server import GrpcServer

    return GrpcServer(context, access)


def _read_keys(path: Path | None) -> "Keyring | None":
    if path is None:
        return None
    # Only here, because it needs an extra.
    from chainzrule.service.artifact.keys import read_keyring

    try:
        keys = read_keyring(path)
    except KeyFileError as error:
        raise KeyFileError(f"--require-signature: {error}") from None
    log.info("only signed versions are served", extra={"keys": sorted(keys.keys)})
    return keys


async def _warn_of_missing_models(catalog: Catalog[ServedModel], policies: Policies) -> None:
    """Warns of models that policies name and the repository lacks, because their names may be misspelled."""
    await catalog.started.wait()
    missing = sorted(name for name in policies.names if not catalog.entries_of(name))
    if missing:
        log.warning("policies name models that are not in the repository", extra={"models": missing})


async def _warn_of_missing_default(catalog: Catalog[ServedModel], name: str | None) -> None:
    await catalog.started.wait()
    if name is not None and not catalog.entries_of(name):
        log.warning("the default model is not in the repository", extra={"model": name})


def _readings(catalog: Catalog[ServedModel]) -> Iterable[VersionReading]:
    for name, entries in catalog.models():
        for number, entry in entries.items():
            loaded = entry.served.reading() if entry.served else None
            yield VersionReading(name, number, State.READY if loaded else entry.state, loaded)


def _queues(catalog: Catalog[ServedModel]) -> Iterable[tuple[str, int]]:
    for name, entries in catalog.models():
        yield name, sum(entry.served.queue_depth for entry in entries.values() if entry.served)
