"""The servers that are compared: how each is started, what it is asked, and where its answer holds the labels."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
from benchmarks.measure import clean_environment
from benchmarks.serving_load import on_core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Matrix = np.ndarray[tuple[int, int], np.dtype[np.float32]]

FORMATS = ("json", "binary")
HEADER = "Inference-Header-Content-Length"
"""Of the binary extension: how many bytes of a body are JSON; the tensors follow."""
PATIENCE = 60
"""Seconds until a server must be ready."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is posted."""

    path: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back; names of headers in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Server:
    """A server as a user would start it.

    Attributes:
        name: as `--servers` takes it.
        arguments: the program and its arguments, with a `{port}` unless it picks one and tells the URL.
        formats: those of `FORMATS` that it understands.
        call: rows and format as it wants them posted.
        labels: the labels in its answer; None where answers are constant.
    """

    name: str
    arguments: tuple[str, ...]
    formats: tuple[str, ...]
    call: Callable[[Matrix, str], Call]
    labels: Callable[[Answer], list[int]] | None


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers.

    Attributes:
        server: which.
        session: of all its processes, the id.
        url: without a path.
        ready: seconds from its start to its first answer.
    """

    server: Server
    session: int
    url: str
    ready: float

    def ask(self, call: Call) -> Answer:
        """Post by a connection of its own.

        Raises:
            RuntimeError: the status is not 200.
        """
        answer = _post(self.url, call)
        if answer.status != 200:
            raise RuntimeError(f"{self.server.name} answers {answer.status}: {answer.body[:500]!r}")
        return answer


def servers(model: str, python: str) -> dict[str, Server]:
    """All of them, by name.

    Args:
        model: the name of the model in the artifact.
        python: the Python of the peers.
    """
    program = str(Path(sys.executable).with_name("artifact-pipeline"))
    serve = (program, "serve", "artifact", "--port", "0", "--json")

    def ours(X: Matrix, format_: str) -> Call:
        return protocol_call(f"/v2/models/{model}/infer", X, binary=format_ == "binary")

    def bare(X: Matrix, format_: str) -> Call:
        return protocol_call(f"/{format_}-{len(X)}", X, binary=format_ == "binary")

    def mixed(X: Matrix, _: str) -> Call:
        return mixed_call(f"/v2/models/{model}/infer", len(X))

    serve_mixed = (program, "serve", "mixed/artifact", "--port", "0", "--json")
    known = [
        Server("bare", (python, "bare_server.py", "{port}"), FORMATS, bare, None),
        Server("ours", serve, FORMATS, ours, protocol_labels),
        Server("mixed", serve_mixed, ("json",), mixed, None),
        Server("fastapi", (python, "fastapi_server.py", "{port}"), ("json",), plain_call, plain_labels),
        Server("litserve", (python, "litserve_server.py", "{port}"), ("json",), plain_call, plain_labels),
    ]
    return {server.name: server for server in known}


def protocol_call(path: str, X: Matrix, *, binary: bool) -> Call:
    """Rows by the Open Inference Protocol: FP64 as JSON, or FP32 as bytes, and bytes back."""
    given: dict[str, Any] = {"name": "X", "shape": list(X.shape), "datatype": "FP64"}
    if not binary:
        return _json_call(path, {"inputs": [{**given, "data": X.ravel().tolist()}]})
    raw = X.astype("<f4").tobytes()
    given |= {"datatype": "FP32", "parameters": {"binary_data_size": len(raw)}}
    head = _json({"inputs": [given], "parameters": {"binary_data_output": True}})
    return Call(path, head + raw, {"Content-Type": "application/octet-stream", HEADER: str(len(head))})


def mixed_row(index: int) -> dict[str, Any]:
    """A row of three numbers, two categories and a boolean, a function of its index alone."""
    return {
        "age": 18.0 + index * 7 % 70,
        "income": 20_000.0 + index * 977 % 50_000,
        "made": 1_700_000_000.0 + index * 7919 % 1_000_000,
        "city": ("Berlin", "Paris", "Rome")[index % 3],
        "plan": ("a", "b", "c", "d")[index * 5 % 7 % 4],
        "smoker": index % 2 == 0,
    }


def mixed_call(path: str, rows: int) -> Call:
    """Rows of a mixed table by the Open Inference Protocol, a tensor a column, as JSON."""
    found = [mixed_row(index) for index in range(rows)]
    types = {"city": "BYTES", "plan": "BYTES", "smoker": "BOOL"}
    inputs = [
        {"name": name, "shape": [rows], "datatype": types.get(name, "FP64"), "data": [row[name] for row in found]}
        for name in found[0]
    ]
    return _json_call(path, {"inputs": inputs})


def protocol_labels(answer: Answer) -> list[int]:
    """The labels of an answer by the protocol; tensors that have no data are bytes after the JSON, in turn."""
    at = int(answer.headers.get(HEADER.lower(), len(answer.body)))
    for output in json.loads(answer.body[:at])["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size", 0)
        if output["datatype"] == "INT64":
            return [int(label) for label in output.get("data", np.frombuffer(answer.body[at : at + size], "<i8"))]
        at += size
    raise RuntimeError("no output of the answer holds labels")


def plain_call(X: Matrix, _: str) -> Call:
    """Rows as the peers take them."""
    return _json_call("/predict", {"rows": X.tolist()})


def plain_labels(answer: Answer) -> list[int]:
    """Labels as the peers give them."""
    labels: list[int] = json.loads(answer.body)["labels"]
    return labels


def _json_call(path: str, body: Any) -> Call:
    return Call(path, _json(body), {"Content-Type": "application/json"})


def _json(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


@contextmanager
def started(server: Server, folder: Path, first: Call, core: int | None) -> Iterator[Running]:
    """Start a server, and stop it in the end.

    Args:
        server: which.
        folder: its working folder.
        first: what is posted until it is answered; then the server is ready.
        core: the one that it runs on.

    Raises:
        RuntimeError: it ended, or was not ready in time.
    """
    port = _free_port()
    known = f"http://127.0.0.1:{port}"
    arguments = [argument.format(port=port) for argument in server.arguments]
    tells = arguments == list(server.arguments)
    told = ("ARTIFACT_PIPELINE_", "OTEL_")  # settings of ours, and where the peers would report to
    environment = {name: value for name, value in clean_environment().items() if not name.startswith(told)}
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as talk:
        begin = time.perf_counter()
        with on_core(core):
            process = subprocess.Popen(
                arguments,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=talk,
                start_new_session=True,
            )
        try:
            while not _answers(url := _told_url(_written(printed)) if tells else known, first):
                if process.poll() is not None or time.perf_counter() - begin > PATIENCE:
                    said = (_written(printed) + _written(talk)).decode(errors="replace")
                    raise RuntimeError(f"{server.name} did not get ready: {said}")
                time.sleep(0.002)
            yield Running(server, process.pid, url, time.perf_counter() - begin)
        finally:
            _stop(process)


def _written(file: IO[bytes]) -> bytes:
    """What a process has written so far; its place in the file, which this process shares, stays."""
    return os.pread(file.fileno(), 1 << 16, 0)


def _told_url(printed: bytes) -> str:
    """The URL in the JSON object that a server prints when it is ready; empty until then."""
    with suppress(ValueError, KeyError):
        return str(json.loads(printed)["url"]).rstrip("/")
    return ""


def _answers(url: str, call: Call) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return bool(url) and _post(url, call).status == 200
    return False


def _post(url: str, call: Call) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
    try:
        connection.request("POST", call.path, call.body, dict(call.headers))
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, response.read(), headers)
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and end what is left of its session: LitServe leaves its workers behind."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
