"""A server's life: how it begins or is refused, loads anew, bears with bad clients, and ends."""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from artifact_pipeline.artifact.store import Store
from artifact_pipeline.canonical import digest
from artifact_pipeline.config import load_config
from artifact_pipeline.errors import ArtifactRejected, ConfigError
from artifact_pipeline.model.predictor import open_predictor
from artifact_pipeline.serving.reloading import ServerObserver
from artifact_pipeline.serving.server import serve
from artifact_pipeline.serving.settings import Settings
from artifact_pipeline.training.candidate import train
from artifact_pipeline.verification import verify
from asking import DIGITS, INFER, ask
from attacks import ATTACKS, MANIFEST, unpack
from conftest import ROOT, run_python
from servers import Server, children, memory, runs, serving, sockets, wait_until
from signatures import digests, seal, write_keys
from tools import hexadecimal, lay_out, publish, renamed, require_tool, slow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.training.sealed import Candidate

    Stage = dict[str, tuple[list[str | Path], int, str]]

SERVE = ("-m", "artifact_pipeline", "serve")
GOOD = ask(DIGITS.X[:2])
READY = "/v2/health/ready"
ALWAYS_SEVEN = ATTACKS["model that always says seven"].tamper
"""It is another model of format 1 under fitting digests: the golden rows alone tell."""
OTHER_ANSWERS = ATTACKS["golden label of another class"].tamper
"""In either format the golden rows ask for what the model does not give."""
BROKEN = ATTACKS["one bit of the middle of model.onnx"].tamper


@pytest.fixture(scope="session")
def other() -> Candidate:
    """A model of the digits that has learned less: other probabilities for each row, and other labels for some."""
    return train(load_config(ROOT / "config" / "config.json", ["C=0.001"]), progress=lambda _: None)


@pytest.fixture(scope="session")
def failed() -> Candidate:
    """A model whose gate has failed."""
    strict = ["gate.min_accuracy=0.99"]
    return train(load_config(ROOT / "config" / "config.json", strict), progress=lambda _: None)


@pytest.fixture
def root(candidate: Candidate, tmp_path: Path) -> Path:
    """A folder in which the documented artifact has been published."""
    publish(tmp_path, candidate)
    return tmp_path


