"""Serves an application on sockets, from the first connection to the last answer."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator

import uvicorn

from chainzrule.service.app import Application
from chainzrule.service.memory import give_back_freed_memory, keep_freed_memory
from chainzrule.service.protocol import BoundedProtocol, sweep

log = logging.getLogger("chainzrule")

SWITCH_INTERVAL = 0.0005  # seconds
# The number of new objects after which the garbage collector runs: that of some hundred requests, instead of a few.
COLLECT_AFTER = 20_000

# Seconds that a connection accepted just before the listener closed has to send its first request. uvicorn closes
# connections that have sent none, which would cut off a client whose request is on its way.
LAST_REQUESTS = 0.25


class Server(uvicorn.Server):
    """Serves as uvicorn does, except that SIGTERM drains first and SIGHUP re-reads the model repository and the tokens.

    At SIGTERM it says that it is not ready and asks clients to close their connections, goes on serving for the grace
    period, then stops accepting, finishes what is in flight and exits. A second signal skips the wait; SIGINT skips it
    at once.
    """

    def __init__(self, app: Application) -> None:
        settings = app.context.settings
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                log_config=None,
                access_log=False,
                server_header=False,
                http=BoundedProtocol,
                ws="none",
                proxy_headers=False,  # nothing here depends on the client's address
                lifespan="on",
                timeout_graceful_shutdown=settings.shutdown_timeout,
            )
        )
        self._app = app

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handles the signals while serving."""
        loop = asyncio.get_running_loop()
        tasks = {loop.create_task(sweep(self.server_state.connections))}

        def reload() -> None:
            task = loop.create_task(self._app.reload())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        handlers = {signal.SIGTERM: self._drain, signal.SIGINT: self._stop, signal.SIGHUP: reload}
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)
            for task in tasks:
                task.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts, and exempts the objects that exist by then from garbage collection, because they all stay."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER)
        give_back_freed_memory()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops accepting, answers what the latest connections still ask, then closes the others and finishes."""
        for server in self.servers:
            listeners = [socket.socket(fileno=os.dup(listener.fileno())) for listener in server.sockets]
            server.close()
            for connection in [connection for listener in listeners for connection in _accept_waiting(listener)]:
                await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        await asyncio.sleep(LAST_REQUESTS)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

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


def listen(host: str, port: int) -> list[socket.socket]:
    """Listens on every address that a host name stands for; raises `OSError` where one is not available."""
    listeners = []
    with contextlib.ExitStack() as opened:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = opened.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:  # IPv4 gets a socket of its own
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(address)
            listener.listen()
            listeners.append(listener)
        opened.pop_all()
    return listeners


def serve(app: Application, listeners: list[socket.socket]) -> bool:
    """Serves until told to stop; returns whether the application started at all."""
    server = Server(app)
    # A worker thread waits for the interpreter lock after a run; a busy event loop would keep it for 5 ms each time.
    sys.setswitchinterval(SWITCH_INTERVAL)
    keep_freed_memory()
    server.run(listeners)
    return server.started
