from __future__ import annotations

import gzip
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import zlib
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from artifact_pipeline.documented import load_model
from artifact_pipeline.model.predictor import open_predictor
from artifact_pipeline.training.publication import publish
from artifact_pipeline.verification import verify
from asking import DIGITS, FORMS, FRAMINGS, INFER, LENGTH, Asked, answered, ask, framed
from conftest import ROOT
from rowfiles import NAMES, WORDS, train_words, words
from servers import serving
from tools import slow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from artifact_pipeline.model.predictor import Predictor
    from artifact_pipeline.training.sealed import Candidate
    from servers import Server

LIMIT = 8 << 20
ACCEPTED = "BOOL, FP16, FP32, FP64, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64"
ERASE = "\x1b[2J\x1b]0;mine\x07"
"""What clears a terminal and names its window."""


@pytest.fixture(scope="module")
def folder(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("served")
    publish(candidate, artifact=place / "artifact", export=place / "model_train.pkl")
    return place


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """The documented model, served for all tests; whatever they ask, it has nothing to say on standard error."""
    with serving(folder / "artifact", "--allow-host", "digits.example") as running:
        yield running
        assert running.talk.read_text() == ""


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    return open_predictor(verify(folder / "artifact"))


@pytest.fixture(scope="module")
def version(candidate: Candidate) -> str:
    return candidate.digest.removeprefix("sha256:")


def get(server: Server, path: str) -> tuple[int, Any]:
    status, headers, body = server.ask("GET", path)
    assert headers["content-type"] == "application/json"
    return status, json.loads(body)


def infer(
    server: Server, asked: Asked, headers: Mapping[str, str] | None = None, *, path: str = INFER
) -> tuple[int, dict[str, str], bytes]:
    return server.ask("POST", path, asked.body, {**asked.headers, **(headers or {})})


def refused(response: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    """The status and the sentence of a refusal, which is plain text in the protocol's error object."""
    status, headers, body = response
    assert headers["content-type"] == "application/json"
    (name, sentence), *more = json.loads(body).items()
    assert (name, more) == ("error", [])
    assert body.isascii()
    assert sentence.isprintable()
    assert len(sentence) < 500
    assert not sentence.endswith(".")
    return status, sentence


def talk(server: Server, data: bytes) -> bytes:
    """What is answered to bytes and to the request behind them that ends the connection."""
    last = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(server.address, timeout=30) as connection:
        connection.sendall(data + last)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


# What the server says of itself


def test_the_server_is_described(server: Server) -> None:
    """The server's metadata has its name, its version and the extension that it speaks."""
    status, told = get(server, "/v2")
    assert status == 200
    assert told.keys() == {"name", "version", "extensions"}
    assert told["name"] == "artifact-pipeline"
    assert told["extensions"] == ["binary_tensor_data"]


def test_the_server_is_live_and_ready(server: Server, version: str) -> None:
    """Liveness and readiness are objects of one truth value, the model's beside its name."""
    assert get(server, "/v2/health/live") == (200, {"live": True})
    assert get(server, "/v2/health/ready") == (200, {"ready": True})
    for place in ("/v2/models/digits", f"/v2/models/digits/versions/{version}"):
        assert get(server, f"{place}/ready") == (200, {"name": "digits", "ready": True})


def test_the_model_is_described(server: Server, version: str) -> None:
    """The model's metadata names its version, which is the artifact digest, and each tensor with its type and shape."""
    expected = {
        "name": "digits",
        "versions": [version],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "X", "datatype": "FP64", "shape": [-1, 64]}],
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, 10]},
        ],
    }
    assert get(server, "/v2/models/digits") == (200, expected)
    assert get(server, f"/v2/models/digits/versions/{version}") == (200, expected)


def test_every_answer_tells_the_artifact(server: Server) -> None:
    """Each response, a refusal too, has the artifact digest in a header."""
    responses = [server.ask("GET", "/v2"), server.ask("GET", "/nothing"), infer(server, ask(DIGITS.X[:1]))]
    responses += [infer(server, Asked(b"{")), server.ask("PUT", "/v2"), server.ask("GET", "/")]
    assert {headers["artifact-digest"] for _, headers, _ in responses} == {server.artifact}


def test_an_answer_to_head_has_no_body(server: Server, version: str) -> None:
    """HEAD is answered as GET is, without the body, on a connection that goes on."""
    connection = http.client.HTTPConnection(*server.address, timeout=30)
    paths = ["/", "/v2", "/v2/health/live", "/v2/health/ready", f"/v2/models/digits/versions/{version}", "/nothing"]
    for path in [*paths, "/openapi.json", "/page/model"]:
        found = []
        for method in ("GET", "HEAD"):
            connection.request(method, path)
            response = connection.getresponse()
            headers = {name: value for name, value in response.getheaders() if name != "date"}
            found.append((response.status, headers))
            assert len(response.read()) == (int(headers["content-length"]) if method == "GET" else 0)
        assert found[0] == found[1]
    connection.close()


