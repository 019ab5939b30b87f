"""A real server for a test: `artifact-pipeline serve` as a process of its own, on a port of its own."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SRC = Path(__file__).resolve().parents[1] / "src"


@dataclass(slots=True)
class Server:
    """A server that runs.

    Attributes:
        url: where, without a slash at its end.
        process: its process; with several workers their parent.
        talk: the file that takes its standard error.
        artifact: the digest of the artifact that it began with.
    """

    url: str
    process: subprocess.Popen[str]
    talk: Path
    artifact: str

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own: status, headers by names in lower case, body."""
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    def infer(self, rows: Any, *, name: str = "digits", datatype: str = "FP64") -> tuple[int, dict[str, Any]]:
        """Ask for the answers to rows, of shape (n, features)."""
        tensor = {"name": "X", "shape": list(rows.shape), "datatype": datatype, "data": rows.tolist()}
        status, _, body = self.ask("POST", f"/v2/models/{name}/infer", json.dumps({"inputs": [tensor]}).encode())
        return status, json.loads(body)

    def figure(self, name: str, **labels: str) -> float:
        """One figure of /metrics; 0 where it has not been counted yet."""
        _, _, body = self.ask("GET", "/metrics")
        for line in body.decode().splitlines():
            told, _, value = line.rpartition(" ")
            found = told.partition("{")[0]
            if found == f"artifact_pipeline_{name}" and all(f'{key}="{text}"' in told for key, text in labels.items()):
                return float(value)
        return 0.0

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end, and wait: its exit status."""
        self.process.send_signal(number)
        return self.process.wait(30)


def wait_until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait for something to become true, and fail where it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it has not come"
        time.sleep(0.02)


def memory(pid: int, field: str = "VmRSS") -> float:
    """What a process holds, or with `VmHWM` held at most, in MiB."""
    told = re.search(rf"^{field}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert told is not None
    return int(told[1]) / 1024


def sockets(pid: int) -> int:
    """How many sockets a process has open."""
    found = 0
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found += str(each.readlink()).startswith("socket:")
    return found


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    """Whether a process runs, and is not just waiting for somebody to ask how it has ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


@contextmanager
def serving(
    artifact: Path, *options: str | Path, env: Mapping[str, str] | None = None, before: Sequence[str | Path] = ()
) -> Iterator[Server]:
    """Serve an artifact for the block, ready when it begins; ended, if the test has not done so, with it.

    What stands `before` the command is a program that becomes the server, such as `env`.
    """
    command = [sys.executable, "-m", "artifact_pipeline", "serve", str(artifact), "--port", "0", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(SRC), **(env or {})}
    with tempfile.NamedTemporaryFile("w+", suffix=".log") as talk:
        process = subprocess.Popen(
            [*map(str, before), *command, *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=talk,
            text=True,
            env=environment,
            process_group=0,  # what a test sends to all of the server's processes does not reach the tests
        )
        try:
            assert process.stdout is not None
            lines = []
            while not lines or lines[-1] != "}":
                line = process.stdout.readline()
                assert line, Path(talk.name).read_text()
                lines.append(line.rstrip("\n"))
            told = json.loads("".join(lines))
            yield Server(told["url"], process, Path(talk.name), told["artifact"])
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()
                assert process.stdout is not None
                process.stdout.close()