@pytest.fixture(scope="module")
def served(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The documented model, served with little patience for all tests of bad clients, which it outlives in silence."""
    place = tmp_path_factory.mktemp("served")
    publish(place, candidate)
    with serving(place / "artifact", "--timeout", "0.3", "--keep-alive", "0.3") as server:
        yield server
        assert server.talk.read_text() == ""


def answers(candidate: Candidate, X: Any, folder: Path) -> tuple[list[int], list[float]]:
    """What a model must answer: labels and, in one list, probabilities."""
    verified = verify(publish(folder, candidate))
    found = open_predictor(verified).predict(X)
    return found.labels.tolist(), found.probabilities.ravel().tolist()


def version(candidate: Candidate) -> str:
    return candidate.digest.removeprefix("sha256:")


def put(root: Path, candidate: Candidate, attack: Any) -> None:
    """Let the pointer lead to a candidate that is tampered with, in a folder that is named as its manifest is."""
    folder = unpack(candidate, root / "artifacts" / "coming")
    attack(folder)
    place = folder.with_name(digest((folder / MANIFEST).read_bytes()).removeprefix("sha256:"))
    shutil.rmtree(place, ignore_errors=True)
    folder.rename(place)
    (root / "artifact").unlink()
    (root / "artifact").symlink_to(f"artifacts/{place.name}")


def serves(server: Server, candidate: Candidate) -> bool:
    """Whether the server names this artifact in its header."""
    return server.ask("GET", "/v2/health/live")[1]["artifact-digest"] == candidate.digest


def hang_up(server: Server) -> None:
    """Tell it to look at its artifact anew."""
    server.process.send_signal(signal.SIGHUP)


def said(server: Server, words: str) -> bool:
    return words in server.talk.read_text()


@contextmanager
def foreground() -> Iterator[None]:
    """Let what is started now heed Ctrl-C, even where the tests run in a shell's background and do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def speaking(server: Server, data: bytes = b"") -> Iterator[socket.socket]:
    """A connection on which something has been said."""
    with socket.create_connection(server.address, timeout=20) as connection:
        connection.sendall(data)
        yield connection


def post(length: int, body: bytes = b"", *more: str, path: str = INFER) -> bytes:
    """A request with a length that may be a lie."""
    head = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {length}", *more]
    return "\r\n".join([*head, "", ""]).encode() + body


def response(connection: socket.socket, method: str = "POST") -> tuple[int, dict[str, str], Any]:
    """The next response on a connection."""
    found = http.client.HTTPResponse(connection, method=method)
    found.begin()
    return found.status, {name.lower(): value for name, value in found.getheaders()}, json.loads(found.read())


def is_closed(server: Server) -> bool:
    """Whether nobody listens any more."""
    try:
        socket.create_connection(server.address, timeout=20).close()
    except ConnectionRefusedError:
        return True
    return False


def ends(connection: socket.socket) -> bool:
    """Whether the server closes the connection, and says nothing more on it."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def ends_as_no_request(connection: socket.socket) -> bool:
    """Whether the server closes the connection, at most with 400 for bytes that are no request."""
    try:
        rest = connection.makefile("rb").read()
    except ConnectionResetError:
        return True
    return rest == b"" or (rest.startswith(b"HTTP/1.1 400 ") and rest.count(b"HTTP/1.1") == 1)


# The beginning


def refusals(root: Path, taken: int) -> Stage:
    """What is asked for in vain: arguments, exit status, words."""
    artifact = root / "artifact"
    return {
        "no artifact": ([root / "nothing"], 4, "there is no artifact"),
        "tampered": ([root / "broken"], 4, "model.onnx"),
        "another model of format 1": ([root / "seven"], 4, "golden labels differ"),
        "other answers": ([root / "asked"], 4, "golden labels differ"),
        "other answers, by workers": ([root / "asked", "--workers", "2"], 4, "golden labels differ"),
        "another digest": ([artifact, "--expect", "sha256:" + "0" * 64], 4, "sha256:0000"),
        "no digest": ([artifact, "--expect", "sha256:1"], 2, "64 hexadecimal digits"),
        "failed gate": ([root / "failed"], 4, "gate"),
        "port taken": ([artifact, "--port", str(taken)], 2, f"port {taken}: address already in use"),
        "port taken, by workers": ([artifact, "--port", str(taken), "--workers", "2"], 2, "already in use"),
        "no port": ([artifact, "--port", "70000"], 2, "--port"),
        "no host": ([artifact, "--host", "nowhere.invalid"], 2, "cannot listen on nowhere.invalid"),
        "host that is empty": ([artifact, "--host", ""], 2, "--host is empty"),
        "somebody else's host": ([artifact, "--host", "192.0.2.1"], 2, "cannot listen on 192.0.2.1"),
        "no size": ([artifact, "--max-body", "8XB"], 2, "is no size"),
        "no patience": ([artifact, "--timeout", "0"], 2, "--timeout"),
        "more connections than files": ([artifact, "--connections", str(10**12)], 2, "open files"),
        "nobody": ([artifact, "--workers", "0"], 2, "--workers"),
        "followed and expected": ([artifact, "--follow", "--expect", "sha256:" + "0" * 64], 2, "contradict"),
        "a folder followed": ([root / "failed", "--follow"], 2, "is a folder and no pointer"),
        "a stored folder followed": ([next(iter(root.glob("artifacts/?*")), root), "--follow"], 2, "no pointer"),
        "nothing followed": ([root / "nothing", "--follow"], 4, "there is no artifact"),
        "feedback in a folder": ([artifact, "--feedback", root], 8, "no regular file"),
        "feedback to a device": ([artifact, "--feedback", "/dev/null"], 8, "no regular file"),
        "feedback nowhere": ([artifact, "--feedback", root / "nowhere" / "x"], 8, "hint: mkdir -p "),
        "feedback nowhere, by workers": (
            [artifact, "--feedback", root / "nowhere" / "x", "--workers", "2"],
            8,
            "hint: mkdir -p ",
        ),
        "policy nowhere": ([artifact, "--policy", root / "nothing"], 2, "policy"),
        "policy that is no JSON": ([artifact, "--policy", root / "policy"], 2, "policy"),
        "unsigned": ([artifact, "--policy", root / "signed"], 4, "not trusted"),
        "two outputs": ([artifact, "--access-log", "--json"], 2, "standard output"),
    }


@pytest.fixture(scope="module")
def stage(
    candidate: Candidate, candidate_1: Candidate, failed: Candidate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    root = tmp_path_factory.mktemp("refused")
    publish(root, candidate)
    BROKEN(unpack(candidate, root / "broken"))
    OTHER_ANSWERS(unpack(candidate, root / "asked"))
    ALWAYS_SEVEN(unpack(candidate_1, root / "seven"))
    unpack(failed, root / "failed")
    (root / "policy").write_text("format: 1")
    write_keys(root, "release")
    (root / "signed").write_text(json.dumps({"format": 1, "keys": ["release.pub"]}))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield refusals(root, taken.getsockname()[1])


@pytest.fixture(scope="module")
def refused(stage: Stage) -> dict[str, subprocess.CompletedProcess[str]]:
    """How each of them ended."""

    def run(arguments: list[str | Path]) -> subprocess.CompletedProcess[str]:
        return run_python(*SERVE, "--port", "0", *arguments, cwd=ROOT / "src")

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(stage, pool.map(run, [arguments for arguments, _, _ in stage.values()]), strict=True))


@pytest.mark.needs("cryptography")  # one of them asks for a signer
@pytest.mark.parametrize("case", refusals(Path(), 0))
def test_a_start_is_refused(case: str, stage: Stage, refused: dict[str, subprocess.CompletedProcess[str]]) -> None:
    """What cannot be served as asked ends with its exit status and one error, and nothing has listened."""
    _, status, words = stage[case]
    done = refused[case]
    assert (done.returncode, done.stderr.count("error: ")) == (status, 1), done.stderr
    assert words in done.stderr
    assert "serving" not in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.needs("cryptography")
def test_json_tells_why_a_start_is_refused(stage: Stage) -> None:
    """With --json standard output is one object with message, problems, hint and status, of a worker's error too."""
    for case in ("tampered", "other answers, by workers"):
        arguments, status, words = stage[case]
        done = run_python(*SERVE, "--port", "0", "--json", *arguments, cwd=ROOT / "src")
        error = json.loads(done.stdout)["error"]
        assert (done.returncode, error["status"]) == (status, status)
        assert words in json.dumps(error)
        assert error.keys() == {"message", "problems", "hint", "status"}


@pytest.mark.needs("cryptography")
def test_each_option_has_a_variable(stage: Stage) -> None:
    """A variable of the environment says what an option says, --help names it, and the option has the last word."""
    arguments, _, words = stage["port taken"]
    port = str(arguments[2])
    names = {"PORT": port, "POLICY": "nowhere", "HOST": "nowhere.invalid", "MAX_BODY": "8XB", "FOLLOW": "perhaps"}
    told = {"PORT": words, "POLICY": "policy", "HOST": "nowhere.invalid", "MAX_BODY": "is no size", "FOLLOW": "perhaps"}
    shown = run_python(*SERVE, "--help", cwd=ROOT / "src").stdout
    for name, value in names.items():
        variable = f"ARTIFACT_PIPELINE_SERVE_{name}"
        done = run_python(*SERVE, arguments[0], cwd=ROOT / "src", env={variable: value})
        assert done.returncode == 2
        assert told[name] in done.stderr
        assert variable in shown.replace("\n", "")
    done = run_python(*SERVE, *stage["policy nowhere"][0], cwd=ROOT / "src", env={"ARTIFACT_PIPELINE_SERVE_PORT": "0"})
    assert "port" not in done.stderr


def test_options_by_variables_are_heeded(root: Path) -> None:
    """A server that is told everything by its environment is as it was told to be."""
    told = {"MAX_BODY": "1KiB", "WORKERS": "2", "CONNECTIONS": "3", "WINDOW": "0", "FOLLOW": "1"}
    env = {f"ARTIFACT_PIPELINE_SERVE_{name}": value for name, value in told.items()}
    with serving(root / "artifact", env=env) as server:
        assert len(children(server.process.pid)) == 2
        assert server.ask("POST", INFER, b"x" * 1025)[0] == 413
        assert "drift" not in server.ask("GET", "/metrics")[2].decode()


def test_nothing_listens_before_the_artifact_is_verified() -> None:
    """The port is taken at first and refuses connections until the artifact is verified."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told: list[str] = []

    def load() -> Any:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=20)
        raise ArtifactRejected("as expected")

    with pytest.raises(ArtifactRejected, match="as expected"):
        serve(load, Settings(port=port), ServerObserver(told.append, told.append))
    assert told == []


def test_whoever_listens_first_has_the_port(root: Path) -> None:
    """A port on which somebody begins to listen while the artifact is verified is refused as one that is taken."""
    told: list[str] = []
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))

        def load() -> Any:
            other.listen()
            return verify(root / "artifact")

        with pytest.raises(ConfigError, match="already in use"):
            serve(load, Settings(port=other.getsockname()[1]), ServerObserver(told.append, told.append))
    assert told == []


@pytest.mark.parametrize("rows", [10**13, 10**30])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_window_beyond_the_memory_is_refused(root: Path, rows: int, workers: int) -> None:
    """A window for which there is no memory is refused at the start, by its option."""
    told: list[str] = []
    with pytest.raises(ConfigError, match=r"--window 10+: there is no memory for so many rows"):
        serve(
            lambda: verify(root / "artifact"),
            Settings(port=0, window=rows, workers=workers),
            ServerObserver(told.append, told.append),
        )
    assert told == []


# The end


@pytest.mark.slow
@pytest.mark.parametrize("workers", [slow("1"), "2"])
def test_it_ends_with_0_when_it_is_told_to(root: Path, workers: str) -> None:
    """SIGTERM and one Ctrl-C end it with 0, without a word, all its processes, and behind the request under way."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with foreground(), serving(root / "artifact", "--workers", workers) as server, speaking(server) as connection:
            family = children(server.process.pid)
            connection.sendall(post(len(GOOD.body), GOOD.body[:9], "Expect: 100-continue"))
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 100 ")
            os.killpg(server.process.pid, number)  # as a terminal does, and systemd
            wait_until(lambda: is_closed(server))
            connection.sendall(GOOD.body[9:])
            status, headers, _ = response(connection)
            assert (status, headers["connection"]) == (200, "close")
            assert server.process.wait(20) == 0
            assert server.talk.read_text() == ""
            assert not any(map(runs, family))


@pytest.mark.parametrize("workers", [slow("1"), "2"])
def test_two_ctrl_c_do_not_wait(root: Path, workers: str) -> None:
    """A second Ctrl-C waits for nobody: the status is 130, and a request that is not whole has 503, or no answer."""
    with foreground(), serving(root / "artifact", "--grace", "60", "--workers", workers) as server:
        family = children(server.process.pid)
        with speaking(server, post(9, b"{", "Expect: 100-continue")) as connection:
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 100 ")
            begun = time.monotonic()
            server.process.send_signal(signal.SIGINT)
            wait_until(lambda: is_closed(server))
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(20) == 130
            assert time.monotonic() - begun < 10
            with suppress(ConnectionResetError):
                assert connection.recv(1 << 16)[:13] in {b"", b"HTTP/1.1 503 "}
        assert server.talk.read_text() == "error: interrupted; nothing is left half-written\n"
        assert not any(map(runs, family))


@pytest.mark.slow
def test_it_is_unready_before_it_ends(root: Path) -> None:
    """From SIGTERM on it is not ready and closes each connection behind its answer, until the drain delay is over."""
    with serving(root / "artifact", "--drain", "1", "--grace", "5") as server:
        kept = http.client.HTTPConnection(*server.address, timeout=20)
        kept.request("GET", "/v2/health/live")
        kept.getresponse().read()
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: server.ask("GET", READY)[0] == 503)
        server.process.send_signal(signal.SIGTERM)  # said twice, as to a group of processes, it is no hurry
        for path in (READY, "/v2/models/digits/ready"):
            status, headers, body = server.ask("GET", path)
            assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
            assert json.loads(body)["ready"] is False
        assert "artifact_pipeline_ready 0.0" in server.ask("GET", "/metrics")[2].decode()
        kept.request("POST", INFER, GOOD.body)
        answer = kept.getresponse()
        assert (answer.status, answer.getheader("connection")) == (200, "close")
        kept.close()
        assert time.monotonic() - begun < 1, "too slow a machine to tell"
        wait_until(lambda: is_closed(server))
        assert time.monotonic() - begun >= 1
        assert server.process.wait(20) == 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", [slow("1"), "2"])
