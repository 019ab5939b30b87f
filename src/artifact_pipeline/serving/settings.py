"""The settings of a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.serving.tls import Tls


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """Where browsers find the page behind a proxy.

    Attributes:
        origin: as a browser names it, such as `https://ml.example`.
        host: the host's name alone.
        prefix: the path, with a slash at both ends.
    """

    origin: str
    host: str
    prefix: str

    @property
    def url(self) -> str:
        """The whole URL of the page."""
        return self.origin + quote(self.prefix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Limits and places of a server.

    Attributes:
        host: the address to listen on, a name or a number.
        port: the port; 0 takes any that is free.
        uds: the path of a Unix socket to listen on in place of host and port, or None.
        tls: the certificate and its key; None for plain HTTP.
        workers: the number of processes.
        max_body: bytes of a request's body at most, as it comes and decompressed.
        timeout: seconds within which a body must have come whole.
        keep_alive: seconds that an idle connection is kept, and that a head may take to come.
        connections: requests that a worker reads or answers at once at most; one more is refused with 503.
        queue: requests of a worker that wait for their response at most; one more is refused with 503.
        drain: seconds from SIGTERM, after which the server is not ready, to the end of listening.
        grace: seconds after that in which requests can finish.
        window: the number of latest rows over which drift is judged; 0 judges none.
        follow: the pointer to follow, a path or, as a text, a tag in a registry; or None.
        feedback: the file to which labelled drawings are appended, or None.
        allowed_hosts: names by which a page may call the server, beside IP addresses, localhost and `host`.
        public_url: where browsers find the page behind a proxy; None without a proxy.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    uds: Path | None = None
    tls: Tls | None = None
    workers: int = 1
    max_body: int = 8 << 20
    timeout: float = 10.0
    keep_alive: float = 75.0
    connections: int = 512
    queue: int = 128
    drain: float = 0.0
    grace: float = 10.0
    window: int = 1000
    follow: Path | str | None = None
    feedback: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    public_url: PublicUrl | None = None
