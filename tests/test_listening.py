"""Where a server listens, and how: Unix sockets, TLS, HTTP/2; by real clients."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from artifact_pipeline.errors import ConfigError
from artifact_pipeline.serving.tls import check_tls
from asking import DIGITS, INFER, ask
from conftest import run_python
from servers import memory, serving, wait_until
from tools import publish, require_tool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from artifact_pipeline.training.sealed import Candidate
    from servers import Server

GOOD = ask(DIGITS.X[:1])
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
"""How a client begins HTTP/2: its preface and a frame of no settings."""


@pytest.fixture(scope="module")
def root(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("listening")
    publish(place, candidate)
    return place


@pytest.fixture(scope="module")
def files(root: Path) -> Path:
    """A certificate and its key, another key, and an encrypted one."""
    openssl = require_tool("openssl")

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=root, check=True, capture_output=True)

    curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    run("genpkey", *curve, "-out", "key.pem")
    run("genpkey", *curve, "-out", "another.pem")
    run("pkey", "-in", "key.pem", "-aes256", "-passout", "pass:x", "-out", "encrypted.pem")
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    run("req", "-x509", "-key", "key.pem", "-subj", "/CN=localhost", "-addext", names, "-out", "certificate.pem")
    return root


@pytest.fixture(scope="module")
def secure(files: Path) -> Iterator[Server]:
    """The documented model by TLS, with little patience; it has nothing to say on standard error."""
    tls = ("--tls-certificate", files / "certificate.pem", "--tls-key", files / "key.pem")
    with serving(files / "artifact", *tls, "--keep-alive", "1", "--timeout", "0.5") as server:
        yield server
        assert server.talk.read_text() == ""


def curl(*arguments: str | Path, data: bytes = b"") -> bytes:
    """What curl prints."""
    command = [require_tool("curl"), "-sS", *map(str, arguments)]
    return subprocess.run(command, check=True, input=data, stdout=subprocess.PIPE, timeout=60).stdout


# Unix sockets


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_unix_socket_is_served(root: Path, tmp_path: Path, workers: str) -> None:
    """With --uds the socket is served, a second server refused, and the path free at the end."""
    path = tmp_path / "s"
    with serving(root / "artifact", "--uds", path, "--workers", workers) as server:
        assert server.url == f"unix:{path}"
        told = curl("--unix-socket", path, f"http://localhost{INFER}", "--data-binary", "@-", data=GOOD.body)
        assert json.loads(told)["model_version"] == server.artifact.removeprefix("sha256:")
        second = run_python("-m", "artifact_pipeline", "serve", root / "artifact", "--uds", path, cwd=tmp_path)
        assert second.returncode == 2
        assert f"--uds: another server listens on {path}" in second.stderr
        assert server.stop() == 0
        assert not path.exists()
        assert server.talk.read_text() == ""


def test_a_dead_socket_is_replaced_and_no_other_file(root: Path, tmp_path: Path) -> None:
    """The socket that a killed server has left is taken; a file that is no socket is refused and stays as it is."""
    path = tmp_path / "s"
    with serving(root / "artifact", "--uds", path) as server:
        server.process.kill()
        server.process.wait(20)
    assert path.is_socket()
    with serving(root / "artifact", "--uds", path) as server:
        assert json.loads(curl("--unix-socket", path, "http://localhost/v2/health/live")) == {"live": True}
    for place, words in ((tmp_path / "file", "is no socket"), (tmp_path / ("x" * 120), "too long")):
        if words == "is no socket":
            place.write_text("kept")
        refused = run_python("-m", "artifact_pipeline", "serve", root / "artifact", "--uds", place, cwd=tmp_path)
        assert refused.returncode == 2
        assert words in refused.stderr
    assert (tmp_path / "file").read_text() == "kept"


# TLS


def test_http_1_and_2_are_spoken_by_tls(files: Path, secure: Server) -> None:
    """By TLS a client gets the same answer over HTTP/1.1 and HTTP/2, and a page of this server may ask."""
    own = ("-H", f"Origin: {secure.url}", "-w", "\n%{http_version}", "--data-binary", "@-")
    told = {}
    for version in ("1.1", "2"):
        option = "--http2" if version == "2" else "--http1.1"
        answer = curl("--cacert", files / "certificate.pem", option, secure.url + INFER, *own, data=GOOD.body)
        told[version], _, spoken = answer.rpartition(b"\n")
        assert spoken.decode() == version
    assert told["1.1"] == told["2"]
    assert json.loads(told["2"])["outputs"]


def test_the_oldest_tls_is_1_2(files: Path, secure: Server) -> None:
    """TLS 1.2 is spoken, and nothing older."""
    context = ssl.create_default_context(cafile=str(files / "certificate.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(secure.address, timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        assert wrapped.version() == "TLSv1.2"
    context = ssl.create_default_context(cafile=str(files / "certificate.pem"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(secure.address, timeout=20) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="localhost")


@pytest.mark.slow
def test_idle_connections_by_tls_are_closed(files: Path, secure: Server) -> None:
    """A connection without a whole handshake or without a request is closed in time, by HTTP/1.1 and HTTP/2."""

    def by_tls(protocol: str, data: bytes) -> socket.socket:
        context = ssl.create_default_context(cafile=str(files / "certificate.pem"))
        context.set_alpn_protocols([protocol])
        plain = stack.enter_context(socket.create_connection(secure.address, timeout=20))
        wrapped = stack.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
        wrapped.sendall(data)
        return wrapped

    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(secure.address, timeout=20)) for _ in range(3)]
        slow[1].sendall(b"\x16")
        slow[2].sendall(b"\x16\x03\x01\x02\0")
        answered = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
        slow += [by_tls("http/1.1", data) for data in (b"", b"P", b"GET /", answered)]
        slow += [by_tls("h2", data) for data in (b"", b"PRI *", PREFACE)]
        for connection in slow:
            try:
                while connection.recv(1 << 16):
                    pass
            except ConnectionResetError:
                pass
    url = f"{secure.url}/metrics"
    figures = curl("--cacert", files / "certificate.pem", url).decode()
    assert "\nartifact_pipeline_connections 1.0\n" in figures


def test_frames_without_end_fill_no_memory(files: Path, secure: Server) -> None:
    """Headers of HTTP/2 that do not end, and streams that are reset at once, are cut off and fill no memory."""
    context = ssl.create_default_context(cafile=str(files / "certificate.pem"))
    context.set_alpn_protocols(["h2"])
    before = memory(secure.process.pid, "VmHWM")
    headers = (16_000).to_bytes(3, "big") + b"\x01\0\0\0\0\x01" + b"\0" * 16_000
    more = (16_000).to_bytes(3, "big") + b"\x09\0\0\0\0\x01" + b"\0" * 16_000
    resets = b"".join(
        (1).to_bytes(3, "big") + b"\x01\x05" + at.to_bytes(4, "big") + b"\x82"
        + (4).to_bytes(3, "big") + b"\x03\0" + at.to_bytes(4, "big") + b"\0\0\0\x08"
        for at in range(1, 20_001, 2)
    )  # fmt: skip
    for start, block in ((PREFACE + headers, more * 64), (PREFACE, resets)):
        with (
            socket.create_connection(secure.address, timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as wrapped,
        ):
            sent = 0
            try:
                wrapped.sendall(start)
                while sent < 64:
                    wrapped.sendall(block)
                    sent += 1
            except OSError:
                pass
            assert sent < 64
    assert memory(secure.process.pid, "VmHWM") - before < 16
    assert curl("--cacert", files / "certificate.pem", f"{secure.url}/v2/health/live") == b'{"live":true}'


def test_tls_that_cannot_be_used_is_refused(files: Path, tmp_path: Path) -> None:
    """Each mistake with the two files has one sentence that names option and file, before the server listens."""
    (tmp_path / "text.pem").write_text("no PEM")
    unreadable = tmp_path / "secret.pem"
    unreadable.symlink_to("nowhere")
    certificate, key = files / "certificate.pem", files / "key.pem"
    cases = {
        (certificate, None): "--tls-key is missing",
        (None, key): "--tls-certificate is missing",
        (tmp_path / "text.pem", key): "text.pem holds no certificate in PEM",
        (certificate, tmp_path / "text.pem"): "text.pem holds no private key",
        (certificate, files / "another.pem"): f"another.pem is not the key of {certificate}",
        (certificate, files / "encrypted.pem"): "encrypted.pem is encrypted",
        (certificate, unreadable): "secret.pem cannot be read: no such file",
        (tmp_path, key): "cannot be read: is a directory",
    }
    for pair, words in cases.items():
        with pytest.raises(ConfigError) as refused:
            check_tls(*pair)
        assert words in refused.value.message
        assert refused.value.hint
    assert check_tls(None, None) is None
    options = ("--tls-certificate", str(certificate), "--tls-key", str(files / "another.pem"), "--port", "0")
    done = run_python("-m", "artifact_pipeline", "serve", files / "artifact", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert "is not the key of" in done.stderr
    assert "serving" not in done.stdout


def test_open_connections_are_counted(root: Path) -> None:
    """The figure of connections is how many are open, of all clients."""
    with serving(root / "artifact") as server, ExitStack() as stack:
        assert server.figure("connections") == 1
        for _ in range(5):
            stack.enter_context(socket.create_connection(server.address, timeout=20))
        wait_until(lambda: server.figure("connections") == 6)


# Health


def health(folder: Path, *options: str | Path) -> tuple[int, str]:
    """The exit status of `health` and what it says."""
    done = run_python("-m", "artifact_pipeline", "health", *options, cwd=folder)
    return done.returncode, done.stdout + done.stderr


def test_health_asks_the_server_wherever_it_listens(root: Path, files: Path, secure: Server, tmp_path: Path) -> None:
    """`health` ends with 0 at a Unix socket and by the server's own certificate, and with 1 by another one."""
    with serving(root / "artifact", "--uds", tmp_path / "s"):
        assert health(tmp_path, "--uds", "s") == (0, "ready: unix:s\n")
    port = str(secure.address[1])
    assert health(files, "--port", port, "--tls-certificate", "certificate.pem")[0] == 0
    openssl = ("req", "-x509", "-key", files / "another.pem", "-subj", "/CN=localhost", "-out", tmp_path / "other.pem")
    subprocess.run([require_tool("openssl"), *openssl], check=True, capture_output=True)
    status, said = health(tmp_path, "--port", port, "--tls-certificate", "other.pem")
    assert (status, "CERTIFICATE_VERIFY_FAILED" in said) == (1, True)


def test_health_is_1_where_no_server_is_ready(root: Path, tmp_path: Path) -> None:
    """While a server drains, where none listens, and where something else answers, the status is 1 and says why."""
    with serving(root / "artifact", "--drain", "20") as server:
        port = str(server.address[1])
        assert health(tmp_path, "--port", port, "--json")[0] == 0
        assert json.loads(health(tmp_path, "--port", port, "--json")[1]) == {"ready": True, "url": server.url}
        server.process.terminate()
        wait_until(lambda: server.ask("GET", "/v2/health/ready")[0] == 503)
        assert health(tmp_path, "--port", port) == (
            1,
            f"error: not ready: {server.url} answers 503\nhint: its log says whether it starts or ends\n",
        )
        server.stop(signal.SIGINT)
    status, said = health(tmp_path, "--port", port)
    assert (status, "no answer from" in said) == (1, True)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        status, said = health(tmp_path, "--port", str(silent.getsockname()[1]), "--within", "0.2")
    assert (status, "timed out" in said) == (1, True)
