"""The nginx of the documentation for a test: a real one, that terminates TLS before a server of a test."""

from __future__ import annotations

import datetime as dt
import gzip
import http.client
import re
import socket
import ssl
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from servers import wait_until
from tools import require_tool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from servers import Server

NAME = "ml.example"
PUBLIC = f"https://{NAME}/digits/"
SERVING = Path(__file__).resolve().parents[1] / "docs" / "serving.md"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An nginx that runs.

    Attributes:
        port: where it listens on this machine; browsers know it as `ml.example`, port 443.
        certificate: the file of its certificate.
    """

    port: int
    certificate: Path

    def ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """One request over TLS, its certificate verified: status, headers by names in lower case, body."""
        trust = ssl.create_default_context(cafile=self.certificate)
        connection = http.client.HTTPConnection(NAME, 443, timeout=30)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        with plain, trust.wrap_socket(plain, server_hostname=NAME) as connection.sock:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            answer = response.read()
            return response.status, told, gzip.decompress(answer) if "content-encoding" in told else answer


def documented_block() -> str:
    """The `server` block that the documentation shows."""
    (block,) = re.findall(r"^```nginx\n(.*?)^```$", SERVING.read_text(), re.MULTILINE | re.DOTALL)
    return str(block)


@contextmanager
def proxying(block: str, server: Server, folder: Path) -> Iterator[Proxy]:
    """Run nginx for the block, ready when it begins.

    Args:
        block: a `server` block; what it says of port, certificate and the server's address is put in its place.
        server: what it stands before.
        folder: an empty one.
    """
    write_certificate(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    host, upstream = server.address
    changes = {
        "443": f"127.0.0.1:{port}",
        "/etc/ssl/certs/ml.example.pem": f"{folder}/own.pem",
        "/etc/ssl/private/ml.example.key": f"{folder}/own.key",
        "127.0.0.1:8080": f"{host}:{upstream}",
    }
    for documented, here in changes.items():
        assert block.count(documented) == 1, documented
        block = block.replace(documented, here)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    whole = f"daemon off; master_process off; pid {folder}/pid; events {{}}\nhttp {{ access_log off;\n{places}{block}}}"
    (folder / "nginx.conf").write_text(whole)
    command = [require_tool("nginx"), "-p", folder, "-e", folder / "log", "-c", folder / "nginx.conf"]
    process = subprocess.Popen(command)
    try:
        wait_until(lambda: _listens(port) or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text()
        yield Proxy(port, folder / "own.pem")
    finally:
        process.terminate()
        process.wait(30)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=20).close()
    except ConnectionRefusedError:
        return False
    return True


def write_certificate(folder: Path) -> None:
    """Write `own.pem` and `own.key`: a certificate for `ml.example` that signs itself, for a day."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "own.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "own.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
