"""Granian in this process: it reads and writes HTTP on our socket, and calls an ASGI application."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING, Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server

from artifact_pipeline.serving.binding import BACKLOG
from artifact_pipeline.serving.limits import MAX_HEAD, SPARE

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.serving.settings import Settings


class HttpServer(Server):
    """The library's server, on a socket that has been bound and listened on before."""

    def __init__(self, application: Callable[..., Any], bound: socket.socket, settings: Settings) -> None:
        # It warns that this use is experimental, and logs each exception, which the application has logged already.
        logging.getLogger("_granian").setLevel(logging.CRITICAL + 1)
        self._bound = bound
        tls = settings.tls
        super().__init__(
            application,
            interface=Interfaces.ASGINL,
            # Where HTTP/2 is possible without TLS, the library waits for the first bytes without end.
            http=HTTPModes.http1 if tls is None else HTTPModes.auto,
            websockets=False,
            backpressure=settings.connections + SPARE,
            http1_settings=HTTP1Settings(
                header_read_timeout=round(1000 * settings.keep_alive), max_buffer_size=MAX_HEAD
            ),
            http2_settings=HTTP2Settings(max_headers_size=MAX_HEAD, max_send_buffer_size=MAX_HEAD * 2),
            ssl_cert=tls.certificate if tls else None,
            ssl_key=tls.key if tls else None,
            ssl_protocol_min=SSLProtocols.tls12,
            log_enabled=False,
        )

    def _init_shared_socket(self) -> None:
        """Take our socket: another process could bind the port that the library would bind."""
        holder: Any = SocketHolder
        self._ssp = None
        descriptor = os.dup(self._bound.fileno())  # which the library closes
        self._shd = holder(descriptor, self._bound.family == socket.AF_UNIX, BACKLOG)

    def end(self) -> None:
        """Stop listening, and close each connection after its last response."""
        self.stop()  # type: ignore[no-untyped-call]
