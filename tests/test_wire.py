"""What a client says on the wire, byte by byte: heads, trailers, chunks, offers; whichever library reads it."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import select
import socket
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asking import DIGITS, INFER, ask
from conftest import ROOT
from servers import Server, memory, serving
from tools import publish, require_tool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.training.sealed import Candidate

CASES = Path(__file__).resolve().parent / "cases"
MIB = 1 << 20
GOOD = ask(DIGITS.X[:1], outputs=[{"name": "label"}])
POST = b"POST %s HTTP/1.1\r\nHost: x\r\n" % INFER.encode()
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
BY_LENGTH = b"Content-Length: %d\r\n\r\n" % len(GOOD.body) + GOOD.body
IN_CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n3\r\n%s\r\n%X\r\n%s\r\n0\r\n\r\n" % (
    GOOD.body[:3],
    len(GOOD.body) - 3,
    GOOD.body[3:],
)
H2C = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
)
"""What Java's client sends with each of its first requests."""
CUT_OFF = "the request ends before it is whole, or its chunks or trailers are wrong or too large"
LAST = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n"


@pytest.fixture(scope="module")
def root(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wire")
    publish(place, candidate)
    return place


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Server]:
    """The documented model; whatever is said to it, it has nothing to say on standard error."""
    with serving(root / "artifact") as running:
        yield running
        assert running.talk.read_text() == ""


@contextmanager
def speaking(server: Server, data: bytes = b"") -> Iterator[socket.socket]:
    """A connection on which something has been said."""
    with socket.create_connection(server.address, timeout=30) as connection:
        connection.sendall(data)
        yield connection


def response(connection: socket.socket, method: str = "POST") -> tuple[int, dict[str, str], Any]:
    """The next response on a connection, and nothing behind it."""
    found = http.client.HTTPResponse(connection, method=method)
    found.begin()
    return found.status, {name.lower(): value for name, value in found.getheaders()}, found.read()


def talk(server: Server, data: bytes) -> list[tuple[int, bytes]]:
    """Statuses and bodies that are answered to bytes, until the server has closed; it is asked to do so behind them."""
    with speaking(server, data + LAST) as connection:
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    found = []
    while answer:
        head, _, answer = answer.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        found.append((int(head.split()[1]), answer[: int(length[1])]))
        answer = answer[int(length[1]) :]
    return found[:-1] if found[-1:] == [(200, b'{"live":true}')] else found


def error(server: Server, data: bytes) -> tuple[int, str]:
    """The status and the sentence of the one refusal that bytes get, before the connection is closed."""
    ((status, body),) = talk(server, data)
    return status, json.loads(body)["error"]


# Heads


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"GET /v2 HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "the header Host stands twice"),
        (b"GET /v2 HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", 400, "the header Host stands twice"),
        (b"GET /v2 HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, "the header Host stands twice"),
        (POST + b"Origin: http://x\r\nOrigin: http://x\r\n" + BY_LENGTH, 400, "the header Origin stands twice"),
        (POST + b"Origin: http://e\r\norigin: http://x\r\n" + IN_CHUNKS, 400, "the header Origin stands twice"),
        (
            POST + b"Inference-Header-Content-Length: 1\r\n" * 2 + BY_LENGTH,
            400,
            "the header Inference-Header-Content-Length stands twice",
        ),
        (POST + b"Content-Encoding: gzip\r\n" * 2 + BY_LENGTH, 415, "got 'gzip, gzip'"),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "must be chunked, got 'gzip, chunked'"),
        (
            POST + b"Transfer-Encoding: br\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            501,
            "must be chunked, got 'br, chunked'",
        ),
        (
            POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            501,
            "must be chunked, got 'chunked, chunked'",
        ),
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_refused(server: Server, data: bytes, status: int, words: str) -> None:
    """A head that HTTP does not allow, or whose body has another framing, has one refusal and ends the connection."""
    (found, body), *more = talk(server, data)
    sentence = json.loads(body)["error"]
    assert (found, more) == (status, [])
    assert words in sentence
    if status != 415:  # an encoding is the body's alone: the connection can go on
        with speaking(server, data) as connection:
            assert response(connection)[1]["connection"] == "close"
            assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "data",
    [
        b"GET /v2\r\n\r\n",
        b"GET /v2\r\nHost: x\r\n\r\n",
        b"GET /v2 HTTP/0.9\r\nHost: x\r\n\r\n",
        b"GET /v2 HTTP/2.0\r\nHost: x\r\n\r\n",
        POST + b"Transfer-Encoding: gzip\r\n\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n",
    ],
)
def test_a_head_that_cannot_be_read_is_refused(server: Server, data: bytes) -> None:
    """A head that is not HTTP/1.1, or whose body has no end, has a bare 400 and ends the connection."""
    assert talk(server, data) == [(400, b"")]


