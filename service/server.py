"""Serves an application on listeners, from the first connection to the last answer."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from chainzrule.service.app import Application
from chainzrule.service.memory import give_back_freed_memory, keep_freed_memory
from chainzrule.service.protocol import BoundedProtocol, sweep
from chainzrule.service.terminal import has_terminal
from chainzrule.service.tls import Certificates
from chainzrule.service.turns import Turns
from chainzrule.service.unread import SHARE

log = logging.getLogger("chainzrule")

STARTUP_FAILURE = 3  # the exit status with which uvicorn itself ends where the application does not start

SWITCH_INTERVAL = 0.0005  # seconds
# The number of new objects after which the garbage collector runs: that of some hundred requests, instead of a few.
COLLECT_AFTER = 20_000

# Seconds that a connection accepted just before the listener closed has to send its first request. uvicorn closes
# connections that have sent none, which would cut off a client whose request is on its way.
LAST_REQUESTS = 0.25

HANDSHAKE_SECONDS = 10.0  # the longest that a TLS handshake may take
CERTIFICATE_SECONDS = 5.0  # between two looks at the certificate's files
TERMINAL_SECONDS = 1.0  # after SIGHUP, until a terminal that is being closed is gone


class Server(uvicorn.Server):
    """Serves as uvicorn does, except that SIGTERM drains first and SIGHUP re-reads the model repository and the tokens.

    At SIGTERM it says that it is not ready and asks clients to close their connections, goes on serving for the grace
    period, then stops accepting, finishes what is in flight and exits. A second signal skips the wait; SIGINT skips it
    at once.

    Args:
        app: what answers.
        certificates: what new connections are encrypted with; None leaves them in clear text.
        attached: whether closing the terminal, which sends SIGHUP too, stops the server.
    """

    def __init__(self, app: Application, certificates: Certificates | None = None, attached: bool = False) -> None:
        settings = app.context.settings
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                http=BoundedProtocol,
                ws="none",
                proxy_headers=False,  # nothing here depends on the client's address
                lifespan="on",
                timeout_keep_alive=settings.keep_alive_seconds,
                timeout_graceful_shutdown=settings.shutdown_timeout,
            )
        )
        self._app = app
        self._certificates = certificates
        self._attached = attached
        self._listeners: list[socket.socket] = []
        self._turns = Turns()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handles the signals while serving."""
        loop = asyncio.get_running_loop()
        sweeping = sweep(self.server_state.connections, self._app.context.settings.max_held_bytes // SHARE)
        background = (sweeping, self._follow_certificate(), self._settle())
        tasks = {loop.create_task(one) for one in background}

        def reload() -> None:
            task = loop.create_task(self._app.reload())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            loop.call_later(TERMINAL_SECONDS, self._stop_without_terminal)

        handlers = {signal.SIGTERM: self._drain, signal.SIGINT: self._stop, signal.SIGHUP: reload}
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        self._stop_without_terminal()  # it may have been closed before
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)
            for task in tasks:
                task.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen; the models begin to load."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        self.servers = []
        self._listeners = sockets or []
        await self._accept()
        self.started = True
        gc.set_threshold(COLLECT_AFTER)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops accepting, answers what the latest connections still ask, then closes the others and finishes."""
        loop = asyncio.get_running_loop()
        for server in self.servers:
            server.close()
        for connection in [connection for listener in self._listeners for connection in _accept_waiting(listener)]:
            with contextlib.suppress(OSError):  # its handshake fails, or it is gone
                await loop.connect_accepted_socket(self._protocol, connection, **self._encryption(connection))
        await asyncio.sleep(LAST_REQUESTS)
        closing = None if self._app.grpc is None else loop.create_task(self._app.grpc.close())
        await super().shutdown(sockets)
        if closing is not None:
            await closing

    async def _accept(self) -> None:
        """Accepts connections that begin with the current certificate; servers with an earlier one stop accepting."""
        loop, servers = asyncio.get_running_loop(), []
        for listener in map(_duplicate, self._listeners):
            options = {"sock": listener, "backlog": self.config.backlog, **self._encryption(listener)}
            serve = loop.create_unix_server if listener.family == socket.AF_UNIX else loop.create_server
            servers.append(await serve(self._protocol, **options))
        for server in self.servers:
            server.close()
        self.servers = servers

    async def _follow_certificate(self) -> None:
        """Looks at the certificate's files again and again, off the event loop, because file systems may hang."""
        while self._certificates is not None:
            await asyncio.sleep(CERTIFICATE_SECONDS)
            if self.started and await asyncio.to_thread(self._certificates.refresh) and not self.should_exit:
                await self._accept()

    def _encryption(self, listener: socket.socket) -> dict[str, Any]:
        if self._certificates is None or listener.family == socket.AF_UNIX:
            return {}
        return {"ssl": self._certificates.context, "ssl_handshake_timeout": HANDSHAKE_SECONDS}

    async def _settle(self) -> None:
        """Exempts the objects that exist once the models are loaded from garbage collection, because they all stay."""
        await self._app.context.catalog.started.wait()
        log.info("the models have loaded")
        gc.collect()
        gc.freeze()
        give_back_freed_memory()

    def _protocol(self) -> asyncio.Protocol:
        return BoundedProtocol(self.config, self.server_state, self.lifespan.state, turns=self._turns)

    def _stop_without_terminal(self) -> None:
        if self._attached and not self.should_exit and not has_terminal():
            log.info("the terminal was closed")
            self._stop()

    def _drain(self) -> None:
        context = self._app.context
        if context.draining:
            self._stop()
            return
        log.info("draining", extra={"seconds": context.settings.drain_grace})
        context.drain()
        asyncio.get_running_loop().call_later(context.settings.drain_grace, self._close)

    def _stop(self) -> None:
        self._app.context.drain()
        self.force_exit = self.should_exit
        self._close()

    def _close(self) -> None:
        self.should_exit = True


def _accept_waiting(listener: socket.socket) -> list[socket.socket]:
    """Closes a listener; returns the connections that the kernel has already established, which closing would reset."""
    waiting = []
    listener.setblocking(False)
    with listener, contextlib.suppress(OSError):
        while True:
            waiting.append(listener.accept()[0])
    return waiting


def _duplicate(listener: socket.socket) -> socket.socket:
    """Returns another handle of a listener, so that closing one leaves the other."""
    return socket.socket(fileno=os.dup(listener.fileno()))


def serve(
    app: Application,
    listeners: list[socket.socket],
    certificates: Certificates | None = None,
    attached: bool = False,
) -> bool:
    """Serves until told to stop, as `Server` says; returns whether the application started at all."""
    server = Server(app, certificates, attached)
    # A worker thread waits for the interpreter lock after a run; a busy event loop would keep it for 5 ms each time.
    sys.setswitchinterval(SWITCH_INTERVAL)
    keep_freed_memory()
    with _removing(listeners):
        server.run(listeners)
    return server.started


@contextlib.contextmanager
def _removing(listeners: list[socket.socket]) -> Iterator[None]:
    """Removes the sockets in the file system at the end, unless another process has put its own there meanwhile."""
    paths = [Path(listener.getsockname()) for listener in listeners if listener.family == socket.AF_UNIX]
    inodes = [path.lstat().st_ino for path in paths]
    try:
        yield
    finally:
        for path, inode in zip(paths, inodes, strict=True):
            with contextlib.suppress(OSError):
                if path.lstat().st_ino == inode:
                    path.unlink()