# What it answers


@pytest.fixture(scope="module")
def right(folder: Path, predictor: Predictor) -> dict[str, Any]:
    """The answers to all digits by the predictor, which are those of scikit-learn."""
    answers = predictor.predict(DIGITS.X)
    estimator = load_model(folder / "model_train.pkl")
    assert np.array_equal(answers.labels, estimator.predict(DIGITS.X))
    assert np.abs(answers.probabilities - estimator.predict_proba(DIGITS.X)).max() < 1e-12
    return {"label": answers.labels, "probabilities": answers.probabilities}


OFTEN = ("FP32", "FP64", "INT32", "INT64", "UINT8")


@pytest.mark.parametrize(
    ("datatype", "framing"), [case if case[0] in OFTEN else slow(*case) for case in product(FORMS, FRAMINGS)]
)
def test_all_digits_are_answered_as_by_the_predictor(
    server: Server, right: dict[str, Any], datatype: str, framing: str
) -> None:
    """In each datatype and framing all labels are scikit-learn's, and all probabilities the predictor's."""
    binary = framing.startswith("binary")
    asked = ask(DIGITS.X, datatype, framing, id=framing, parameters={"binary_data_output": binary})
    status, headers, body = infer(server, asked)
    told = answered(body, headers)
    assert (status, told["model_name"], told["id"]) == (200, "digits", framing)
    assert (LENGTH.lower() in headers) == binary
    assert all(np.array_equal(told[name], values) for name, values in right.items())


def test_a_digit_alone_is_answered_as_by_the_predictor(server: Server, predictor: Predictor) -> None:
    """One digit a request, on one connection, each has the predictor's very answer to it alone."""
    connection = http.client.HTTPConnection(*server.address, timeout=30)
    for index in range(0, 1797, 7):
        row = DIGITS.X[index : index + 1]
        asked = ask(row, list(FORMS)[index % len(FORMS)], FRAMINGS[index % 6])
        connection.request("POST", INFER, asked.body, asked.headers)
        response = connection.getresponse()
        told = answered(response.read(), {name.lower(): value for name, value in response.getheaders()})
        answers = predictor.predict(row)
        assert told["label"] == answers.labels
        assert np.array_equal(told["probabilities"], answers.probabilities)
    connection.close()


def test_a_version_is_asked_by_its_digest(server: Server, version: str, right: dict[str, Any]) -> None:
    """The version in the path is the artifact digest's digits, and the answer names it."""
    status, headers, body = infer(server, ask(DIGITS.X[:9]), path=f"/v2/models/digits/versions/{version}/infer")
    told = answered(body, headers)
    assert (status, told["model_version"]) == (200, version)
    assert np.array_equal(told["label"], right["label"][:9])


@pytest.mark.parametrize("kind", [None, "application/json", "application/octet-stream", "text/plain", "x", "\xff"])
def test_no_content_type_is_asked_for(server: Server, kind: str | None) -> None:
    """Whatever the Content-Type says, or none, the body is read as the protocol has it."""
    for framing in ("rows", "binary"):
        assert (
            infer(server, ask(DIGITS.X[:1], "FP32", framing), {} if kind is None else {"Content-Type": kind})[0] == 200
        )


def test_a_query_changes_nothing(server: Server) -> None:
    """What stands behind a question mark is passed over."""
    assert infer(server, ask(DIGITS.X[:1]), path=f"{INFER}?a=%00&b")[0] == 200
    assert get(server, "/v2/health/live?") == (200, {"live": True})


# Packed bodies


def packed(data: bytes, encoding: str) -> bytes:
    return gzip.compress(data, 1, mtime=0) if encoding.endswith("gzip") else zlib.compress(data, 1)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "GZIP", "identity"])
@pytest.mark.parametrize("framing", ["rows", "binary"])
def test_a_packed_request_is_unpacked(server: Server, right: dict[str, Any], encoding: str, framing: str) -> None:
    """A packed body is answered as the plain one; the length of its JSON is counted after it is unpacked."""
    asked = ask(DIGITS.X[:200], "FP32", framing)
    body = asked.body if encoding == "identity" else packed(asked.body, encoding.lower())
    status, headers, answer = infer(server, Asked(body, asked.length), {"Content-Encoding": encoding})
    assert status == 200
    assert np.array_equal(answered(answer, headers)["label"], right["label"][:200])


