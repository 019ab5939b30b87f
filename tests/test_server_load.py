"""A server under load: what is answered while it loads anew, and while others do it harm, is right to the last bit."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import random
import re
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from artifact_pipeline.config import load_config
from artifact_pipeline.model.predictor import open_predictor
from artifact_pipeline.training.candidate import train
from artifact_pipeline.verification import verify
from asking import DIGITS, INFER, Asked, answered, ask
from conftest import ROOT
from servers import Server, children, memory, serving, wait_until
from tools import publish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from artifact_pipeline.training.sealed import Candidate

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("HOSTILE_SECONDS", "20"))
"""How long the mixed load lasts."""
RELOADS = 20


@pytest.fixture(scope="module")
def models(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Candidate, Right]]:
    """Two models of one name that answer each row differently, by their digests, and what each must answer."""
    other = train(load_config(ROOT / "config" / "config.json", ["C=0.001"]), progress=lambda _: None)
    found = {}
    for each in (candidate, other):
        predictor = open_predictor(verify(publish(tmp_path_factory.mktemp("right"), each)))
        answers = predictor.predict(DIGITS.X)
        alone = np.concatenate([predictor.predict(DIGITS.X[at : at + 1]).probabilities for at in range(len(DIGITS.X))])
        found[each.digest] = (each, Right(answers.labels, answers.probabilities, alone))
    (_, first), (_, second) = found.values()
    assert (first.probabilities != second.probabilities).any(axis=1).all()
    assert (first.labels != second.labels).sum() > 20
    return found


@dataclass(frozen=True)
class Right:
    """What a model must answer to all rows of the digits; a row that is asked alone may differ in the last bit."""

    labels: Any
    probabilities: Any
    alone: Any

    def of(self, rows: slice) -> Any:
        """The probabilities of rows that are asked together."""
        return (self.alone if rows.stop - rows.start == 1 else self.probabilities)[rows]


@dataclass
class Tally:
    """What the clients of a test have seen.

    Attributes:
        answers: right ones, by the artifact that has given them.
        busy: how often the server had too much to do.
        wrong: everything that must not be.
        milliseconds: of each answer.
    """

    answers: dict[str, int] = field(default_factory=dict)
    busy: int = 0
    wrong: list[str] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)


def questions(random: random.Random) -> Iterator[tuple[slice, Asked, dict[str, str]]]:
    """Rows in each form, one, some and many: where they stand, the request, more headers."""
    for count in cycle((1, 1, 20, 1, 64, 1, 400)):
        start = random.randrange(len(DIGITS.X) - count)
        rows = slice(start, start + count)
        framing = random.choice(("rows", "flat", "squares", "binary"))
        parameters = {"binary_data_output": random.random() < 0.3}
        asked = ask(DIGITS.X[rows], random.choice(("FP32", "FP64", "UINT8")), framing, parameters=parameters)
        if random.random() < 0.2:
            yield rows, Asked(gzip.compress(asked.body, 1), asked.length), {"Content-Encoding": "gzip"}
        else:
            yield rows, asked, {}


def client(server: Server, models: dict[str, tuple[Candidate, Right]], tally: Tally, stop: Event, seed: int) -> None:
    """Ask on one connection until the end, and see that each answer is exactly that of the model that it names."""
    connection = http.client.HTTPConnection(*server.address, timeout=30)
    asking = questions(random.Random(seed))
    try:
        while not stop.is_set():
            rows, asked, more = next(asking)
            begun = time.perf_counter()
            connection.request("POST", INFER, asked.body, {**asked.headers, **more})
            response = connection.getresponse()
            body, headers = response.read(), {name.lower(): value for name, value in response.getheaders()}
            tally.milliseconds.append(1000 * (time.perf_counter() - begun))
            if response.status == 503:
                assert headers["retry-after"] == "1"
                tally.busy += 1
                continue
            assert response.status == 200, body[:200]
            told, digest = answered(body, headers), headers["artifact-digest"]
            assert told["model_version"] == digest.removeprefix("sha256:")
            right = models[digest][1]
            assert told["label"].tolist() == right.labels[rows].tolist()
            assert np.array_equal(told["probabilities"], right.of(rows))
            tally.answers[digest] = tally.answers.get(digest, 0) + 1
    except (AssertionError, OSError, http.client.HTTPException, LookupError, ValueError) as error:
        tally.wrong.append(repr(error))
    finally:
        connection.close()


def spread(tallies: list[Tally]) -> str:
    """How long answers took, for whoever reads the output."""
    times = np.concatenate([tally.milliseconds for tally in tallies])
    median, late = np.percentile(times, [50, 99])
    return f"answers {median:.2f} ms, 99 % within {late:.1f}, the longest {times.max():.1f}"


def started(target: Callable[..., None], *cases: tuple[Any, ...]) -> list[Thread]:
    threads = [Thread(target=target, args=each) for each in cases]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_is_lost_or_wrong_while_it_loads_anew(
    models: dict[str, tuple[Candidate, Right]], tmp_path: Path, workers: int
) -> None:
    """In twenty reloads under load each request is answered with 200, exactly as by the one model that it names."""
    stop, tallies = Event(), [Tally() for _ in range(6)]
    order = cycle([models[digest][0] for digest in reversed(models)])
    publish(tmp_path, next(reversed(list(models.values())))[0])
    publish(tmp_path, next(iter(models.values()))[0])
    with serving(tmp_path / "artifact", "--workers", str(workers)) as server:
        processes = children(server.process.pid) if workers > 1 else [server.process.pid]
        threads = started(client, *((server, models, tally, stop, seed) for seed, tally in enumerate(tallies)))
        took = []
        try:
            for reload in range(1, RELOADS + 1):
                seen = sum(sum(tally.answers.values()) for tally in tallies)
                wait_until(lambda: sum(sum(each.answers.values()) for each in tallies) > seen + 50)  # noqa: B023
                publish(tmp_path, next(order))
                begun = time.perf_counter()
                server.process.send_signal(signal.SIGHUP)
                wait_until(lambda: server.figure("reloads_total", outcome="served") == reload * workers)  # noqa: B023
                took.append(time.perf_counter() - begun)
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)
        assert [wrong for tally in tallies for wrong in tally.wrong] == []
        assert sum(tally.busy for tally in tallies) == 0
        counts = {digest: sum(tally.answers.get(digest, 0) for tally in tallies) for digest in models}
        assert all(count > 100 for count in counts.values())
        assert server.figure("requests_total", route="infer", status="200") == sum(counts.values())
        assert server.figure("reload_refused") == 0
        told = server.talk.read_text().splitlines()
        assert len(told) == RELOADS * workers
        sys.stdout.write(
            f"{workers} workers: {list(counts.values())} answers, each reload within {1000 * max(took):.0f} ms, "
            f"{spread(tallies)}, memory {[f'{memory(pid):.0f}' for pid in processes]} MiB\n"
        )


# Harm

HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\n" % INFER.encode()
BOMB = gzip.compress(bytes(64 << 20), 9)
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


def framed(body: bytes, *headers: str) -> bytes:
    more = "".join(f"{header}\r\n" for header in headers).encode()
    return HEAD + b"Content-Length: %d\r\n" % len(body) + more + b"\r\n" + body


def inference(shape: Any, data: str, datatype: str = "FP64") -> bytes:
    told = {"name": "X", "shape": shape, "datatype": datatype, "data": 0}
    return framed(json.dumps({"inputs": [told]}).replace('"data": 0', f'"data": {data}').encode())


def binary(X: Any) -> bytes:
    asked = ask(X, "FP64", "binary")
    return framed(asked.body, f"Inference-Header-Content-Length: {asked.length}")


ONE = ask(DIGITS.X[:1])
HARM: dict[str, tuple[bytes, set[int]]] = {
    "another protocol": (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(range(256)), {400}),
    "half a head": (HEAD[:20], {400}),
    "half a body": (framed(ONE.body)[:-40], {400}),
    "nothing": (b"", set()),
    "length too long": (HEAD + b"Content-Length: 5000\r\n\r\n" + ONE.body, {400}),
    "length too short": (HEAD + b"Content-Length: 5\r\n\r\n" + ONE.body, {400}),
    "length of a gibibyte": (HEAD + b"Content-Length: 1073741824\r\n\r\n" + ONE.body, {413}),
    "two lengths": (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + ONE.body, {400}),
    "header without end": (b"GET / HTTP/1.1\r\nA: " + b"x" * (1 << 20), {431}),
    "many headers": (b"GET / HTTP/1.1\r\n" + b"".join(b"a%d: b\r\n" % each for each in range(20_000)), {431}),
    "long address": (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", {431}),
    "large body": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + bytes(65536), {400}),
    "too large": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"200000\r\n" + bytes(2 << 20), {413}),
    "tiny chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"2\r\nxx\r\n" * 50_000 + b"0\r\n\r\n", {408, 413}),
    "no chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", {400}),
    "huge shape": (inference([10**15, 64], "[1]"), {413}),
    "shape beyond numbers": (inference([10**400, 64], "[1]"), {400}),
    "most rows, few numbers": (inference([4096, 64], "[1]"), {400}),
    "negative shape": (inference([-1, 64], "[1]"), {400}),
    "NaN": (inference([1, 64], "[NaN" + ",1" * 63 + "]"), {400}),
    "infinity": (inference([1, 64], "[1e999" + ",1" * 63 + "]"), {400}),
    "binary NaN": (binary(np.full((300, 64), np.nan)), {400}),
    "texts": (inference([1, 64], json.dumps(["x"] * 64)), {400}),
    "deep": (framed(b"[" * 60_000), {400}),
    "deep where nobody looks": (framed(b'{"a":' * 50_000 + b"1" + b"}" * 50_000), {400}),
    "no JSON": (framed(bytes(range(256)) * 200), {400}),
    "gzip bomb": (framed(BOMB, "Content-Encoding: gzip"), {413}),
    "cut gzip": (framed(BOMB[:5000], "Content-Encoding: gzip"), {400, 413}),
    "no gzip": (framed(ONE.body, "Content-Encoding: gzip"), {400}),
    "other path": (b"GET /v2/models/%00/../.. HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {404}),
    "other method": (b"DELETE /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {405}),
    "another page": (framed(ONE.body, "Origin: http://evil.example"), {403}),
    "sent ahead": (framed(ONE.body) * 20, {200}),
    "figures": (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 3, {200}),
}
SILENT = {"slow": 408, "reset": None, "deaf": None}
"""What is more than bytes: a client that is slow, one that resets, one that does not read."""


def harm(server: Server, name: str, random: random.Random) -> str | None:
    """Do harm once; what is wrong with the answer, or None."""
    data, allowed = HARM.get(name, (framed(ONE.body), {408}))
    answer = b""
    with socket.create_connection(server.address, timeout=20) as connection:
        try:
            if name == "reset":
                connection.sendall(random.choice(list(HARM.values()))[0][: random.randrange(1, 4000)])
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return None
            if name == "deaf":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.settimeout(0.3)
                connection.sendall(binary(DIGITS.X[:500]) * 10)
                return None
            if name == "slow":
                connection.sendall(data[:-9])
            else:
                connection.sendall(data)
                with suppress(OSError):  # the server has reset the connection already
                    connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(1 << 16):
                answer += piece
        except (TimeoutError, ConnectionError) as error:
            if name != "deaf" and not isinstance(error, ConnectionError):
                return f"{name}: {error!r}"
    found = {int(status) for status in STATUS.findall(answer)}
    return None if found <= allowed | {503} else f"{name}: {found} {answer[:300]!r}"


def hostile(server: Server, tally: Tally, stop: Event, seed: int) -> None:
    """Do every kind of harm again and again."""
    choice = random.Random(seed)
    names = [*HARM, *SILENT]
    while not stop.is_set():
        choice.shuffle(names)
        for name in names:
            if stop.is_set():
                return
            try:
                wrong = harm(server, name, choice)
            except OSError as error:
                wrong = f"{name}: {error!r}"
            if wrong is not None:
                tally.wrong.append(wrong)
            tally.answers[name] = tally.answers.get(name, 0) + 1


def test_good_clients_are_answered_among_hostile_ones(
    models: dict[str, tuple[Candidate, Right]], candidate: Candidate, tmp_path: Path
) -> None:
    """Amid every kind of harm all good answers are exactly right, nothing but 503 fails, and memory stays flat."""
    publish(tmp_path, candidate)
    stop, good, bad = Event(), [Tally() for _ in range(3)], [Tally() for _ in range(3)]
    with serving(tmp_path / "artifact", "--timeout", "1", "--max-body", "1MiB") as server:
        begun = time.monotonic()
        pid, least = server.process.pid, memory(server.process.pid)
        threads = started(client, *((server, models, tally, stop, seed) for seed, tally in enumerate(good)))
        threads += started(hostile, *((server, tally, stop, seed) for seed, tally in enumerate(bad)))
        try:
            wait_until(lambda: time.monotonic() > begun + SECONDS / 4, SECONDS)
            wait_until(lambda: all(set(tally.answers) == {*HARM, *SILENT} for tally in bad), 60)
            warm, since = memory(pid), time.monotonic()
            wait_until(lambda: time.monotonic() > since + 3 * SECONDS / 4, SECONDS + 20)
            last = memory(pid)
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)
        assert [wrong for tally in (*good, *bad) for wrong in tally.wrong] == []
        answers = sum(sum(tally.answers.values()) for tally in good)
        attacks = sum(sum(tally.answers.values()) for tally in bad)
        refused = sum(tally.busy for tally in good)
        sys.stdout.write(
            f"{answers} right answers, {refused} refused, {attacks} attacks; {spread(good)}; memory {least:.0f} MiB at "
            f"first, {warm:.0f} warm, {last:.0f} at last, {memory(pid, 'VmHWM'):.0f} at most\n"
        )
        assert answers > 50 * SECONDS
        assert attacks > 10 * SECONDS
        for status in (500, 501, 502, 504):
            assert server.figure("requests_total", status=str(status)) == 0
        assert server.talk.read_text() == ""
        assert last < 1.1 * warm
        assert memory(pid, "VmHWM") < 110
        wait_until(lambda: server.figure("requests_in_progress") == 1)
        assert server.figure("queue") <= 1
        assert server.stop() == 0