def test_it_ends_in_time_whatever_a_client_does(root: Path, workers: str) -> None:
    """Clients that hang are cut off after the grace, in half a request with 503: the end comes within a second more."""
    limits = ("--drain", "0.3", "--grace", "1", "--timeout", "60")
    with serving(root / "artifact", *limits, "--workers", workers) as server, ExitStack() as stack:
        hanging = [b"", b"GET ", post(9, b"{"), b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n"]
        connections = [stack.enter_context(speaking(server, data)) for data in hanging]
        wait_until(
            lambda: server.figure("requests_in_progress") >= 2
        )  # the half of a body, and who asks for this figure
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        assert time.monotonic() - begun < 0.3 + 1 + 1
        connections[-1].recv(1 << 16)
        assert response(connections[2])[0] == 503
        assert all(map(ends, connections))
        assert server.talk.read_text() == ""


# Loading anew


def test_another_artifact_is_swapped_in(candidate: Candidate, other: Candidate, root: Path, tmp_path: Path) -> None:
    """SIGHUP serves what the pointer leads to by now, under its own name, and what was asked before is answered yet."""
    new = renamed(other, "numbers")
    X = DIGITS.X[:2]
    old_right = answers(candidate, X, root)
    with serving(root / "artifact") as server, speaking(server) as connection:
        connection.sendall(post(len(GOOD.body), GOOD.body[:9], "Expect: 100-continue"))
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 100 ")
        publish(root, new)
        hang_up(server)
        wait_until(lambda: said(server, f"serving: {new.digest}, after {candidate.digest}\n"))
        connection.sendall(GOOD.body[9:])
        status, headers, told = response(connection)
        assert (status, headers["artifact-digest"]) == (200, candidate.digest)
        assert (told["model_name"], told["model_version"]) == ("digits", version(candidate))
        assert (told["outputs"][0]["data"], told["outputs"][1]["data"]) == old_right
        assert server.infer(X)[0] == 404
        status, told = server.infer(X, name="numbers")
        assert (status, told["model_name"], told["model_version"]) == (200, "numbers", version(new))
        new_right = answers(new, X, root)
        assert (told["outputs"][0]["data"], told["outputs"][1]["data"]) == new_right
        assert new_right != old_right
        assert server.ask("GET", f"/v2/models/numbers/versions/{version(new)}")[0] == 200
        assert server.ask("GET", "/v2")[1]["artifact-digest"] == new.digest
        assert server.figure("artifact_info", digest=new.digest) == 1
        assert server.figure("reloads_total", outcome="served") == 1
        hang_up(server)
        wait_until(lambda: said(server, f"unchanged: {new.digest}\n"))
        assert server.figure("reloads_total", outcome="unchanged") == 1


@pytest.mark.parametrize("workers", [slow(1), 2])
def test_what_fails_verification_leaves_the_old_one_serving(
    candidate: Candidate, other: Candidate, root: Path, workers: int
) -> None:
    """An artifact that is refused is told of in a line and on /metrics, and a later one that is good is served."""
    with serving(root / "artifact", "--workers", str(workers)) as server:
        for times, attack in enumerate((BROKEN, OTHER_ANSWERS), start=1):
            put(root, other, attack)
            hang_up(server)
            wait_until(lambda: server.figure("reloads_total", outcome="refused") == times * workers)  # noqa: B023
            assert server.figure("reload_refused") == workers
            assert serves(server, candidate)
            assert server.infer(DIGITS.X[:1])[0] == 200
        lines = server.talk.read_text().splitlines()
        assert len(lines) == 2 * workers
        for line in lines:
            assert f"refused, {candidate.digest} goes on serving: " in line
        for words in ("model.onnx", "golden labels differ"):
            assert sum(words in line for line in lines) == workers
        publish(root, other)
        hang_up(server)
        wait_until(lambda: server.figure("reloads_total", outcome="served") == workers)
        assert server.figure("reload_refused") == 0
        assert serves(server, other)


@pytest.mark.slow
def test_a_pointer_to_nothing_leaves_the_old_one_serving(candidate: Candidate, root: Path) -> None:
    """Where the artifact is gone, or something else stands in its place, the old one goes on."""
    with serving(root / "artifact", "--follow") as server:
        (root / "artifact").unlink()
        hang_up(server)
        wait_until(lambda: said(server, "there is no artifact"))
        (root / "artifact").write_bytes(b"\xff" * 9)
        wait_until(lambda: server.figure("reloads_total", outcome="refused") == 2)
        assert serves(server, candidate)
        (root / "artifact").unlink()
        publish(root, candidate)
        wait_until(lambda: server.figure("reload_refused") == 0)


@pytest.mark.slow
def test_the_policy_is_read_anew(candidate: Candidate, other: Candidate, root: Path) -> None:
    """What the policy revokes since the start is refused at SIGHUP, and so is all by a policy that is no longer one."""
    policy, told = root / "trust.json", {"format": 1, "keys": ["release.pub"]}
    policy.write_text(json.dumps(told))
    write_keys(root, "release")
    for each in (other, candidate):
        folder = publish(root, each)
        seal(folder.with_name(f"{folder.name}.sig"), digests(folder), root / "release.pem")
    with serving(root / "artifact", "--policy", policy) as server:
        policy.write_text(json.dumps({**told, "revoked": [other.digest]}))
        publish(root, other)
        hang_up(server)
        wait_until(lambda: said(server, "revoked"))
        policy.write_text("{")
        hang_up(server)
        wait_until(lambda: server.figure("reloads_total", outcome="refused") == 2)
        assert serves(server, candidate)
        policy.write_text(json.dumps(told))
        hang_up(server)
        wait_until(lambda: serves(server, other))


def test_the_pointer_is_followed(candidate: Candidate, other: Candidate, root: Path) -> None:
    """With --follow a publication and a rollback are served within two seconds."""
    with serving(root / "artifact", "--follow") as server:
        publish(root, other)
        wait_until(lambda: serves(server, other), seconds=2)
        Store(root / "artifact").move_pointer(candidate.digest)
        wait_until(lambda: serves(server, candidate), seconds=2)


@pytest.mark.slow
def test_any_link_is_followed(candidate: Candidate, other: Candidate, tmp_path: Path) -> None:
    """With --follow a symbolic link of one's own is followed, at the end of the path and above it."""
    for name, each in (("one", candidate), ("two", other)):
        unpack(each, tmp_path / name / "digits")
    (tmp_path / "now").symlink_to("one")
    (tmp_path / "digits").symlink_to("now/digits")
    with serving(tmp_path / "digits", "--follow") as last, serving(tmp_path / "now" / "digits", "--follow") as above:
        for name, each in (("two", other), ("one", candidate)):
            (tmp_path / "coming").symlink_to(name)
            (tmp_path / "coming").rename(tmp_path / "now")
            for server in (last, above):
                wait_until(lambda server=server, each=each: serves(server, each), seconds=5)  # type: ignore[misc]


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", slow("2")])
def test_a_mount_of_kubernetes_is_followed(
    candidate: Candidate, other: Candidate, tmp_path: Path, workers: str
) -> None:
    """A ConfigMap is served by its mount and by the mount's ..data, and with --follow its update is swapped in."""
    mount = tmp_path / "mount"
    lay_out(mount, candidate, "..2026_01_01_12_00_00.1")
    options = ("--follow", "--workers", workers)
    with serving(mount, *options) as server, serving(mount / "..data", *options) as inner:
        assert server.artifact == inner.artifact == candidate.digest
        lay_out(mount, other, "..2026_01_01_12_01_00.2")
        for each in (server, inner):
            wait_until(lambda each=each: serves(each, other), seconds=5)  # type: ignore[misc]
            assert each.infer(DIGITS.X[:1])[0] == 200
            assert "refused" not in each.talk.read_text()


@pytest.mark.slow
def test_what_is_refused_is_tried_once(candidate: Candidate, other: Candidate, root: Path) -> None:
    """With --follow an artifact that is refused is not tried again before the pointer moves on."""
    with serving(root / "artifact", "--follow") as server:
        put(root, other, BROKEN)
        wait_until(lambda: server.figure("reload_refused") == 1)
        begun = time.monotonic()
        wait_until(lambda: time.monotonic() > begun + 3)
        assert server.figure("reloads_total", outcome="refused") == 1
        Store(root / "artifact").move_pointer(candidate.digest)
        wait_until(lambda: server.figure("reloads_total", outcome="unchanged") == 1)
        assert server.figure("reload_refused") == 0


@pytest.mark.slow
def test_what_is_signed_once_the_pointer_leads_to_it_is_served(
    candidate: Candidate, other: Candidate, root: Path
) -> None:
    """With --follow an artifact that is refused for its signature is looked at again when it is signed, and once."""
    write_keys(root, "release")
    folder = next((root / "artifacts").glob(hexadecimal(candidate)))
    seal(folder.with_name(f"{folder.name}.sig"), digests(folder), root / "release.pem")
    with serving(root / "artifact", "--follow", "--public-key", root / "release.pub") as server:
        folder = publish(root, other)
        wait_until(lambda: server.figure("reload_refused") == 1)
        (root / "half").write_text("{")
        (root / "half").rename(folder.with_name(f"{folder.name}.sig"))
        wait_until(lambda: server.figure("reloads_total", outcome="refused") == 2)
        assert serves(server, candidate)
        folder.with_name(f"{folder.name}.sig").unlink()
        seal(folder.with_name(f"{folder.name}.sig"), digests(folder), root / "release.pem")
        wait_until(lambda: serves(server, other), seconds=5)
        assert server.figure("reload_refused") == 0


# Several processes


def test_workers_share_the_work_and_its_figures(candidate: Candidate, other: Candidate, root: Path) -> None:
    """Two workers answer, whoever is asked tells the figures of both, and one that dies is started again."""
    with serving(root / "artifact", "--workers", "2") as server:
        first = children(server.process.pid)
        asked = 0
        cpu = {pid: seconds(pid) for pid in first}
        while any(seconds(pid) == cpu[pid] for pid in first):
            asked += 1
            assert server.infer(DIGITS.X[:3])[0] == 200
            assert asked < 5000
        assert [server.figure("rows_total") for _ in range(8)] == [3 * asked] * 8
        publish(root, other)
        hang_up(server)
        wait_until(lambda: server.figure("reloads_total", outcome="served") == 2)
        BROKEN(root / "artifacts" / hexadecimal(other))
        for pid in first:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: len(children(server.process.pid)) == 2 and pid not in children(server.process.pid))  # noqa: B023
        wait_until(lambda: len([pid for pid in children(server.process.pid) if listens(pid)]) == 2)
        # The pointer leads to what is broken by now: what is served by both is what the dead ones served last.
        for _ in range(20):
            assert server.infer(DIGITS.X[:1])[1]["model_version"] == version(other)
        assert server.figure("rows_total") == 3 * asked + 20
        told = [line for line in server.talk.read_text().splitlines() if "ended with -9; it is started again" in line]
        assert len(told) == 2
        family = children(server.process.pid)
        assert server.stop() == 0
        assert not any(map(runs, family))