@pytest.mark.parametrize(
    ("accepted", "used"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("deflate, gzip;q=1.0", "gzip"),
        ("gzip;q=0, deflate;q=0.5", "deflate"),
        ("gzip;q=0.0", None),
        ("br", None),
        ("*;q=0", None),
        ("", None),
        ("notgzip", None),
    ],
)
@pytest.mark.parametrize("framing", ["rows", "binary"])
def test_a_large_answer_is_packed_if_that_is_wanted(
    server: Server, right: dict[str, Any], accepted: str, used: str | None, framing: str
) -> None:
    """A large answer is packed as the client accepts it, and is otherwise the same; a small one is not."""
    asked = ask(DIGITS.X[:200], "FP32", framing, parameters={"binary_data_output": framing == "binary"})
    status, headers, body = infer(server, asked, {"Accept-Encoding": accepted})
    assert (status, headers.get("content-encoding"), headers["vary"]) == (200, used, "accept-encoding")
    if used is not None:
        body = zlib.decompress(body, 47)  # of either frame
    told = answered(body, headers)
    assert all(np.array_equal(told[name], values[:200]) for name, values in right.items())
    small = infer(server, ask(DIGITS.X[:1], outputs=[{"name": "label"}]), {"Accept-Encoding": accepted})
    assert "content-encoding" not in small[1]


def zeros(encoding: str) -> bytes:
    """A gibibyte of zeros, packed: a mebibyte, made a thousand times faster than by packing it."""
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    head = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * 1023 + packer.flush()


GOOD = ask(DIGITS.X[:1])


@pytest.mark.parametrize(
    ("encoding", "body", "status", "words"),
    [
        ("br", GOOD.body, 415, "must be gzip or deflate, got 'br'"),
        ("gzip, gzip", gzip.compress(gzip.compress(GOOD.body)), 415, "got 'gzip, gzip'"),
        ("\xff[2J", GOOD.body, 415, r"\ufffd[2j'"),
        ("g" * 9999, GOOD.body, 415, "g" * 80 + "'"),
        ("gzip", GOOD.body, 400, "not packed by gzip"),
        ("gzip", b"", 400, "cut off"),
        ("gzip", packed(GOOD.body, "gzip")[:-1], 400, "cut off"),
        ("gzip", packed(GOOD.body, "gzip") + b"\0", 400, "goes on behind its end"),
        ("gzip", packed(GOOD.body, "gzip") * 2, 400, "goes on behind its end"),
        ("gzip", packed(GOOD.body, "gzip")[:-8] + bytes(8), 400, "not packed by gzip"),
        ("gzip", packed(GOOD.body, "deflate"), 400, "not packed by gzip"),
        ("deflate", packed(GOOD.body, "gzip"), 400, "not packed by deflate"),
        ("deflate", packed(GOOD.body, "deflate")[:9], 400, "cut off"),
        ("gzip", packed(b"{", "gzip"), 400, "is not what the protocol asks for"),
        ("gzip", packed(bytes(LIMIT + 1), "gzip"), 413, "larger than 8,388,608 bytes once it is unpacked"),
    ],
)
def test_a_body_that_is_packed_badly_is_refused(
    server: Server, encoding: str, body: bytes, status: int, words: str
) -> None:
    """Another encoding, other bytes than it says, a part of them, or too many of them: each has its sentence."""
    response = infer(server, Asked(body), {"Content-Encoding": encoding})
    assert refused(response)[0] == status
    assert words in refused(response)[1]
    assert (response[1].get("accept-encoding") == "gzip, deflate") == (status == 415)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_gibibyte_of_zeros_is_not_unpacked(server: Server, encoding: str) -> None:
    """A mebibyte that would become a gibibyte is refused within a few mebibytes of memory."""
    before = resident(server)
    for _ in range(3):
        assert refused(infer(server, Asked(zeros(encoding)), {"Content-Encoding": encoding})) == (
            413,
            "the body is larger than 8,388,608 bytes once it is unpacked",
        )
    assert resident(server) - before < 64


def resident(server: Server) -> int:
    """The most memory that the server has had, in MiB."""
    told = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text())
    assert told is not None
    return int(told[1]) // 1024


# What it refuses


def one(**changed: Any) -> Asked:
    """A request of one digit with some members of its tensor changed."""
    tensor = {"name": "X", "shape": [1, 64], "datatype": "FP64", "data": DIGITS.X[0].tolist(), **changed}
    return Asked(json.dumps({"inputs": [tensor]}).encode())


def binary(values: list[float], datatype: str = "FP32") -> Asked:
    """A row of one number all over, as bytes."""
    return ask(np.array(values * 64, dtype=FORMS[datatype]).reshape(1, 64), datatype, "binary")


