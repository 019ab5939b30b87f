"""The port: taken before the artifact is verified, listened on after that."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from artifact_pipeline.errors import ConfigError
from artifact_pipeline.serving.limits import STALLED

if TYPE_CHECKING:
    from artifact_pipeline.serving.settings import Settings

BACKLOG = 1024


def bind(settings: Settings) -> socket.socket:
    """Take the port, without listening on it yet.

    Raises:
        ConfigError: it is taken, or the address is not this machine's, or there is none.
    """
    if not settings.host:
        raise ConfigError("--host is empty", hint="--host 127.0.0.1 is this machine alone; 0.0.0.0 is all addresses")
    try:
        (family, _, _, _, address), *_ = socket.getaddrinfo(
            _without_brackets(settings.host), settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        bound = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _unbound(settings, error) from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, OverflowError) as error:
        bound.close()
        raise _unbound(settings, error) from error
    return bound


def _without_brackets(host: str) -> str:
    """The address, where it is written as in a URL: `[::1]`."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _unbound(settings: Settings, error: Exception) -> ConfigError:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    busy = isinstance(error, OSError) and error.errno in {errno.EADDRINUSE, errno.EACCES}
    return ConfigError(
        f"cannot listen on {settings.host}, port {settings.port}: {words.lower()}",
        hint="--port 0 takes any that is free" if busy else "--host names an address of this machine; 0.0.0.0 is all",
    )


def url_of(bound: socket.socket) -> str:
    """Where a browser on this machine finds it."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what is listened on was asked for
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(bound: socket.socket, settings: Settings) -> None:
    """Listen on a port that has been taken.

    Raises:
        ConfigError: another process has begun to listen on it.
    """
    # Each connection has it from here: the system ends one whose client takes nothing of what is written.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1000 * STALLED * settings.timeout))
    try:
        bound.listen(BACKLOG)
    except OSError as error:  # whoever listened first has the port, and not who took it first
        raise _unbound(settings, error) from error