def seconds(pid: int) -> int:
    """The processor time that a process has taken, in ticks."""
    told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(told[11]) + int(told[12])


def listens(pid: int) -> bool:
    """Whether a worker has come so far as to catch SIGTERM."""
    told = re.search(r"^SigCgt:\s+([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return told is not None and bool(int(told[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.slow
def test_it_ends_at_once_while_its_workers_are_started(root: Path) -> None:
    """SIGTERM between the starts of two workers ends the server: it does not start and then wait for the second one."""
    command = [sys.executable, "-m", "artifact_pipeline", "serve", str(root / "artifact"), "--port", "0"]
    slowly = [require_tool("strace"), "-qq", "-o", os.devnull, "-e", "inject=?clone,?fork:delay_exit=1000000:when=1"]
    command = [*slowly, *command, "--workers", "2", "--grace", "60"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        wait_until(lambda: children(tracer.pid) and blocks(children(tracer.pid)[0], signal.SIGTERM))
        os.kill(children(tracer.pid)[0], signal.SIGTERM)
        _, told = tracer.communicate(timeout=30)
    assert (tracer.returncode, told) == (0, "")


def blocks(pid: int, number: int) -> bool:
    """Whether a process blocks a signal just now."""
    told = re.search(r"^SigBlk:\s+([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return told is not None and bool(int(told[1], 16) >> (number - 1) & 1)


@pytest.mark.slow
def test_a_worker_that_cannot_be_forked_ends_the_start(root: Path) -> None:
    """Where the system lets the server start no further process, that is one error with a mend, and none is left."""
    command = [sys.executable, "-m", "artifact_pipeline", "serve", str(root / "artifact"), "--port", "0"]
    faults = [require_tool("strace"), "-f", "-qq", "-o", os.devnull, "-e", "inject=?clone,?fork:error=EAGAIN:when=2"]
    done = subprocess.run([*faults, *command, "--workers", "2"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        [
            "error: worker 1 cannot be started: resource temporarily unavailable",
            "hint: fewer --workers, or a higher limit (ulimit -u)",
        ],
    )


def test_workers_do_not_outlive_their_parent(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where the parent is killed, the workers finish what is under way, end, and leave no folder behind."""
    place = tmp_path_factory.mktemp("temporary")
    env = {"TMPDIR": str(place), "PROMETHEUS_MULTIPROC_DIR": "/nowhere"}
    with serving(root / "artifact", "--workers", "2", env=env) as server, speaking(server) as connection:
        assert len(list(place.iterdir())) == 1
        family = children(server.process.pid)
        connection.sendall(post(len(GOOD.body), GOOD.body[:9], "Expect: 100-continue"))
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 100 ")
        server.process.kill()
        server.process.wait(20)
        wait_until(lambda: is_closed(server))
        connection.sendall(GOOD.body[9:])
        assert response(connection)[0] == 200
        wait_until(lambda: not any(map(runs, family)))
        assert list(place.iterdir()) == []


@pytest.mark.slow
def test_a_worker_that_hangs_is_ended(root: Path) -> None:
    """A worker that is stopped altogether is killed once its time to end is over."""
    with serving(root / "artifact", "--workers", "2", "--grace", "1") as server:
        family = children(server.process.pid)
        os.kill(family[0], signal.SIGSTOP)
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 1 + 1
        assert not any(map(runs, family))


# Bounds


def test_too_many_requests_are_refused(candidate: Candidate, root: Path) -> None:
    """Of 40 large requests at once those beyond the queue get 503 with Retry-After, and all others the right answer."""
    X = np.tile(DIGITS.X, (2, 1))[:3500]
    labels, _ = answers(candidate, X, root)
    asked = ask(X, "FP64", "rows", outputs=[{"name": "label"}])
    found: list[tuple[int, dict[str, str], bytes]] = []
    with serving(root / "artifact", "--queue", "8") as server:

        def one() -> None:
            found.append(server.ask("POST", INFER, asked.body))

        threads = [Thread(target=one) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(found) == 40
        for status, headers, body in found:
            told = json.loads(body)
            if status == 200:
                assert told["outputs"][0]["data"] == labels
            else:
                assert (status, headers["retry-after"]) == (503, "1")
                assert told["error"].endswith("; try again")
        statuses = [status for status, _, _ in found]
        assert {200, 503} == set(statuses)
        assert server.figure("requests_total", route="infer", status="503") == statuses.count(503)
        assert server.infer(DIGITS.X[:1])[0] == 200


def test_connections_never_take_the_last_file(candidate: Candidate, other: Candidate, root: Path) -> None:
    """Where the process may open fewer files than its connections need, it asks for more; a reload has its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    with ExitStack() as stack:
        try:
            server = stack.enter_context(serving(root / "artifact", "--connections", "150", "--queue", "150"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        live = b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n"
        many = [stack.enter_context(speaking(server, live)) for _ in range(150)]
        assert {response(each, "GET")[0] for each in many} == {200}
        publish(root, other)
        hang_up(server)
        wait_until(lambda: said(server, f"serving: {other.digest}, after {candidate.digest}\n"))
        many[0].sendall(live)
        assert response(many[0], "GET")[1]["artifact-digest"] == other.digest


def test_health_is_answered_where_all_else_is_taken(root: Path) -> None:
    """With as many requests under way as are allowed one more has 503 with Retry-After, and health an answer."""
    with serving(root / "artifact", "--connections", "4") as server, ExitStack() as stack:
        slow_bodies = [stack.enter_context(speaking(server, post(9, b"{", "Expect: 100-continue"))) for _ in range(4)]
        assert all(each.recv(1 << 16).startswith(b"HTTP/1.1 100 ") for each in slow_bodies)
        idle = [stack.enter_context(speaking(server)) for _ in range(100)]
        status, headers, _ = server.ask("POST", INFER, GOOD.body)
        assert (status, headers["retry-after"]) == (503, "1")
        assert server.ask("GET", "/v2")[0] == 503
        assert server.ask("GET", READY)[0] == 200
        assert server.figure("requests_in_progress") == 5
        slow_bodies[0].sendall(b"{" * 8)
        assert response(slow_bodies[0])[0] == 400
        assert server.ask("POST", INFER, GOOD.body)[0] == 200
        assert len(idle) == 100


def test_there_is_room_for_so_many_bodies_only(root: Path) -> None:
    """Bodies that come at once may take so much memory and no more, however slowly they come."""
    with serving(root / "artifact", "--max-body", "1MiB") as server, ExitStack() as stack:
        large = b"x" * (900 << 10)
        many = [stack.enter_context(speaking(server, post(len(large) + 1, large))) for _ in range(12)]

        def refused() -> list[socket.socket]:
            return select.select(many, [], [], 0)[0]

        # Nine of them are less than eight of a MiB.
        wait_until(lambda: len(refused()) >= 3)
        for connection in (told := refused()):
            words = "too much is being sent to this server at once; try again"
            assert response(connection)[::2] == (503, {"error": words})
        assert server.infer(DIGITS.X[:1])[0] == 200
        for connection in many:
            if connection not in told:
                connection.sendall(b"x")
                assert response(connection)[0] == 400
        assert server.ask("POST", INFER, large)[0] == 400


# Clients that are slow, or lie


def test_a_length_that_is_too_long_is_refused(served: Server) -> None:
    """A body shorter than it was told to be has a 408 in the end, or a 400 at once where the client ends first."""
    with speaking(served, post(99, b"{}")) as connection:
        status, headers, told = response(connection)
        assert (status, headers["connection"]) == (408, "close")
        assert told == {"error": "the request did not come whole within 0.3 s"}
        assert ends(connection)
    for data in (b"GET /v2 HTTP/1.1\r\nHost", b"GET"):
        with speaking(served, data) as connection:
            connection.shutdown(socket.SHUT_WR)
            assert ends(connection)
    for data in (post(99, b"{}"), post(99)):
        with speaking(served, data) as connection:
            connection.shutdown(socket.SHUT_WR)
            status, headers, told = response(connection)
            assert (status, headers["connection"]) == (400, "close")
            assert told == {
                "error": "the request ends before it is whole, or its chunks or trailers are wrong or too large"
            }
            assert ends(connection)


def test_a_length_that_is_too_short_is_refused(served: Server) -> None:
    """What goes on behind the told length is no request: the one before it is judged by what was told of it."""
    with speaking(served, post(len(GOOD.body), GOOD.body + GOOD.body)) as connection:
        assert response(connection)[0] == 200
        assert ends_as_no_request(connection)
    with speaking(served, post(len(GOOD.body) - 1, GOOD.body)) as connection:
        status, _, told = response(connection)
        assert status == 400
        assert told["error"].startswith("the body is not what the protocol asks for")
        assert ends_as_no_request(connection)


@pytest.mark.parametrize("data", [b"GET /v2 HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 999, post(999, GOOD.body)])
def test_a_slow_request_is_refused(served: Server, data: bytes) -> None:
    """A body that comes byte by byte is refused with 408 once its time is over, and a head closed without a word."""
    with speaking(served) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begun = time.monotonic()
        head, end, body = data.rpartition(b"\r\n\r\n")
        connection.sendall(head + end)
        connection.settimeout(0.01)
        answer = b""
        for byte in body:
            try:
                connection.send(bytes([byte]))
                answer += connection.recv(1 << 16)
            except TimeoutError:
                continue
            except ConnectionError:
                pass
            break
        assert answer.startswith(b"HTTP/1.1 408 " if data.startswith(b"POST") else b"")
        assert answer or ends(connection)
        assert 0.2 < time.monotonic() - begun < 5


def test_a_connection_on_which_nothing_comes_is_closed(served: Server) -> None:
    """Who connects and says nothing is closed without a word."""
    with speaking(served) as connection:
        assert ends(connection)


@pytest.mark.slow
def test_an_idle_connection_is_closed(root: Path) -> None:
    """A connection is kept so long after an answer as was asked for."""
    limits = ("--keep-alive", "0.2", "--timeout", "1")
    asked = b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(root / "artifact", *limits) as server, speaking(server, asked) as connection:
        assert response(connection, "GET")[0] == 200
        assert ends(connection)


def flood(connection: socket.socket, data: bytes) -> int:
    """Send the same again and again, without reading, until the server takes no more or cuts us off: how often."""
    connection.settimeout(0.3)
    sent = 0
    try:
        while sent < 100_000:
            connection.sendall(data)
            sent += 1
    except (TimeoutError, ConnectionError):
        pass
    return sent


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [1, 50])
def test_who_does_not_read_is_cut_off(root: Path, ahead: int) -> None:
    """A client that asks on and on and reads nothing is not listened to, cut off in the end, and costs no memory."""
    with serving(root / "artifact", "--timeout", "0.5") as server:
        assert server.infer(DIGITS.X[:1])[0] == 200
        before, open_before = memory(server.process.pid), sockets(server.process.pid)
        with ExitStack() as stack:
            for _ in range(4):
                connection = stack.enter_context(speaking(server))
                sent = flood(connection, b"GET /page.js HTTP/1.1\r\nHost: x\r\n\r\n" * ahead)
                assert sent < 100_000
            assert memory(server.process.pid) < before + 16
            wait_until(lambda: sockets(server.process.pid) <= open_before)
        assert server.infer(DIGITS.X[:1])[0] == 200
        assert server.talk.read_text() == ""


@pytest.mark.slow
def test_a_body_of_tiny_pieces_is_refused(root: Path) -> None:
    """A body that comes in far more pieces than its size needs has 413 soon, and fills no memory."""
    with serving(root / "artifact", "--timeout", "60") as server:
        before = memory(server.process.pid)
        head = b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % INFER.encode()
        with speaking(server, head + b"2\r\nxx\r\n" * 9_000) as connection:
            status, _, told = response(connection)
            assert (status, told) == (413, {"error": "the body comes in too many small pieces; send larger chunks"})
        assert memory(server.process.pid, "VmHWM") < before + 30
