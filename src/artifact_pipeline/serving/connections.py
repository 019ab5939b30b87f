"""The connections that are open: how many, and which of them have been idle too long.

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
        """Note where the socket listens.

        Args:
            bound: the socket.
            seconds: how long a connection may be open without a request.
        """
        self._here: Any = bound.getsockname() if bound.family == socket.AF_UNIX else bound.getsockname()[1]
        self._seconds = seconds
        self._since: dict[int, float] = {}  # by port: when its last request ended, or the connection was first seen
        self._busy: dict[int, int] = {}  # by port: requests in progress

    def begin(self, port: int) -> None:
        """A request of the client at this port has begun."""
        self._busy[port] = self._busy.get(port, 0) + 1

    def end(self, port: int) -> None:
        """A request of the client at this port has ended."""
        left = self._busy[port] - 1
        if left:
            self._busy[port] = left
        else:
            del self._busy[port]
            self._since[port] = time.monotonic()

    def count(self) -> int:
        """How many are open."""
        return sum(1 for _ in self._open())

    def close_idle(self) -> None:
        """Close those that have been idle for too long."""
        now, since = time.monotonic(), {}
        for connection in self._open():
            port = connection.getpeername()[1]
            since[port] = self._since.get(port, now)
            if now - since[port] > self._seconds and port not in self._busy:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)  # the library sees its end, and closes it
        self._since = since

    def _open(self) -> Iterator[socket.socket]:
        """Each connection, by a descriptor of its own: the library's can be closed at any time."""
        for file in _FILES.iterdir():
            with suppress(OSError), _socket(int(file.name)) as found:
                own = found.getsockname()
                found.getpeername()  # or it is no connection
                if (own if found.family == socket.AF_UNIX else own[1]) == self._here:
                    yield found


def _socket(file: int) -> socket.socket:
    own = os.dup(file)
    try:
        return socket.socket(fileno=own)
    except OSError:  # it is no socket
        os.close(own)
        raise