@pytest.mark.parametrize(
    "data",
    [
        b"GET /v2 HTTP/1.1\r\n\r\n",
        POST + b"Content-Length: 5\r\n" + IN_CHUNKS,
        b"GET /v2 HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: x\r\nAccept: a\r\nAccept: b\r\nCookie: a\r\nCookie: b\r\n\r\n",
        b"\r\n\r\nGET /v2 HTTP/1.1\r\nHost: x\r\n\r\n",
        POST + b"Transfer-Encoding: Chunked\r\n\r\n" + IN_CHUNKS.partition(b"\r\n\r\n")[2],
        POST + IN_CHUNKS[:-2] + b"X-Checksum: 1\r\nX-More: " + b"x" * 16_000 + b"\r\n\r\n",
        CHUNKED + b"".join(b"1\r\n%c\r\n" % each for each in GOOD.body) + b"0\r\n\r\n",
        CHUNKED + b"".join(b"00000001\r\n%c\r\n" % each for each in GOOD.body + b" " * 4_096) + b"00000000\r\n\r\n",
        CHUNKED + b'%x;name=value;name="value"\r\n%s\r\n0;last\r\n\r\n' % (len(GOOD.body), GOOD.body),
        CHUNKED + b"".join(b"1;a=b\r\n%c\r\n" % each for each in GOOD.body) + b"0\r\n\r\n",
    ],
    ids=[
        "no host",
        "length and chunks",
        "empty host",
        "lists",
        "blank lines",
        "case",
        "trailers",
        "bytes",
        "padded",
        "extension",
        "extensions",
    ],
)
def test_what_is_unusual_and_allowed_is_answered(server: Server, data: bytes) -> None:
    """Lists in several lines, trailers, chunks of one byte, and modest extensions of them are no harm."""
    (found,) = talk(server, data)
    assert found[0] == 200


def test_http_1_0_is_answered(server: Server) -> None:
    """A request of HTTP/1.0, without Host, is answered, and the connection is closed behind it."""
    with speaking(server, b"GET /v2 HTTP/1.0\r\n\r\n") as connection:
        assert response(connection, "GET")[0] == 200
        assert connection.recv(1) == b""


# All that is sent counts