REFUSED: list[tuple[str, Asked, int, str]] = [
    ("another shape", one(shape=[64]), 400, "the shape must be [n, 64] or [n, 8, 8], got [64]"),
    ("another datatype", one(datatype="BF16"), 400, f"the datatype must be {ACCEPTED}, got 'BF16'"),
    ("another count", one(data=[1.0]), 400, "means 64 numbers, data has 1"),
    ("too many rows", one(shape=[99999, 64]), 413, "99,999 rows are too many for a request, allowed are 4,096"),
    ("no input", Asked(b'{"inputs": []}'), 400, 'the input "X" is missing'),
    ("no inputs", Asked(b"{}"), 400, "missing required field `inputs`"),
    ("another input", one(name=ERASE), 400, r"none called '\x1b[2J\x1b]0;mine\x07'"),
    ("no JSON", Asked(b"{"), 400, "is not what the protocol asks for"),
    ("nothing", Asked(b""), 400, "is not what the protocol asks for"),
    ("a pickle", Asked(b"\x80\x04N."), 400, "is not what the protocol asks for"),
    ("deep nesting", Asked(b"[" * 200_000), 400, "is not what the protocol asks for"),
    ("NaN in JSON", one(data=[float("nan")] * 64), 400, "a row holds a value that is no finite float64"),
    ("infinity in JSON", one(data=[[-float("inf")] * 64]), 400, "a row holds a value that is no finite float64"),
    ("beyond all numbers", Asked(one(data=[7] * 64).body.replace(b"7", b"1e999")), 400, "that is no finite float64"),
    ("whole numbers that are none", one(datatype="INT32", data=[2.5] * 64), 400, "multiple of 1"),
    ("what the model's numbers lack", one(datatype="INT64", data=[2**53] * 64), 400, "<= 9007199254740991"),
    ("NaN in bytes", binary([float("nan")]), 400, "column 'pixel_0_0': the value is missing"),
    ("NaN in 64 bits", binary([float("nan")], "FP64"), 400, "row 0, column 'pixel_0_0': the value is missing"),
    ("infinity in bytes", binary([float("inf")]), 400, "row 0, column 'pixel_0_0': inf is not a finite number"),
    ("infinity below", binary([float("-inf")], "FP64"), 400, "'pixel_0_0': -inf is not a finite number"),
    ("beyond the model's numbers", one(data=[1e301] * 64), 400, "row 0, column 'pixel_0_0': "),
    (
        "a name twice",
        Asked(GOOD.body.replace(b"{", b'{"id": "", "id": "", ', 1)),
        400,
        "'id' stands twice in one object",
    ),
    ("a length that lies", Asked(GOOD.body, "5"), 400, "is not what the protocol asks for"),
    ("a length beyond the body", Asked(GOOD.body, "999999"), 400, "is 999,999, and the body has"),
    ("a negative length", Asked(GOOD.body, "-1"), 400, "must be a whole number, got '-1'"),
    ("a length with a sign", Asked(GOOD.body, "+5"), 400, "got '+5'"),
    ("a length with a line", Asked(GOOD.body, "1_0"), 400, "got '1_0'"),
    ("a length of many digits", Asked(GOOD.body, "9" * 5000), 400, "got '" + "9" * 80 + "'"),
    ("a length of no digits", Asked(GOOD.body, "\xb2"), 400, "must be a whole number"),
    ("bytes missing", Asked(ask(DIGITS.X[:1], "FP32", "binary").body), 400, "is not what the protocol asks for"),
    (
        "a size that lies",
        framed(
            {"inputs": [{"name": "X", "shape": [1, 64], "datatype": "FP32", "parameters": {"binary_data_size": 257}}]},
            bytes(257),
        ),
        400,
        "takes 256 bytes, not 257",
    ),
]


