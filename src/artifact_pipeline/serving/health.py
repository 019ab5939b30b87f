"""Ask a server of this machine whether it is ready: the health check of a container, without curl or a shell."""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import closing
from typing import TYPE_CHECKING

from artifact_pipeline.errors import PipelineError
from artifact_pipeline.serving.binding import LOCAL, format_url, without_brackets

if TYPE_CHECKING:
    from pathlib import Path


def check_ready(
    *, host: str, port: int, uds: Path | None = None, tls_certificate: Path | None = None, timeout: float
) -> str:
    """Return a server's address when it says that it is ready.

    Args:
        host: the server's `--host`.
        port: its `--port`.
        uds: its `--uds`, in place of both.
        tls_certificate: its `--tls-certificate`; the only certificate that is trusted then.
        timeout: seconds for connecting, and for each read.

    Raises:
        PipelineError: it says that it is not ready, or something else, or nothing.
    """
    host = without_brackets(host)
    address = f"unix:{uds}" if uds is not None else format_url(host, port, tls=tls_certificate is not None)
    certificate = tls_certificate if uds is None else None
    try:
        with closing(_connection(LOCAL.get(host, host), port, certificate=certificate, timeout=timeout)) as connection:
            if uds is not None:
                connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.sock.settimeout(timeout)
                connection.sock.connect(str(uds))
            connection.request("GET", "/v2/health/ready")
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise PipelineError(f"no answer from {address}: {reason}", hint="artifact-pipeline serve starts one") from error
    if status != http.HTTPStatus.OK:
        raise PipelineError(f"not ready: {address} answers {status}", hint="its log says whether it starts or ends")
    return address


def _connection(host: str, port: int, *, certificate: Path | None, timeout: float) -> http.client.HTTPConnection:
    """Return a connection that is not open yet.

    Raises:
        OSError: the certificate cannot be read.
    """
    if certificate is None:
        return http.client.HTTPConnection(host, port, timeout=timeout)
    # The server's own certificate is the only one trusted, whichever name it is for: the client calls an address.
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
