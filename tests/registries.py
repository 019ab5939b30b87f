"""Registries for tests: Debian's `docker-registry` as a process of its own, and a relay before it that misbehaves."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from tools import require_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}


@contextmanager
def docker_registry(
    folder: Path, *, htpasswd: Path | None = None, deletes: bool = False, secure: Path | None = None
) -> Iterator[str]:
    """Run a registry on a port of its own, with its data in `folder`, and yield its address, `127.0.0.1:PORT`.

    Args:
        folder: is made where it is not there.
        htpasswd: whose users may come in; None lets everybody in.
        deletes: whether manifests may be deleted, which is off by default.
        secure: a folder with `own.pem` and `own.key`, by which it speaks TLS; None speaks HTTP.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yml"
    tls = f", tls: {{certificate: {secure / 'own.pem'}, key: {secure / 'own.key'}}}" if secure else ""
    auth = f"auth: {{htpasswd: {{realm: tests, path: {htpasswd}}}}}\n" if htpasswd else ""
    config.write_text(
        "version: 0.1\nlog: {level: info}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: {str(deletes).lower()}}}}}\n"
        f"http: {{addr: '127.0.0.1:0'{tls}}}\n{auth}"
    )
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [require_tool("docker-registry"), "serve", str(config)], stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        yield _address(process, log)
    finally:
        process.kill()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address that a registry says that it listens on."""
    for _ in range(600):
        found = re.search(r'listening on (127\.0\.0\.1:\d+)[",]', log.read_text())
        if found is not None:
            return found[1]
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            break
    raise AssertionError(log.read_text())


@dataclass
class Request:
    """A request that came to a relay."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Response:
    """A response that a relay gives, or that it got from behind.

    Attributes:
        cut: how many bytes of the body are sent before the connection ends; None sends all of them.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None


class Lost(Exception):
    """The connection ends without a response."""


def forward(address: str, request: Request) -> Response:
    """What the server at `address` answers to a request."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request(request.method, request.path, request.body, request.headers)
        response = connection.getresponse()
        headers = {name: value for name, value in response.getheaders() if name.lower() not in _HOP}
        length = response.getheader("Content-Length")
        if request.method == "HEAD" and length is not None:
            headers["Content-Length"] = length
        return Response(response.status, headers, response.read())
    finally:
        connection.close()


@dataclass
class Relay:
    """An HTTP server whose answers a function gives.

    Attributes:
        address: `127.0.0.1:PORT`.
        requests: all that came.
    """

    address: str
    requests: list[Request]

    def asked(self, part: str) -> list[Request]:
        """The requests whose path has this part."""
        return [each for each in self.requests if part in each.path]


@contextmanager
def relay(answer: Callable[[Request], Response]) -> Iterator[Relay]:
    """Run a server on a port of its own; `answer` may raise `Lost`."""
    requests: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path, dict(self.headers.items()), body)
            requests.append(request)
            try:
                response = answer(request)
            except Lost:
                self.close_connection = True
                return
            self.send_response(response.status)
            headers = {"Content-Length": str(len(response.body)), **response.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.body[: response.cut])
            self.close_connection = response.cut is not None

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._serve)
    with _running(Handler) as port:
        yield Relay(f"127.0.0.1:{port}", requests)


@contextmanager
def tunnel(address: str) -> Iterator[Relay]:
    """Run a proxy that leads each CONNECT to one server, wherever it was to go; `requests` says where."""
    requests: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            requests.append(Request(self.command, self.path, dict(self.headers.items()), b""))
            host, _, port = address.rpartition(":")
            with socket.create_connection((host, int(port)), timeout=30) as behind:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=_pump, args=(behind, self.connection))
                back.start()
                _pump(self.connection, behind)
                back.join()
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with _running(Handler) as port:
        yield Relay(f"127.0.0.1:{port}", requests)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Hand on what comes until the source ends."""
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def _running(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serve on a port of its own, which it yields."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
