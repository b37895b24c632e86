"""Serves the protocol's methods on an address of their own."""

import logging
from pathlib import Path

import grpc
from grpc.aio import Server, server

from chainzrule.service.api.access.access import Access
from chainzrule.service.api.access.scopes import OPEN, PREDICT
from chainzrule.service.api.context import Context
from chainzrule.service.errors import ServiceError
from chainzrule.service.grpc.about import about_methods
from chainzrule.service.grpc.door import Door, plain
from chainzrule.service.grpc.health import REQUEST as HEALTH_REQUEST
from chainzrule.service.grpc.health import check, watch_handler
from chainzrule.service.grpc.infer import infer_method, stream_handler
from chainzrule.service.grpc.messages import HEALTH, INFERENCE, REFLECTION
from chainzrule.service.grpc.reflection import reflection_handler
from chainzrule.service.tls import TlsFiles

log = logging.getLogger(__name__)

MOST_CALLS = 1024  # at a time; beyond, gRPC itself refuses them
ENVELOPE = 2**16  # bytes that a message may have besides its tensors


class GrpcServer:
    """Serves inside an `async with`, or from `open` to `close`.

    Args:
        context: what the methods work with.
        access: refuses calls; None lets in everybody.
    """

    def __init__(self, context: Context, access: Access | None) -> None:
        self._context = context
        self._access = access
        self._server: Server | None = None
        self._door: Door | None = None

    async def __aenter__(self) -> None:
        """Opens it."""
        await self.open()

    async def __aexit__(self, *error: object) -> None:
        """Closes it."""
        await self.close()

    async def open(self) -> None:
        """Starts to serve.

        Raises:
            ServiceError: the address cannot be used.
        """
        settings = self._context.settings
        self._door = door = Door(self._context, self._access)
        self._server = serving = server(options=options(settings.max_body_bytes), maximum_concurrent_rpcs=MOST_CALLS)
        serving.add_generic_rpc_handlers(handlers(self._context, door))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"{host}:{settings.grpc_port}"
        try:
            if settings.tls is None:
                port = serving.add_insecure_port(address)
            else:
                port = serving.add_secure_port(address, credentials(settings.tls))
        except RuntimeError:
            raise ServiceError(f"--grpc-port: cannot listen on {address}") from None
        await serving.start()
        log.info("listening for gRPC", extra={"port": port, "host": settings.host})

    async def close(self) -> None:
        """Takes no further calls, and waits for those in progress as long as the settings let it."""
        if self._server is not None and self._door is not None:
            self._door.closing.set()
            await self._server.stop(self._context.settings.shutdown_timeout)


def options(most_bytes: int) -> list[tuple[str, int]]:
    """Returns gRPC's options of a server that takes messages of so many bytes."""
    return [
        ("grpc.max_receive_message_length", most_bytes + ENVELOPE),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # or a second server would share the address silently
        # A call that waits for its turn would hold megabytes with windows that grow.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.max_concurrent_streams", MOST_CALLS),
    ]


def handlers(context: Context, door: Door) -> tuple[grpc.GenericRpcHandler, ...]:
    """Returns the handlers of all services."""
    infer, streaming = infer_method(context), f"/{INFERENCE}/ModelStreamInfer"
    inference = {
        "ModelInfer": door.unary(f"/{INFERENCE}/ModelInfer", PREDICT, infer),
        "ModelStreamInfer": door.stream(stream_handler(door, streaming, infer)),
        **{
            name: door.unary(f"/{INFERENCE}/{name}", scopes, method)
            for name, (scopes, method) in about_methods(context).items()
        },
    }
    health = {
        "Check": door.unary(f"/{HEALTH}/Check", OPEN, plain(HEALTH_REQUEST, check(context))),
        "Watch": door.stream(watch_handler(context, door)),
    }
    return (
        grpc.method_handlers_generic_handler(INFERENCE, inference),
        grpc.method_handlers_generic_handler(HEALTH, health),
        *(
            grpc.method_handlers_generic_handler(
                service, {"ServerReflectionInfo": door.stream(reflection_handler(door, service))}
            )
            for service in REFLECTION
        ),
    )


def credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Returns the certificate that is shown; its files are looked at again at every connection."""
    seen = files.fingerprints()

    def configuration() -> "grpc.ServerCertificateConfiguration":
        authorities = None if files.client_ca is None else files.client_ca.read_bytes()
        return grpc.ssl_server_certificate_configuration(((_read(files.key), _read(files.certificate)),), authorities)

    def refreshed() -> "grpc.ServerCertificateConfiguration | None":
        nonlocal seen
        found = files.fingerprints()
        if found == seen:
            return None
        seen = found
        try:
            return configuration()
        except OSError:
            log.error("the new certificate cannot be read; the old one stays")
            return None

    return grpc.dynamic_ssl_server_credentials(configuration(), refreshed, files.client_ca is not None)


def _read(file: Path) -> bytes:
    return file.read_bytes()
