"""The open connections: how many there are, and which of them have been idle for too long.

The HTTP library bounds the time of an idle connection, but not with TLS, and does not say how many there are.
So they are found among the open files of the process, and known by the client's port. Two clients of one port are taken
for one: then an idle connection is kept for as long as the other one is used.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILES = Path("/dev/fd")


class Connections:
    """The connections to one listening socket."""

    def __init__(self, bound: socket.socket, seconds: float) -> None:
        """Note where the socket listens; `seconds` is how long a connection may be open without a request."""
        self._here: Any = bound.getsockname() if bound.family == socket.AF_UNIX else bound.getsockname()[1]
        self._seconds = seconds
        self._since: dict[int, float] = {}  # by port: when its last request ended, or the connection was first seen
        self._busy: dict[int, int] = {}  # by port: requests in progress

    def begin(self, port: int) -> None:
        """Note that a request of the client at this port has begun."""
        self._busy[port] = self._busy.get(port, 0) + 1

    def end(self, port: int) -> None:
        """Note that a request of the client at this port has ended."""
        left = self._busy[port] - 1
        if left:
            self._busy[port] = left
        else:
            del self._busy[port]
            self._since[port] = time.monotonic()

    def count(self) -> int:
        """Return how many are open."""
        return sum(1 for _ in self._open())

    def close_idle(self) -> None:
        """Close those that have been idle for too long."""
        now, since = time.monotonic(), {}
        for connection, port in self._open():
            since[port] = self._since.get(port, now)
            if now - since[port] > self._seconds and port not in self._busy:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)  # the library sees its end, and closes it
        self._since = since

    def _open(self) -> Iterator[tuple[socket.socket, int]]:
        """Yield each connection and the client's port, which is 0 on a Unix socket.

        The socket has a duplicate of the descriptor: the library can close its own at any time.
        """
        for file in _FILES.iterdir():
            with suppress(OSError), _socket(int(file.name)) as found:
                local = found.family == socket.AF_UNIX
                own, peer = found.getsockname(), found.getpeername()  # which raises where it is no connection
                if (own if local else own[1]) == self._here:
                    yield found, 0 if local else peer[1]


def _socket(file: int) -> socket.socket:
    own = os.dup(file)
    try:
        return socket.socket(fileno=own)
    except OSError:  # it is no socket
        os.close(own)
        raise