def until_refused(server: Server, start: bytes, block: bytes, most: int = 1 << 30) -> tuple[int, bytes]:
    """Send the same again and again until something is answered or the server hangs up: MiB sent, and the answer."""
    block *= max(1, MIB // len(block))
    sent = 0
    with speaking(server, start) as connection:
        try:
            while sent < most and not select.select([connection], [], [], 0)[0]:
                sent += connection.send(block)
            return sent // MIB, connection.recv(1 << 16)
        except (BrokenPipeError, ConnectionResetError):
            return sent // MIB, b""


ENDLESS = {
    "trailers": (CHUNKED + b"0\r\n", b"A: " + b"b" * 97 + b"\r\n"),
    "trailers behind a body": (POST + IN_CHUNKS[:-2], b"A: " + b"b" * 97 + b"\r\n"),
    "short trailers": (CHUNKED + b"0\r\n", b"a:\r\n"),
    "a trailer": (CHUNKED + b"0\r\nA: ", b"b" * 100),
    "a trailer's name": (CHUNKED + b"0\r\n", b"b" * 100),
    "trailers to nothing": (
        b"POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"A: " + b"b" * 97 + b"\r\n",
    ),
    "trailers behind an offer": (POST + H2C + IN_CHUNKS[:-2], b"A: " + b"b" * 97 + b"\r\n"),
    "headers": (POST, b"A: " + b"b" * 97 + b"\r\n"),
    "a header": (POST + b"A: ", b"b" * 100),
    "a header's name": (POST, b"b" * 100),
    "an address": (b"GET /", b"b" * 100),
    "headers of a second request": (b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n" + POST, b"A: " + b"b" * 97 + b"\r\n"),
    "headers of an offer": (POST + H2C, b"A: " + b"b" * 97 + b"\r\n"),
    "an extension": (CHUNKED + b"1;", b"b" * 100),
    "an extension's value": (CHUNKED + b'1;a="', b"b" * 100),
    "extensions": (CHUNKED, b"1;" + b"b" * 100 + b"\r\nx\r\n"),
    "blank lines": (b"", b"\r\n" * 100),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_what_comes_beside_a_body_is_bounded(root: Path, server: Server, case: str) -> None:
    """Lines, trailers and extensions without end, up to 1 GiB of them, are refused soon, and fill no memory."""
    del root
    assert talk(server, POST + b"Connection: close\r\n" + BY_LENGTH)[0][0] == 200
    held = memory(server.process.pid, "VmHWM")
    sent, answer = until_refused(server, *ENDLESS[case])
    assert sent < 64  # what the system takes on the way, and what it takes until the answer is seen
    assert memory(server.process.pid, "VmHWM") - held < 8
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", answer)
    # What comes before the endless part is answered; where a reset overtakes an answer, it is lost on the way.
    before = {"headers of a second request": [b"200"], "trailers to nothing": [b"404"]}.get(case, [])
    assert statuses in [before, [*before, b"400"], [*before, b"431"], [b"400"], [b"431"], []]
    assert server.ask("GET", "/v2")[0] == 200


@pytest.mark.slow
def test_a_size_without_end_ends_with_its_time(root: Path) -> None:
    """A chunk's size of zeros without end fills no memory, and is refused once the request's time is over."""
    with serving(root / "artifact", "--timeout", "1") as server:
        held = memory(server.process.pid, "VmHWM")
        _, answer = until_refused(server, CHUNKED, b"0" * 100)
        assert memory(server.process.pid, "VmHWM") - held < 8
        assert re.findall(rb"HTTP/1\.1 (\d+) ", answer) in [[b"408"], []]


@pytest.mark.parametrize(
    "data",
    [
        POST + IN_CHUNKS[:-2] + b"A: %s\r\n\r\n" % (b"x" * 40_000),
        POST + IN_CHUNKS[:-2] + b"A: b\r\n" * 8_000 + b"\r\n",
        CHUNKED + b"1;%s\r\nx\r\n0\r\n\r\n" % (b"x" * MIB),
    ],
    ids=["a trailer", "trailers", "an extension"],
)
def test_too_much_beside_a_body_is_refused(server: Server, data: bytes) -> None:
    """More trailers or extensions than the library takes are refused with 400, also where they end."""
    assert error(server, data) == (400, CUT_OFF)


# Offers of another protocol


@pytest.mark.parametrize("offer", [H2C, WEBSOCKET], ids=["h2c", "websocket"])
@pytest.mark.parametrize("body", [BY_LENGTH, IN_CHUNKS], ids=["by its length", "in chunks"])
def test_an_offer_of_another_protocol_is_passed_over(server: Server, offer: bytes, body: bytes) -> None:
    """A request that offers to go on by another protocol is answered in this one, and the connection goes on."""
    ((_, plain),) = talk(server, POST + b"Connection: close\r\n" + BY_LENGTH)
    with speaking(server) as connection:
        for _ in range(3):
            connection.sendall(POST + offer + body)
            status, headers, answer = response(connection)
            assert (status, answer) == (200, plain)
            assert not {"upgrade", "connection"} & headers.keys()
        connection.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\n%s\r\n" % offer)
        assert response(connection, "GET")[0] == 200


def test_offers_may_be_sent_ahead(server: Server) -> None:
    """Requests with and without an offer that come at once are answered in their order."""
    get = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n"
    data = POST + H2C + IN_CHUNKS + get + H2C + b"\r\n" + POST + BY_LENGTH + (get + WEBSOCKET + b"\r\n") * 3
    data += POST + H2C + BY_LENGTH
    found = talk(server, data)
    kinds = ["label" if b'"label"' in body else json.loads(body) for _, body in found]
    live = {"live": True}
    assert kinds == ["label", live, "label", live, live, live, "label"]
    assert {status for status, _ in found} == {200}


def test_many_offers_to_nothing_are_refused_one_by_one(server: Server) -> None:
    """As many offers as come in one piece are each refused, and none of them costs the depth of a call."""
    offer = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n"
    assert [status for status, _ in talk(server, offer * 3_000)] == [404] * 3_000


def test_an_offer_may_come_byte_by_byte(server: Server) -> None:
    """However a request with an offer is cut into pieces, it is answered."""
    data = POST + H2C + IN_CHUNKS
    with speaking(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            connection.send(bytes([byte]))
        assert response(connection)[0] == 200
        for cut in range(len(data) - len(IN_CHUNKS) - 4, len(data), 7):
            connection.sendall(data[:cut])
            connection.sendall(data[cut:])
            assert response(connection)[0] == 200


@pytest.mark.parametrize("body", [BY_LENGTH, IN_CHUNKS, BY_LENGTH[:-5], IN_CHUNKS[:-5], IN_CHUNKS[:40]])
def test_a_body_behind_an_offer_must_be_whole(server: Server, body: bytes) -> None:
    """A body that is cut off is refused behind an offer as it is without one."""
    whole = body in {BY_LENGTH, IN_CHUNKS}
    for offer in (b"", H2C, WEBSOCKET):
        if whole:
            assert [status for status, _ in talk(server, POST + offer + body)] == [200]
            continue
        with speaking(server, POST + offer + body) as connection:
            connection.shutdown(socket.SHUT_WR)
            status, _, answer = response(connection)
            assert (status, json.loads(answer)) == (400, {"error": CUT_OFF})


def test_an_offer_waits_for_a_word_to_send_its_body(server: Server) -> None:
    """100-continue is said to a client that offers another protocol, too, and once."""
    with speaking(
        server, POST + H2C + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(GOOD.body)
    ) as client:
        assert client.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(GOOD.body)
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_curl_that_offers_http_2_is_answered(server: Server, tmp_path: Path) -> None:
    """`curl --http2` posts a body, and has its answer."""
    (tmp_path / "body").write_bytes(GOOD.body)
    command = [require_tool("curl"), "--http2", "--silent", "--fail", "--data-binary", f"@{tmp_path / 'body'}"]
    done = subprocess.run([*command, server.url + INFER], capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout)["model_name"] == "digits"


@pytest.mark.slow
def test_javas_client_is_answered(server: Server, tmp_path: Path) -> None:
    """Java's HttpClient, which offers HTTP/2 unless it is told not to, has the same answer either way."""
    (tmp_path / "body").write_bytes(GOOD.body)
    command = [require_tool("java"), str(CASES / "H.java"), server.url, str(tmp_path / "body")]
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=120, cwd=ROOT)
    first, second = done.stdout.splitlines()
    assert first.startswith("HTTP_2 -> 200 {")
    assert second.startswith("HTTP_1_1 -> 200 {")
    assert first.partition(" -> ")[2] == second.partition(" -> ")[2]


# What is answered always, and what waits


ALWAYS = ("/metrics", "/v2/health/live", "/v2/health/ready", "/v2/models/digits/ready")


def at_once(server: Server, count: int, data: bytes) -> list[tuple[int, Any]]:
    """Send the same on as many connections before any answer is read: statuses and bodies."""
    with ExitStack() as stack:
        connections = [stack.enter_context(speaking(server)) for _ in range(count)]
        for connection in connections:
            connection.sendall(data)
        found = [response(connection) for connection in connections]
    return [(status, body) for status, _, body in found]


def framed(body: bytes, *headers: str) -> bytes:
    more = "".join(f"{header}\r\n" for header in headers).encode()
    return POST + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("rows", [3, 500], ids=["small", "large"])
@pytest.mark.parametrize("encoding", ["gzip", None])
def test_as_many_requests_wait_as_the_queue_has_room_for(server: Server, rows: int, encoding: str | None) -> None:
    """A hundred requests at once are fewer than the queue's 128: each is answered, small or large, packed or not."""
    asked = ask(DIGITS.X[:rows], outputs=[{"name": "label"}])
    data = (
        framed(asked.body) if encoding is None else framed(gzip.compress(asked.body), f"Content-Encoding: {encoding}")
    )
    assert rows == 3 or len(asked.body) > 100_000
    ((_, plain),) = talk(server, POST + b"Connection: close\r\n" + framed(asked.body)[len(POST) :])
    assert at_once(server, 100, data) == [(200, plain)] * 100


@contextmanager
def busy(server: Server, clients: int) -> Iterator[list[int]]:
    """Clients that keep the server at large requests for the block; the statuses that they get."""
    data, stop = framed(ask(np.tile(DIGITS.X, (2, 1))[:3000]).body), Event()
    statuses: list[int] = []

    def ask_on() -> None:
        with speaking(server) as connection:
            while not stop.is_set():
                connection.sendall(data)
                statuses.append(response(connection)[0])

    threads = [Thread(target=ask_on) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


@pytest.mark.slow
def test_health_and_metrics_are_answered_where_the_queue_is_full(root: Path) -> None:
    """While inferences get 503 since too many wait, health and metrics are answered with 200, every time."""
    with serving(root / "artifact", "--queue", "1") as server, busy(server, 6) as statuses:
        while statuses.count(503) < 20:  # each look finds the queue full, or nearly so
            for path in ALWAYS:
                assert server.ask("GET", path)[0] == 200
    assert 200 in statuses


def test_health_and_metrics_are_answered_where_there_is_no_room_for_bodies(root: Path) -> None:
    """While bodies are refused since too much is being sent, health and metrics are answered."""
    with serving(root / "artifact", "--max-body", "1MiB") as server, ExitStack() as stack:
        half = b"x" * (900 << 10)
        data = POST + b"Content-Length: %d\r\n\r\n" % (len(half) + 1) + half
        many = [stack.enter_context(speaking(server, data)) for _ in range(10)]
        assert select.select(many, [], [], 20)[0]
        for path in ALWAYS:
            assert server.ask("GET", path)[0] == 200


def test_a_connection_beyond_those_that_are_allowed_waits(root: Path) -> None:
    """Where 256 connections more are open than requests are allowed, the next one waits for the end of one of them."""
    with serving(root / "artifact", "--connections", "2") as server, ExitStack() as stack:
        many = [stack.enter_context(speaking(server, LAST[:9])) for _ in range(258)]
        with speaking(server, LAST) as another:
            assert not select.select([another], [], [], 0.3)[0]
            many[0].sendall(LAST[9:])
            assert response(many[0], "GET")[0] == 200
            assert response(another, "GET")[0] == 200


# What a client accepts


OPEN = "application/openmetrics-text"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (OPEN, OPEN),
        (f"{OPEN};version=1.0.0;q=0.5,{OPEN};version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", OPEN),
        (f"{OPEN.upper()} ; Q=0.5", OPEN),
        (f"{OPEN};q=0", "text/plain"),
        (f"{OPEN};q=0.000, */*", "text/plain"),
        (f"text/plain, {OPEN};q=0.5", "text/plain"),
        (f"text/plain, {OPEN}", OPEN),
        (f"{OPEN};q=2", "text/plain"),
        (f"x{OPEN}", "text/plain"),
        ("*/*", "text/plain"),
        ("", "text/plain"),
    ],
)
def test_figures_come_in_the_format_that_is_accepted(server: Server, accept: str, kind: str) -> None:
    """OpenMetrics is given where it is asked for, not less than text, and not with a weight of nothing."""
    assert server.ask("GET", "/metrics", headers={"Accept": accept})[1]["content-type"].partition(";")[0] == kind


# Addresses and names


def test_an_address_may_stand_in_brackets(root: Path) -> None:
    """`--host '[::1]'` is the address as a URL has it."""
    with serving(root / "artifact", "--host", "[::1]") as server:
        assert server.url.startswith("http://[::1]:")
        assert server.infer(DIGITS.X[:1])[0] == 200


@pytest.mark.parametrize("rest", ["stats", "digits/stats", "digits/versions/{version}/stats"])
def test_the_statistics_extension_is_refused_by_its_name(server: Server, rest: str) -> None:
    """What Triton's clients ask for statistics is no model: the refusal says where the figures are."""
    path = "/v2/models/" + rest.format(version=server.artifact.removeprefix("sha256:"))
    status, _, body = server.ask("GET", path)
    words = "the statistics extension is not served; /metrics has the figures"
    assert (status, json.loads(body)) == (404, {"error": words})


def test_a_model_may_be_named_stats(candidate: Candidate, tmp_path: Path) -> None:
    """A model of the name `stats` is described and asked as any other is."""
    from tools import renamed

    publish(tmp_path, renamed(candidate, "stats"))
    with serving(tmp_path / "artifact") as server:
        assert json.loads(server.ask("GET", "/v2/models/stats")[2])["name"] == "stats"
        assert server.infer(DIGITS.X[:1], name="stats")[0] == 200
        assert b"statistics extension" in server.ask("GET", "/v2/models/stats/stats")[2]
