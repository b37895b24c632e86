"""`python -m service`: read the settings, wire the application, serve it until told to stop."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence

# numpy's matrix products here are tiny: threads of its own would only fight with ONNX Runtime's.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if __name__ == "__main__":
    # Until the server handles it, a request to look at the repository must not end the process: it looks anyway.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

import uvicorn
from pydantic import ValidationError
from pydantic_settings import SettingsError

from chainzrule.service.app import Application, create_app, refresh
from chainzrule.service.errors import ServiceError
from chainzrule.service.memory import give_back_freed_memory, keep_freed_memory
from chainzrule.service.protocol import BoundedProtocol, sweep
from chainzrule.service.settings import Settings, unknown_variables
from chainzrule.service.telemetry.logs import configure_logs

log = logging.getLogger("chainzrule")

SWITCH_INTERVAL = 0.0005  # seconds
# New objects until the garbage collector looks for cycles: some hundred requests' worth instead of a few's.
COLLECT_AFTER = 20_000

# Seconds that a connection accepted just before the listener closed gets to send its first request: uvicorn closes
# those that have not, and a client whose request is on its way would find it cut off.
LAST_REQUESTS = 0.25


class Server(uvicorn.Server):
    """uvicorn, except that SIGTERM drains first and SIGHUP re-reads the model repository.

    SIGTERM: say not ready and ask clients to close their connections, go on serving for the grace period, then stop
    accepting, finish what is in flight and exit. A second signal skips the wait; SIGINT skips it at once.
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
                proxy_headers=False,  # nothing here depends on who asks
                lifespan="on",
                timeout_graceful_shutdown=settings.shutdown_timeout,
            )
        )
        self._app = app

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Own the signals while serving."""
        loop = asyncio.get_running_loop()
        tasks = {loop.create_task(sweep(self.server_state.connections))}

        def reload() -> None:
            task = loop.create_task(refresh(self._app.context.catalog))
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
        """Start; what is there then is never looked at by the garbage collector again."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER)
        give_back_freed_memory()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, answer what the latest connections still ask, then close the rest and finish."""
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
    """Close a listener, but for the connections that the kernel has established already: closing would reset them."""
    waiting = []
    listener.setblocking(False)
    with listener, contextlib.suppress(OSError):
        while True:
            waiting.append(listener.accept()[0])
    return waiting


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on every address that a host name stands for; raises `OSError` where one cannot be had."""
    listeners = []
    with contextlib.ExitStack() as opened:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = opened.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:  # IPv4 has a socket of its own
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(address)
            listener.listen()
            listeners.append(listener)
        opened.pop_all()
    return listeners


def main(arguments: Sequence[str]) -> int:
    """Serve; returns the exit status: 0 after a clean stop, 2 for settings that cannot work."""
    try:
        settings = Settings(
            _cli_parse_args=list(arguments),
            _cli_prog_name="python -m service",
            _cli_kebab_case=True,
            _cli_hide_none_type=True,
        )
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            name = str(fault["loc"][0]) if fault["loc"] else ""
            place = f"--{name.replace('_', '-')} (CHAINZRULE_{name.upper()}): " if name else ""
            print(place + fault["msg"].removeprefix("Value error, "), file=sys.stderr)
        return 2
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    configure_logs(settings.log_level)
    for name, nearest in unknown_variables(os.environ).items():
        log.warning(
            "environment variable passed over: there is no such setting", extra={"variable": name, "nearest": nearest}
        )
    if not settings.models.is_dir():
        print(f"--models: {settings.models} is not a directory; make one, or train a model into it", file=sys.stderr)
        return 2
    try:
        server = Server(create_app(settings))
    except (ServiceError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    # A worker that is back from a run asks for the interpreter; a busy event loop would keep it for 5 ms each time.
    sys.setswitchinterval(SWITCH_INTERVAL)
    keep_freed_memory()
    # Before the models are loaded: whether there is an address to serve them on shows at once.
    try:
        listeners = listen(settings.host, settings.port)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no host name"
        print(f"--host, --port: cannot listen on {settings.host}:{settings.port} ({reason})", file=sys.stderr)
        return 2
    log.info("listening", extra={"port": listeners[0].getsockname()[1], "host": settings.host})
    server.run(listeners)
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