@pytest.mark.parametrize(
    ("asked", "status", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_bad_request_is_refused(server: Server, asked: Asked, status: int, words: str) -> None:
    """A request that does not fit has a 4xx and one sentence in plain ASCII, whether its body comes packed or not."""
    found = refused(infer(server, asked))
    assert found[0] == status
    assert words in found[1]
    again = Asked(packed(asked.body, "gzip"), asked.length)
    assert refused(infer(server, again, {"Content-Encoding": "gzip"})) == found


def test_the_classification_parameter_is_refused(server: Server) -> None:
    """Triton's classification is not served, and the refusal names the output that has every class."""
    outputs = [{"name": "probabilities", "parameters": {"classification": 3}}]
    status, sentence = refused(infer(server, ask(DIGITS.X[:1], outputs=outputs)))
    assert status == 400
    assert sentence == 'the parameter "classification" is not served; "probabilities" has every class'


@pytest.mark.parametrize("chunked", [False, True], ids=["by its length", "in chunks"])
@pytest.mark.parametrize("path", [INFER, "/page/table"])
def test_a_body_above_the_limit_is_refused_and_the_connection_goes_on(
    server: Server,
    path: str,
    chunked: bool,  # noqa: FBT001
) -> None:
    """A body larger than the limit is refused with 413, and the same connection answers the next request."""
    connection = http.client.HTTPConnection(*server.address, timeout=30)
    connection.connect()
    used = connection.sock
    for _ in range(2):
        body: Any = iter([bytes(1 << 20)] * 9) if chunked else bytes(LIMIT + 1)
        connection.request("POST", path, body, encode_chunked=chunked)
        response = connection.getresponse()
        told = {name.lower(): value for name, value in response.getheaders()}
        assert refused((response.status, told, response.read())) == (413, "the body is larger than 8,388,608 bytes")
        connection.request("GET", "/v2/health/live")
        assert json.loads(connection.getresponse().read()) == {"live": True}
        connection.request("POST", INFER, GOOD.body)
        assert connection.getresponse().read().startswith(b'{"model_name":"digits"')
        assert connection.sock is used
    connection.close()


def test_a_body_as_large_as_the_limit_is_read(server: Server, right: dict[str, Any]) -> None:
    """The limit itself is allowed, by its length and in chunks."""
    body = GOOD.body + b" " * (LIMIT - len(GOOD.body))
    for sent in (body, iter([body[: LIMIT // 2], body[LIMIT // 2 :]])):
        connection = http.client.HTTPConnection(*server.address, timeout=30)
        connection.request("POST", INFER, sent, encode_chunked=sent is not body)
        assert json.loads(connection.getresponse().read())["outputs"][0]["data"] == right["label"][:1].tolist()
        connection.close()


def test_a_body_above_the_limit_is_not_asked_for(server: Server) -> None:
    """A client that waits for a word to send its body is told 413 instead where it is too large."""
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection(server.address, timeout=30) as connection:
        connection.sendall(head % (INFER.encode(), LIMIT + 1))
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413 ")
    with socket.create_connection(server.address, timeout=30) as connection:
        connection.sendall(head % (INFER.encode(), len(GOOD.body)))
        assert connection.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(GOOD.body)
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v2/models/other", "there is no model 'other'; there is digits"),
        ("/v2/models/other/infer", "there is no model 'other'"),
        ("/v2/models/Digits", "there is no model 'Digits'"),
        ("/v2/models/", "there is no model ''"),
        ("/v2/models/digits/versions/1", "there is no version '1'; there is "),
        ("/v2/models/digits/versions/1/infer", "there is no version '1'"),
        ("/v2/models/digits/versions/", "there is no version ''"),
        ("/v2/models/digits/versions", "there is no version ''"),
        ("/v2/models/digits/", "there is nothing at this path"),
        ("/v2/models/digits/infer/", "there is nothing at this path"),
        ("/v2/models", "there is nothing at this path"),
        ("/v2/", "there is nothing at this path"),
        ("//v2", "there is nothing at this path"),
        ("/v1/models/digits:predict", "there is nothing at this path"),
        ("/../../etc/passwd", "there is nothing at this path"),
        ("/page.html", "there is nothing at this path"),
        ("/static/page.js", "there is nothing at this path"),
        ("/%00", "there is nothing at this path"),
        ("/page.js%00", "there is nothing at this path"),
        ("/%2e%2e/%2e%2e/etc/passwd", "there is nothing at this path"),
        ("/v2/models/%00", r"there is no model '\x00'"),
        ("/v2/models/%1b%5b2J%1b%5d0;mine%07", r"there is no model '\x1b[2J\x1b]0;mine\x07'"),
        ("/v2/models/%0d%0aSet-Cookie:%20a=b", r"there is no model '\r\nSet-Cookie: a=b'"),
        ("/v2/models/%ff%fe", r"there is no model '\ufffd\ufffd'"),
        ("/v2/models/%C3%A9%E2%80%AE", r"there is no model '\xe9\u202e'"),
        ("/v2/models/%F0%9F%98%80", r"there is no model '\U0001f600'"),
        ("/v2/models/%ED%A0%80", r"there is no model '\ufffd"),
        ("/v2/models/%", "there is no model '%'"),
        ("/v2/models/" + "x" * 20_000, "there is no model '" + "x" * 80 + "'; "),
        ("/v2/models/digits/versions/%1b%5b2J", r"there is no version '\x1b[2J'"),
        ("/v2/models/digits/versions/" + "%00" * 5000, r"there is no version '" + r"\x00" * 80),
    ],
)
def test_an_unknown_path_is_refused(server: Server, path: str, words: str) -> None:
    """What is not there is refused with 404 whatever the method, and the client's words are escaped and short."""
    for method in ("GET", "POST", "DELETE"):
        status, sentence = refused(server.ask(method, path, b"{}" if method == "POST" else None))
        assert status == 404
        assert sentence.startswith(words)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_another_method_is_refused(server: Server, version: str, method: str) -> None:
    """What is there by another method is refused with 405 and the methods that it takes."""
    gets = ["/", "/v2", "/v2/health/live", "/v2/health/ready", "/metrics", "/openapi.json"]
    gets += ["/page/model", "/page/sample.csv"]
    places = ["/v2/models/digits", f"/v2/models/digits/versions/{version}"]
    gets += [*places, *(f"{place}/ready" for place in places)]
    posts = [*(f"{place}/infer" for place in places), *POSTS[1:]]
    for path in posts if method in {"GET", "HEAD"} else gets if method == "POST" else gets + posts:
        response = server.ask(method, path)
        allowed = "POST" if path in posts else "GET, HEAD"
        assert (response[0], response[1]["allow"]) == (405, allowed)
        assert method == "HEAD" or refused(response)[1] == f"this path takes {allowed}"


@pytest.mark.parametrize(
    "data",
    [
        b"\0",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",  # TLS
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /\x1b[2J HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \0\r\n\r\n",
        b"GET / HTTP/1.1\r\na b: x\r\n\r\n",
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n" % INFER.encode(),
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n{" % INFER.encode(),
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\n{" % INFER.encode(),
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\n\r\n{" % (INFER.encode(), b"9" * 999),
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}" % INFER.encode(),
        b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n" % INFER.encode(),
    ],
)
def test_what_is_no_http_is_refused(server: Server, data: bytes) -> None:
    """Bytes that are no request of HTTP/1.1 have one bare 400, and the connection is closed."""
    answer = talk(server, data)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"connection: close" in head
    assert body == b""


@pytest.mark.parametrize(
    "data",
    [
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}" % INFER.encode(),
        b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n" % INFER.encode(),
        b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n" % INFER.encode(),
    ],
)
def test_what_is_no_body_is_refused(server: Server, data: bytes) -> None:
    """A body that is not framed as its head says has one 400 with a sentence, and the connection is closed."""
    head, _, body = talk(server, data).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"connection: close" in head
    words = "the request ends before it is whole, or its chunks or trailers are wrong or too large"
    assert json.loads(body) == {"error": words}


@pytest.mark.parametrize(
    "head",
    [
        b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 33_000),
        b"GET / HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n\r\n" % (b"x" * 33_000),
        b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\nGET /v2/%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 33_000),
    ],
    ids=["path", "header", "behind another"],
)
def test_a_head_that_is_too_large_is_refused(server: Server, head: bytes) -> None:
    """A request line and headers above 32 KiB are refused with 431 and a sentence."""
    answer = talk(server, head)
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", answer)
    assert statuses[: 1 + answer.count(b"extensions")] == ([b"200"] if b"/v2 " in head else []) + [b"431"]
    assert b"the request's line and headers are larger than 32,768 bytes" in answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n%s\r\n" % (b"a: b\r\n" * 12_000),
        b"GET / HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n\r\n" % (b"x" * 300_000),
    ],
    ids=["headers", "header"],
)
def test_a_head_that_the_library_does_not_take_is_refused(server: Server, head: bytes) -> None:
    """A head of more than a hundred headers, or far too large, has a bare 431."""
    assert re.findall(rb"HTTP/1\.1 (\d+) ", talk(server, head)) in [[b"431"], []]  # a reset may overtake it


def test_bytes_in_a_path_that_are_no_ascii_are_no_harm(server: Server) -> None:
    """A path in raw bytes beyond ASCII is refused by a 4xx in plain ASCII."""
    answer = talk(server, b"GET /v2/models/\xff\xc3\xa9 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert re.match(rb"HTTP/1\.1 40[04] ", answer)
    assert answer.isascii()


def test_requests_that_come_at_once_are_answered_in_turn(server: Server, right: dict[str, Any]) -> None:
    """Requests that are sent ahead of their answers are answered in their order, large and small ones."""
    few, many = ask(DIGITS.X[:1], "UINT8", "binary", id="few"), ask(DIGITS.X[:900], "FP64", "binary", id="many")
    head = "POST {} HTTP/1.1\r\nHost: x\r\n{}: {}\r\nContent-Length: {}\r\n\r\n"
    data = b""
    for asked in (many, few, many, few):
        data += head.format(INFER, LENGTH, asked.length, len(asked.body)).encode() + asked.body
    answer = talk(server, data)
    assert re.findall(rb'"id":"(few|many)"', answer) == [b"many", b"few", b"many", b"few"]
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 4 + 1  # the last one is what ends the connection


def test_a_head_may_come_behind_a_large_body(server: Server) -> None:
    """The head of a request that is sent ahead may come in parts, however much has come before it at once."""
    asked = ask(DIGITS.X[:300], "FP64", "binary", outputs=[{"name": "label"}])
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\n{LENGTH}: {asked.length}\r\nContent-Length: {len(asked.body)}\r\n\r\n"
    one = head.encode() + asked.body
    with socket.create_connection(server.address, timeout=30) as connection:
        rest = one
        for _ in range(5):
            connection.sendall(rest + one[:40])
            rest = one[40:]
            answer = connection.recv(1 << 16)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b"]}]}")


# Whose page may ask


POSTS = (INFER, "/page/picture", "/page/table", "/page/answers.csv", "/page/row")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "127.0.0.1:8080"),
        (None, "attacker.example"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://localhost:8080", "localhost:8080"),
        ("http://LOCALHOST", "LocalHost"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("http://192.168.1.20", "192.168.1.20"),
        ("http://digits.example", "digits.example"),
        ("https://digits.example", "digits.example"),
        ("https://Digits.Example:443", "digits.example:443"),
    ],
)
def test_our_own_page_may_post(server: Server, origin: str | None, host: str) -> None:
    """A POST without an origin is let through, and one of our own page, by a number or by a name that is known."""
    headers = {"Host": host} | ({} if origin is None else {"Origin": origin})
    assert infer(server, GOOD, headers)[0] == 200


@pytest.mark.parametrize(
    ("origin", "host", "words"),
    [
        ("http://attacker.example", "127.0.0.1:8080", "a page of another origin"),
        ("http://127.0.0.1:8081", "127.0.0.1:8080", "a page of another origin"),
        ("http://127.0.0.1", "127.0.0.1:8080", "a page of another origin"),
        ("ftp://127.0.0.1:8080", "127.0.0.1:8080", "a page of another origin"),
        ("127.0.0.1:8080", "127.0.0.1:8080", "a page of another origin"),
        ("null", "127.0.0.1:8080", "a page of another origin"),
        ("", "127.0.0.1:8080", "a page of another origin"),
        ("http://", "", "by a name that it knows"),
        ("http://127.0.0.1:8080, http://attacker.example", "127.0.0.1:8080", "a page of another origin"),
        ("http://attacker.example", "attacker.example", "--allow-host"),
        ("http://attacker.example:8080", "attacker.example:8080", "--allow-host"),
        ("http://localhost.attacker.example", "localhost.attacker.example", "--allow-host"),
        ("http://digits.example.", "digits.example.", "--allow-host"),
        ("http://[::1", "[::1", "--allow-host"),
        ("http://\xff[2J", "\xff[2J", "by a name that it knows"),
        ("http://" + "x" * 9999, "127.0.0.1", "http://" + "x" * 73 + "'"),
    ],
)
def test_another_page_may_not_post(server: Server, origin: str, host: str, words: str) -> None:
    """A POST of another page is refused with 403, and so is one whose name was made to lead here (DNS rebinding)."""
    for path in POSTS:
        status, sentence = refused(infer(server, GOOD, {"Host": host, "Origin": origin}, path=path))
        assert status == 403
        assert words in sentence


BROWSERS: dict[str, dict[str, str]] = {
    "a name over http": {"Accept-Language": "en-US,en;q=0.9", "User-Agent": "Mozilla/5.0"},
    "a page that hides what it can": {"Accept-Language": "", "User-Agent": "curl/8.5.0", "Accept": "*/*"},
    "a page that pretends to be Node.js": {"Accept-Language": "*", "User-Agent": "node"},
    "a page's fetch": {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    "an address that is typed": {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Accept-Language": "de"},
    "a frame": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    "a destination alone": {"Sec-Fetch-Dest": "empty"},
    "a user alone": {"Sec-Fetch-User": "?1"},
}
"""What browsers send with a GET of their own origin, which bears no `Origin`."""
CLIENTS: dict[str, dict[str, str]] = {
    "nothing": {},
    "Prometheus": {"User-Agent": "Prometheus/2.53.0", "Accept": "text/plain;version=0.0.4", "Accept-Encoding": "gzip"},
    "a probe of Kubernetes": {"User-Agent": "kube-probe/1.30", "Accept": "*/*", "Connection": "close"},
    "curl": {"User-Agent": "curl/8.5.0", "Accept": "*/*"},
    "requests": {"User-Agent": "python-requests/2.32", "Accept-Encoding": "gzip, deflate", "Accept": "*/*"},
    "Node.js": {"Accept-Language": "*", "Sec-Fetch-Mode": "cors", "User-Agent": "node"},
}
READ = (
    "/",
    "/page.js",
    "/page/model",
    "/page/sample.csv",
    "/metrics",
    "/openapi.json",
    "/v2",
    "/v2/health/ready",
    "/v2/models/digits",
    "/v2/models/else",
    "/nothing",
)


@pytest.mark.parametrize("marks", BROWSERS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_a_name_that_was_rebound_reads_nothing(server: Server, marks: str, method: str) -> None:
    """A browser that calls by an unknown name gets 403 at every path, by any method, and not a word of the model."""
    for path in READ:
        status, headers, body = server.ask(method, path, None, {"Host": "attacker.example:8080", **BROWSERS[marks]})
        assert status == 403
        assert "artifact-digest" not in headers
        expected = b"" if method == "HEAD" else b"--allow-host attacker.example makes it known"
        assert expected in body
        assert b"digits" not in body


@pytest.mark.parametrize("data", [b"FOO / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nCookie: " + b"x" * 33_000 + b"\r\n"])
def test_what_is_refused_unread_says_nothing_of_the_model(server: Server, data: bytes) -> None:
    """What is refused before it is known who asks does not tell the artifact: a page can make its browser send it."""
    answer = talk(server, data + b"Host: attacker.example\r\nAccept-Language: en\r\nConnection: close\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 431 "))
    assert b"artifact-digest" not in answer


@pytest.mark.parametrize("marks", BROWSERS)
@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]", "10.1.2.3", "Digits.Example:443"])
def test_a_browser_reads_by_a_name_that_is_known(server: Server, marks: str, host: str) -> None:
    """A browser reads everything by a number, by localhost, and by a name that --allow-host gives."""
    for path in READ[:-2]:
        assert server.ask("GET", path, None, {"Host": host, **BROWSERS[marks]})[0] == 200


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("host", ["digits.ml.svc.cluster.local:8080", "digits", "digits.ml", "10.1.2.3:8080", ""])
def test_other_clients_call_by_any_name(server: Server, client: str, host: str) -> None:
    """Prometheus, probes and clients of the protocol read and ask by the name of a service, or an address."""
    headers = {"Host": host, **CLIENTS[client]}
    for path in READ[:-2]:
        assert server.ask("GET", path, None, headers)[0] == 200
    assert infer(server, GOOD, headers)[0] == 200


def test_another_page_may_not_read(server: Server) -> None:
    """A GET that bears the origin of another page is refused as its POST is, by whatever host it calls."""
    for path in READ:
        for host in ("127.0.0.1:8080", "digits.example", "attacker.example"):
            headers = {"Host": host, "Origin": "http://attacker.example:81", "Sec-Fetch-Site": "cross-site"}
            status, sentence = refused(server.ask("GET", path, None, headers))
            assert (status, sentence) == (403, "a page of another origin has sent this: 'http://attacker.example:81'")


# Labels that are texts


def test_labels_that_are_texts_are_answered_as_bytes(tmp_path: Path) -> None:
    """A model of text labels answers them as BYTES, in JSON and in bytes alike, by its own features' shape."""
    verified = train_words(tmp_path)
    columns = words(50)
    X = np.stack([columns[name] for name in NAMES], axis=1)
    answers = open_predictor(verified).predict(X)
    assert set(answers.labels) == set(WORDS)
    with serving(tmp_path / "artifact") as server:
        name = verified.manifest.name
        place = f"/v2/models/{name}"
        told = get(server, place)[1]
        assert [tensor["datatype"] for tensor in told["outputs"]] == ["BYTES", "FP64"]
        assert told["inputs"][0]["shape"] == [-1, 2]
        for framing in ("rows", "flat", "binary"):
            asked = ask(X, "FP64", framing, parameters={"binary_data_output": framing == "binary"})
            _, headers, body = infer(server, asked, path=f"{place}/infer")
            told = answered(body, headers)
            assert [output["datatype"] for output in told["outputs"]] == ["BYTES", "FP64"]
            assert told["label"].tolist() == answers.labels.tolist()
            assert np.array_equal(told["probabilities"], answers.probabilities)
        assert refused(infer(server, GOOD, path=f"{place}/infer")) == (400, "the shape must be [n, 2], got [1, 64]")
        huge = ask(np.full((1, 2), -1.7e308), "FP64", "binary")
        words_told = "row 0, column 'width': -1.7e+308 is not a finite number of at most 1e+300; send a smaller number"
        assert refused(infer(server, huge, path=f"{place}/infer")) == (400, words_told)
        assert server.talk.read_text() == ""


# What is logged


@pytest.mark.slow
def test_nothing_of_a_client_is_logged_unescaped(folder: Path) -> None:
    """The access log is a line of plain JSON for each request, and nothing that a client sends reaches a terminal."""
    command = [sys.executable, "-m", "artifact_pipeline", "serve", str(folder / "artifact"), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--access-log"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT / "src"
    )
    assert process.stderr is not None
    said = [process.stderr.readline(), process.stderr.readline()]
    found = re.search(rb"http://127\.0\.0\.1:(\d+)/", said[-1])
    assert found is not None, said
    port = int(found[1])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    paths = ["/v2/models/%1b%5b2J%07%0a%7f%C2%9b%E2%80%AE%ff", "/%00", "/" + "%0a" * 5000, "/v2/health/live?%1b"]
    for path in paths:
        connection.request("GET", path, headers={"User-Agent": "\x9b2J"})
        connection.getresponse().read()
    connection.request("POST", INFER, ask(DIGITS.X[:3]).body)
    connection.getresponse().read()
    connection.request("POST", INFER, one(name=ERASE).body, {"Origin": "http://\x9b"})
    connection.getresponse().read()
    connection.close()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        raw.sendall(b"GET /\x1b[2J HTTP/1.1\r\n\x07\r\n\r\n")
        raw.recv(1 << 16)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    for line in (out + b"".join(said) + err).decode("ascii").splitlines():
        assert line.isprintable()
    assert err == b""
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["status"] for line in lines] == [404, 404, 404, 200, 200, 403]
    assert lines[0]["path"] == "/v2/models/\x1b[2J\x07\n\x7f\x9b\u202e\ufffd"
    assert len(lines[2]["path"]) == 256
    assert [line["rows"] for line in lines] == [0, 0, 0, 0, 3, 0]
    assert {line["client"] for line in lines} == {"127.0.0.1"}
    assert all(line["milliseconds"] >= 0 and line["artifact"].startswith("sha256:") for line in lines)
