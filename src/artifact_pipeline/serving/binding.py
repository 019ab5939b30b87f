"""The port or Unix socket of the server: bound before the artifact is verified, listened on after that."""

from __future__ import annotations

import errno
import socket
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from artifact_pipeline.errors import ConfigError
from artifact_pipeline.serving.limits import STALLED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from artifact_pipeline.serving.settings import Settings

BACKLOG = 1024
LOCAL = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound to it here
"""Where a client of the same machine finds a server that listens on all addresses."""


@contextmanager
def bind(settings: Settings) -> Iterator[socket.socket]:
    """Bind a socket to the port or to the path of `--uds` for the block, without listening on it yet.

    Raises:
        ConfigError: the port or the path is taken, or the address is not one of this machine.
    """
    if settings.uds is None:
        with _bind_port(settings) as bound:
            yield bound
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        _bind_path(bound, settings.uds)
        taken = _identity(settings.uds)
        try:
            yield bound
        finally:
            if _identity(settings.uds) == taken:  # or another server has it by now
                settings.uds.unlink()


def _bind_port(settings: Settings) -> socket.socket:
    if not settings.host:
        raise ConfigError("--host is empty", hint="--host 127.0.0.1 is this machine alone; 0.0.0.0 is all addresses")
    try:
        (family, _, _, _, address), *_ = socket.getaddrinfo(
            without_brackets(settings.host), settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        bound = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _cannot_listen(settings, error) from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, OverflowError) as error:
        bound.close()
        raise _cannot_listen(settings, error) from error
    return bound


def _cannot_listen(settings: Settings, error: Exception) -> ConfigError:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    busy = isinstance(error, OSError) and error.errno in {errno.EADDRINUSE, errno.EACCES}
    return ConfigError(
        f"cannot listen on {settings.host}, port {settings.port}: {words.lower()}",
        hint="--port 0 takes any that is free" if busy else "--host names an address of this machine; 0.0.0.0 is all",
    )


def _bind_path(bound: socket.socket, path: Path) -> None:
    try:
        _remove_stale(path)
        bound.bind(str(path))
    except OSError as error:
        words = f"--uds: cannot listen on {path}: {(error.strerror or str(error)).lower()}"
        raise ConfigError(words, hint="--uds PATH, in a folder of yours") from error


def _remove_stale(path: Path) -> None:
    """Remove the socket that an earlier server has left; refuse any other file, and a server that runs."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"--uds: {path} is there, and is no socket", hint="--uds names a path where nothing is")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise ConfigError(f"--uds: another server listens on {path}", hint="stop it first, or use another path")


def _identity(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        found = path.lstat()
        return found.st_dev, found.st_ino
    return None


def url_of(bound: socket.socket, settings: Settings) -> str:
    """Return the URL by which a client on this machine reaches the server."""
    if settings.uds is not None:
        return f"unix:{settings.uds}"
    host, port = bound.getsockname()[:2]
    return format_url(LOCAL.get(host, host), port, tls=settings.tls is not None)


def format_url(host: str, port: int, *, tls: bool) -> str:
    """Return the URL of a host, which may be an IPv6 address, and a port."""
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def without_brackets(host: str) -> str:
    """Return a host without the brackets that an IPv6 address has in a URL."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def listen(bound: socket.socket, settings: Settings) -> None:
    """Listen on the socket.

    Raises:
        ConfigError: another process has begun to listen on it.
    """
    if settings.uds is None and hasattr(socket, "TCP_USER_TIMEOUT"):
        # Connections inherit it: the system closes one whose client does not acknowledge what was sent.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1000 * STALLED * settings.timeout))
    if settings.uds is not None and not settings.uds.exists():
        raise ConfigError(f"--uds: {settings.uds} has been removed while the artifact was verified", hint="start again")
    try:
        bound.listen(BACKLOG)
    except OSError as error:  # another process bound the port too, and listened first
        raise _cannot_listen(settings, error) from error
