"""A real server of MLflow for a test, and a proxy before it that cuts a connection at a request."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from servers import wait_until
from tools import program_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "ORT_DISABLE_TELEMETRY": "1"}


@contextmanager
def tracking(folder: Path, *options: str) -> Iterator[str]:
    """Run a server with a database and files in a folder, and give its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    mlflow = program_of(".venv-mlflow", "mlflow")
    command = [mlflow, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = [
        "--backend-store-uri",
        f"sqlite:///{folder}/tracking.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*command, *stores, *options],
            cwd=folder,
            env={**os.environ, **QUIET, "TMPDIR": str(folder)},  # it leaves a file there
            stdout=log,
            stderr=log,
        )
        try:
            wait_until(lambda: healthy(port), seconds=300)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def healthy(port: int) -> bool:
    try:
        with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
    except OSError:
        return False


def ask(uri: str, *arguments: str | Path) -> dict[str, Any]:
    """What MLflow's own client says of a server: of a model and experiment of one name, or with --each of several."""
    script = ROOT / "tests" / "mlflow" / "ask.py"
    done = subprocess.run(
        [program_of(".venv-mlflow", "python"), script, uri, *arguments],
        env={**os.environ, **QUIET},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@dataclass
class Answers:
    """What a server of a test answers, and what it was asked.

    Attributes:
        upstream: the address to which each request goes; None where `scripted` answers.
        scripted: status, headers and body of each answer.
        cut_at: the number of the request at which the connection is cut, before it or after it went on.
        after: cut once the server behind has done what it was asked.
        requests: method, path and headers of each request.
    """

    upstream: str | None = None
    scripted: tuple[int, dict[str, str], bytes] = (200, {}, b"{}")
    cut_at: int | None = None
    after: bool = False
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, method: str, path: str, headers: dict[str, str]) -> int:
        """Take note of a request, and return how many there are."""
        with self._lock:
            self.requests.append((method, path, headers))
            return len(self.requests)


@contextmanager
def answering(answers: Answers) -> Iterator[str]:
    """Serve what a test has prepared, and give the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            number = answers.count(self.command, self.path, dict(self.headers))
            cut = answers.cut_at is not None and number >= answers.cut_at
            if cut and not answers.after:
                self.close()
                return
            status, headers, data = self.forwarded(body) if answers.upstream else answers.scripted
            if cut:
                self.close()
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = handle_one  # noqa: N815 - http.server's names

        def close(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def forwarded(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            parts = urlsplit(str(answers.upstream))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            with closing(HTTPConnection(str(parts.hostname), parts.port, timeout=60)) as connection:
                connection.request(self.command, self.path, body, headers)
                response = connection.getresponse()
                return response.status, {"Content-Type": response.getheader("Content-Type", "")}, response.read()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
