"""Ask a server of this machine whether it is ready: the health check of a container, without curl or a shell."""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pathlib import Path

_READY = "/v2/health/ready"
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound to it
"""Addresses that mean all addresses to a server, and where a client of the same machine finds it."""


@dataclass(frozen=True, slots=True)
class _Address:
    """Where a server listens."""

    host: str
    port: int
    uds: Path | None
    tls_certificate: Path | None

    def __str__(self) -> str:
        if self.uds is not None:
            return f"unix:{self.uds}"
        host = self.host.strip("[]")
        scheme = "http" if self.tls_certificate is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"


def check_ready(
    *, host: str, port: int, uds: Path | None = None, tls_certificate: Path | None = None, timeout: float
) -> str:
    """Return a server's address when it says that it is ready.

    Args:
        host: the server's `--host`.
        port: its `--port`.
        uds: its `--uds`, in place of both.
        tls_certificate: its `--tls-certificate`; the one certificate that is trusted then.
        timeout: seconds for connecting, and for each read.

    Raises:
        PipelineError: it says that it is not ready, or something else, or nothing.
    """
    address = _Address(host, port, uds, tls_certificate)
    try:
        with closing(_connection(address, timeout)) as connection:
            if address.uds is not None:
                connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.sock.settimeout(timeout)
                connection.sock.connect(str(address.uds))
            connection.request("GET", _READY)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise PipelineError(f"no answer from {address}: {reason}", hint="artifact-pipeline serve starts one") from error
    if status != http.HTTPStatus.OK:
        raise PipelineError(f"not ready: {address} answers {status}", hint="its log says whether it starts or ends")
    return str(address)


def _connection(address: _Address, timeout: float) -> http.client.HTTPConnection:
    """Return a connection that is not open yet.

    Raises:
        OSError: the certificate cannot be read.
    """
    host = address.host.strip("[]")
    host = _HERE.get(host, host)
    if address.uds is not None or address.tls_certificate is None:
        return http.client.HTTPConnection(host, address.port, timeout=timeout)
    # The server's own certificate is the only one trusted, whichever name it is for: the client calls an address.
    context = ssl.create_default_context(cafile=str(address.tls_certificate))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return http.client.HTTPSConnection(host, address.port, timeout=timeout, context=context)
