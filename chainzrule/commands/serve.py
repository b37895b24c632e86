"""Implements `chainzrule serve`, which turns the settings into flags and serves until it is told to stop."""

import argparse
import contextlib
import inspect
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from chainzrule.exits import Exit

if TYPE_CHECKING:
    from pydantic import ValidationError

    from chainzrule.service.serving.examiner import Examiner
    from chainzrule.service.settings import Settings

EXAMPLES = """\
examples:
  chainzrule serve
  chainzrule serve --models /srv/models --host 0.0.0.0 --port 9000 --token-file token
  CHAINZRULE_MAX_ROWS=100 chainzrule serve --access-log true

Then: curl http://127.0.0.1:8000/models, and the page at http://127.0.0.1:8000/. SIGTERM drains before it ends; SIGHUP
has the repository read again, which happens every --reload-seconds anyway. Closing the terminal stops the server.
"""

REFUSALS = ()

log = logging.getLogger("chainzrule")


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Adds a flag for every setting, and returns the function that serves with them."""
    # SIGHUP asks the server to read the repository again. Before the server handles it, it must not end the process.
    at_hang_up = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from pydantic import ValidationError
    from pydantic_settings import CliSettingsSource, SettingsError

    from chainzrule.service.settings import Settings
    from chainzrule.service.terminal import has_terminal

    parser.description = inspect.cleandoc(Settings.__doc__ or "")
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.allow_abbrev = False
    flags = CliSettingsSource[argparse.ArgumentParser](
        Settings, root_parser=parser, cli_parse_none_str="none", cli_kebab_case=True, cli_hide_none_type=True
    )

    def run(options: argparse.Namespace) -> int:
        given = {name: value for name, value in vars(options).items() if name in Settings.model_fields}
        try:
            settings = Settings(_cli_settings_source=flags(parsed_args=given))
        except ValidationError as error:
            _print_faults(error)
            return Exit.USAGE
        except SettingsError as error:
            print(error, file=sys.stderr)
            return Exit.USAGE
        # Who starts it by nohup wants it to outlive the terminal.
        return serve(settings, attached=at_hang_up != signal.SIG_IGN and has_terminal())

    return run


def serve(settings: "Settings", attached: bool) -> int:
    """Serves, and returns the exit code: for a clean stop, a failed start, or settings that cannot work.

    Args:
        settings: the settings.
        attached: whether the server stops when the terminal is closed.
    """
    import chainzrule.service.app  # noqa: F401 - what is imported before the fork is not imported again
    from chainzrule.service.serving.examiner import Examiner
    from chainzrule.service.telemetry.logs import configure_logs

    with contextlib.closing(Examiner(settings.load_timeout, settings.max_load_bytes)) as examiner:
        examiner.fork()  # before this process has threads or an event loop
        log_handler = configure_logs(settings.log_level)
        try:
            return _serve(settings, attached, examiner)
        finally:
            log_handler.flush()


def _serve(settings: "Settings", attached: bool, examiner: "Examiner") -> int:
    from chainzrule.service.app import create_app
    from chainzrule.service.errors import ServiceError
    from chainzrule.service.listeners import is_exposed
    from chainzrule.service.server import serve as serve_app
    from chainzrule.service.settings import unknown_variables
    from chainzrule.service.tls import Certificates

    for name, nearest in unknown_variables(os.environ).items():
        log.warning(
            "environment variable passed over: there is no such setting", extra={"variable": name, "nearest": nearest}
        )
    if not settings.models.is_dir():
        print(f"--models: {settings.models} is not a directory; make one, or train a model into it", file=sys.stderr)
        return Exit.USAGE
    try:
        app = create_app(named(settings), examiner)
        certificates = None if settings.tls is None else Certificates(settings.tls)
    except (ServiceError, OSError) as error:
        print(error, file=sys.stderr)
        return Exit.USAGE
    if settings.grpc_port and (reason := _unusable(settings.host, settings.grpc_port)):
        print(f"--grpc-port: cannot listen on {settings.host}:{settings.grpc_port} ({reason})", file=sys.stderr)
        return Exit.USAGE
    # The addresses are opened before the models are loaded, so that a failure shows at once.
    try:
        listeners = _listeners(settings)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no host name"
        if settings.unix_socket is not None:
            print(f"--unix-socket: cannot listen on {settings.unix_socket} ({reason})", file=sys.stderr)
        else:
            print(f"--host, --port: cannot listen on {settings.host}:{settings.port} ({reason})", file=sys.stderr)
        return Exit.USAGE
    if settings.unix_socket is not None:
        log.info("listening", extra={"unix_socket": str(settings.unix_socket)})
    else:
        log.info("listening", extra={"port": listeners[0].getsockname()[1], "host": settings.host})
    if settings.token_file is None and settings.tls_client_ca is None and any(map(is_exposed, listeners)):
        log.warning("whoever reaches this address may use the models: neither a token nor a certificate is asked for")
    return Exit.FINE if serve_app(app, listeners, certificates, attached) else Exit.FAILED


def _listeners(settings: "Settings") -> list[socket.socket]:
    from chainzrule.service.listeners import listen, listen_at

    if settings.unix_socket is not None:
        return [listen_at(settings.unix_socket)]
    return listen(settings.host, settings.port)


def _unusable(host: str, port: int) -> str | None:
    """Returns why an address cannot be listened on, by trying: gRPC opens it later, and does not say why."""
    from chainzrule.service.listeners import listen

    try:
        for listener in listen(host, port):
            listener.close()
    except (OSError, UnicodeError) as error:
        return getattr(error, "strerror", None) or "no host name"
    return None


def named(settings: "Settings") -> "Settings":
    """Returns the settings with the names by which the service may be called, where its address alone tells them.

    No browser connects to a Unix socket, so that whatever a proxy in front of it passes on is right.
    """
    from chainzrule.service.api.access.hosts import names_beside
    from chainzrule.service.namelist import Names

    names = names_beside(settings.host)
    if settings.allowed_hosts or settings.unix_socket is not None or names is None:
        return settings
    return settings.model_copy(update={"allowed_hosts": Names(names)})


def _print_faults(error: "ValidationError") -> None:
    """Prints what is wrong with every setting that cannot work, without its value."""
    for fault in error.errors(include_input=False, include_url=False):
        name = str(fault["loc"][0]) if fault["loc"] else ""
        place = f"--{name.replace('_', '-')} (CHAINZRULE_{name.upper()}): " if name else ""
        print(place + fault["msg"].removeprefix("Value error, "), file=sys.stderr)
