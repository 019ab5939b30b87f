"""Artifacts in an object store: what is pushed comes back, whole or not at all, and one push moves the pointer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_pipeline.errors import ArtifactRejected, GateFailed, StorageError
from artifact_pipeline.registry import repeating
from artifact_pipeline.registry.pull import pull
from artifact_pipeline.registry.push import push
from artifact_pipeline.registry.reference import StoreReference
from artifact_pipeline.registry.request import RegistryRequest
from artifact_pipeline.training.publication import publish
from artifact_pipeline.verification import verify
from buckets import Bucket, empty_bucket, s3_server
from registries import Lost, Request, Response, forward, relay
from signatures import provenance, write_keys
from tools import renamed, slow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from artifact_pipeline.training.sealed import Candidate

    Cli = Callable[..., tuple[int, dict[str, Any]]]

PLACE = "s3://bucket/models/digits"
POINTER = "models/digits/artifact"
MUTATIONS = ("flip", "shorten", "prolong", "swap", "empty", "remove")
RULES = {
    "flip": "blob-digest",
    "shorten": "blob-short",
    "prolong": "blob-long",
    "empty": "blob-short",
    "remove": "blob-missing",
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    """An empty bucket, an environment that leads to it, and no waiting."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(repeating, "FIRST_PAUSE", 0.0)
    return empty_bucket(server, monkeypatch)


@pytest.fixture
def cli(cli: Cli, bucket: Bucket) -> Cli:
    """Run a verb in this process with `--json`, in `tmp_path`: its status, and what it says."""
    return cli


@pytest.fixture(scope="module")
def artifacts(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folders of two artifacts that nobody changes."""
    folder = tmp_path_factory.mktemp("artifacts")
    both = [candidate, renamed(candidate, "other")]
    return [publish(each, artifact=folder / each.manifest.name, export=None) for each in both]


def rules(said: dict[str, Any]) -> set[str]:
    return {each["rule"] for each in said["error"]["problems"]}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.resolve().iterdir()}


def line(folder: Path) -> bytes:
    """What a pointer to an artifact holds."""
    return f"artifacts/{folder.resolve().name}\n".encode()


def stored(folder: Path) -> dict[str, bytes]:
    """The objects of an artifact, by their names."""
    return {f"models/digits/artifacts/{folder.resolve().name}/{name}": data for name, data in files(folder).items()}


def test_what_is_pushed_comes_back(cli: Cli, bucket: Bucket, published: Path) -> None:
    """Pushed and pulled, an artifact is the same to the byte, in charge of another store; again, nothing is sent."""
    status, pushed = cli("push", published / "artifact", PLACE)
    assert (status, pushed["pointer"]) == (0, f"{PLACE}/artifact")
    assert pushed["reference"] == f"{PLACE}@{pushed['artifact']}"
    assert bucket.all() == {**stored(published / "artifact"), POINTER: line(published / "artifact")}
    assert pushed["sent"] == sum(map(len, files(published / "artifact").values()))
    (published / "other").mkdir()
    for place in (PLACE, f"{PLACE}/", pushed["reference"]):
        status, pulled = cli("pull", place, "--artifact", published / "other" / "artifact")
        assert (status, pulled["in_charge"], pulled["reference"]) == (0, True, pushed["reference"])
        assert files(published / "other" / "artifact") == files(published / "artifact")
    assert sorted(each.name for each in (published / "other").iterdir()) == ["artifact", "artifacts"]
    assert cli("push", published / "other" / "artifact", PLACE)[1]["sent"] == 0


def test_nothing_that_stands_there_is_sent_again(server: str, bucket: Bucket, artifacts: list[Path]) -> None:
    """A second push, and one after a file was lost, write the pointer and that file alone."""
    push(artifacts[0], RegistryRequest(PLACE))
    lost = next(iter(stored(artifacts[0])))
    with relay(partial(forward, server.removeprefix("http://"))) as front, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{front.address}")
        for expected in ([POINTER], [lost, POINTER]):
            front.requests.clear()
            push(artifacts[0], RegistryRequest(PLACE))
            assert [each.path for each in front.requests if each.method == "PUT"] == [f"/bucket/{n}" for n in expected]
            bucket.remove(lost)


def test_a_whole_bucket_is_a_store(cli: Cli, bucket: Bucket, artifacts: list[Path]) -> None:
    """Without a prefix the store begins at the bucket's root."""
    assert cli("push", artifacts[0], "s3://bucket")[0] == 0
    assert bucket.get("artifact") == line(artifacts[0])
    assert cli("pull", "s3://bucket/", "-o", "pulled")[0] == 0
    assert files(Path("pulled")) == files(artifacts[0])


@pytest.mark.needs("model_signing")
def test_a_copy_of_the_objects_is_a_store(cli: Cli, bucket: Bucket, published: Path) -> None:
    """Copied into a folder by another program, the objects are a store: its pointer verifies, signature and all."""
    write_keys(published, "mine")
    hexadecimal = (published / "artifact").resolve().name
    beside = published / "artifacts" / f"{hexadecimal}.provenance.json"
    beside.write_bytes(provenance(f"sha256:{hexadecimal}", "2026-11-28T00:00:00Z"))
    assert cli("sign", published / "artifact", "--private-key", "mine.pem")[0] == 0
    assert cli("push", published / "artifact", PLACE)[0] == 0
    for name, data in bucket.all().items():
        place = published / "copy" / Path(name).relative_to("models/digits")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    (published / "policy.json").write_text(
        json.dumps({"format": 1, "keys": ["mine.pub"], "not_before": "2026-01-01T00:00:00Z"})
    )
    status, said = cli("verify", published / "copy" / "artifact", "--policy", "policy.json")
    assert (status, said["artifact"]) == (0, f"sha256:{hexadecimal}")
    assert {path.name for path in (published / "copy" / "artifacts").iterdir()} == {
        path.name for path in (published / "artifacts").iterdir() if path.name != ".lock"
    }


def test_a_failed_gate_is_never_in_charge(cli: Cli, bucket: Bucket, published: Path) -> None:
    """A model whose gate failed is pushed only where that is said, and the pointer leads where it led before."""
    from artifact_pipeline.config import load_config
    from artifact_pipeline.training.candidate import train

    config = Path(__file__).resolve().parents[1] / "config" / "config.json"
    failed = train(load_config(config, ["gate.min_accuracy=0.99"]), progress=lambda _: None)
    with pytest.raises(GateFailed):
        publish(failed, artifact=published / "artifact", export=None)
    folder = published / "artifacts" / failed.digest.removeprefix("sha256:")
    assert cli("push", folder, PLACE)[0] == 4
    assert bucket.names() == []
    assert cli("push", folder, PLACE, "--accept-failed-gate")[1]["pointer"] is None
    assert POINTER not in bucket.names()
    assert cli("push", published / "artifact", PLACE)[0] == 0
    assert cli("push", folder, PLACE, "--accept-failed-gate")[0] == 0
    assert bucket.get(POINTER) == line(published / "artifact")
    assert cli("pull", f"{PLACE}@{failed.digest}", "-o", "pulled")[0] == 4
    status, pulled = cli("pull", f"{PLACE}@{failed.digest}", "--accept-failed-gate")
    assert (status, pulled["in_charge"]) == (0, False)


def test_a_digest_leaves_the_pointer_alone(cli: Cli, bucket: Bucket, artifacts: list[Path]) -> None:
    """Pushed by its digest, an artifact stands there and the pointer stays; by another's digest it is refused."""
    first, second = (verify(each).digest for each in artifacts)
    assert cli("push", artifacts[0], PLACE)[0] == 0
    before = bucket.names()
    assert cli("push", artifacts[1], f"{PLACE}@{first}")[0] == 2
    assert bucket.names() == before
    assert cli("push", artifacts[1], f"{PLACE}@{second}")[1]["pointer"] is None
    assert bucket.get(POINTER) == line(artifacts[0])
    assert cli("pull", f"{PLACE}@{second}", "-o", "pulled")[1]["artifact"] == second


@pytest.mark.needs("model_signing")
def test_a_policy_is_asked_before_a_file_is_taken(server: str, cli: Cli, published: Path) -> None:
    """Whoever trusts another key, or expects another digest, gets no file; who trusts the signer gets all of them."""
    for name in ("mine", "other"):
        write_keys(published, name)
    assert cli("sign", published / "artifact", "--private-key", "mine.pem")[0] == 0
    assert cli("push", published / "artifact", PLACE)[1]["attached"] == [".sig"]
    with relay(partial(forward, server.removeprefix("http://"))) as front, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{front.address}")
        status, said = cli("pull", PLACE, "-o", "pulled", "--public-key", "other.pub")
        assert (status, rules(said)) == (4, {"signature-key"})
        status, said = cli("pull", PLACE, "-o", "pulled", "--expect", f"sha256:{'0' * 64}")
        assert (status, rules(said)) == (4, {"digest-unexpected"})
        assert {each.path.rpartition("/")[2].partition(".")[2] for each in front.requests} == {
            "", "sig", "provenance.json", "provenance.json.sig",
        }  # fmt: skip
    assert not (published / "pulled").exists()
    status, pulled = cli("pull", PLACE, "-o", "pulled", "--public-key", "mine.pub")
    assert (status, pulled["beside"]) == (0, [".sig"])


@pytest.mark.needs("model_signing")
def test_nothing_signed_is_lost_by_a_push(cli: Cli, bucket: Bucket, published: Path) -> None:
    """What was said later and is not signed replaces no signed statement; what is signed replaces what is not."""
    write_keys(published, "mine")
    stem = published / "artifacts" / (published / "artifact").resolve().name
    place = stem.with_name(f"{stem.name}.provenance.json")
    there = f"models/digits/artifacts/{place.name}"

    def said(day: int, *, signed: bool) -> bytes:
        for each in stem.parent.glob("*.sig"):
            each.unlink()
        place.write_bytes(provenance(f"sha256:{stem.name}", f"2026-11-{day}T00:00:00Z"))
        if signed:
            assert cli("sign", published / "artifact", "--private-key", "mine.pem")[0] == 0
        assert cli("push", published / "artifact", PLACE)[0] == 0
        return place.read_bytes()

    assert said(20, signed=False) == bucket.get(there)
    assert (second := said(21, signed=False)) == bucket.get(there)
    said(10, signed=False)
    assert bucket.get(there) == second
    signed = said(11, signed=True)
    assert bucket.get(there) == signed
    said(28, signed=False)
    assert bucket.get(there) == signed
    assert f"{there}.sig" in bucket.names()
    (published / "policy.json").write_text(
        json.dumps({"format": 1, "keys": ["mine.pub"], "not_before": "2026-11-11T00:00:00Z"})
    )
    assert cli("pull", PLACE, "-o", "pulled", "--policy", "policy.json")[0] == 0


def test_what_is_no_signature_is_left_where_it_is(cli: Cli, bucket: Bucket, artifacts: list[Path]) -> None:
    """Beside the artifact, an object that is not about it neither comes with it nor stops it; a huge one does."""
    assert cli("push", artifacts[0], PLACE)[0] == 0
    beside = f"models/digits/artifacts/{artifacts[0].name}.sig"
    bucket.put(beside, b'{"no": "signature"}')
    assert cli("pull", PLACE, "-o", "pulled")[1]["beside"] == []
    bucket.put(beside, bytes(2 << 20))
    status, said = cli("pull", PLACE, "-o", "again")
    assert (status, rules(said)) == (4, {"blob-long"})


def mutated(kind: str, data: bytes, other: bytes) -> bytes:
    if kind == "flip":
        return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
    return {"shorten": data[:-1], "prolong": data + b"x", "swap": other, "empty": b""}[kind]


@pytest.mark.parametrize("kind", ["flip", "remove", *map(slow, ("shorten", "prolong", "swap", "empty"))])
def test_every_object_that_is_not_what_it_was_is_refused(
    bucket: Bucket, artifacts: list[Path], tmp_path: Path, kind: str
) -> None:
    """Flipped, cut, prolonged, swapped, emptied or removed, each object is refused by its name, and nothing is left."""
    push(artifacts[0], RegistryRequest(PLACE))
    objects = stored(artifacts[0])
    names = sorted(objects)
    for name, other in zip(names, [*names[1:], names[0]], strict=True):
        bucket.remove(name) if kind == "remove" else bucket.put(name, mutated(kind, objects[name], objects[other]))
        with pytest.raises(ArtifactRejected) as refused:
            pull(RegistryRequest(PLACE), tmp_path / "pulled", as_folder=True)
        [problem] = refused.value.problems
        if name.endswith("/manifest.json"):
            assert problem.rule == ("artifact-missing" if kind == "remove" else "blob-digest")
        else:
            assert problem.place == name.rpartition("/")[2]
            longer = len(objects[other]) > len(objects[name])
            assert problem.rule == RULES.get(kind, "blob-long" if longer else "blob-short")
        bucket.put(name, objects[name])
    assert list(tmp_path.iterdir()) == []
    pull(RegistryRequest(PLACE), tmp_path / "pulled", as_folder=True)


@pytest.mark.parametrize("kind", ["flip", "shorten", "prolong"])
def test_other_bytes_under_the_name_of_an_artifact_are_neither_taken_nor_replaced(
    bucket: Bucket, artifacts: list[Path], kind: str
) -> None:
    """A push finds what was damaged there, names it, replaces nothing, and moves no pointer."""
    name, data = next(iter(stored(artifacts[0]).items()))
    damaged = mutated(kind, data, b"")
    bucket.put(name, damaged)
    with pytest.raises(StorageError, match=f"cannot write s3://bucket/{name}"):
        push(artifacts[0], RegistryRequest(PLACE))
    assert bucket.get(name) == damaged
    assert not [each for each in bucket.names() if each == POINTER or each.endswith("/manifest.json")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"artifacts/../../escaped\n",
        b"/etc/passwd\n",
        b"artifacts/" + b"A" * 64,
        b"artifacts/" + b"0" * 64 + b"/..",
        b"artifacts/" + b"0" * 64 + b"\n\n",
        b"artifacts/" + b"0" * 63 + b"\xb2",
        b"\x1b[2J",
        bytes(1 << 20),
    ],
)
def test_a_pointer_that_is_none_leads_nowhere(
    cli: Cli, bucket: Bucket, artifacts: list[Path], tmp_path: Path, data: bytes
) -> None:
    """Whatever stands in the pointer's place and is no pointer is refused by a pull, and left alone by a push."""
    bucket.put(POINTER, data)
    status, said = cli("pull", PLACE, "-o", "pulled")
    assert (status, rules(said)) == (4, {"pointer-invalid"} if len(data) < 1000 else {"blob-long"})
    assert list(tmp_path.iterdir()) == []
    assert cli("push", artifacts[0], PLACE)[0] == 8
    assert bucket.all() == {POINTER: data}


def test_a_pointer_to_nothing_is_said(cli: Cli, bucket: Bucket, artifacts: list[Path]) -> None:
    """Where the pointer, the artifact or the bucket is missing, the error says what is; a push mends all but that."""
    for place in (PLACE, "s3://nowhere/models"):
        status, said = cli("pull", place, "-o", "pulled")
        assert (status, rules(said)) == (4, {"artifact-missing"})
    bucket.put(POINTER, line(artifacts[0]))
    assert rules(cli("pull", PLACE, "-o", "pulled")[1]) == {"artifact-missing"}
    assert cli("push", artifacts[0], PLACE)[0] == 0
    assert cli("pull", PLACE, "-o", "pulled")[0] == 0
    status, said = cli("push", artifacts[0], "s3://nowhere/models")
    assert (status, "there is no such bucket" in said["error"]["message"]) == (8, True)


@pytest.mark.slow
def test_without_keys_both_verbs_say_so(cli: Cli, artifacts: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keys both verbs end with status 8 and name them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    for verb in (["push", artifacts[0], PLACE], ["pull", PLACE, "-o", "pulled"]):
        status, said = cli(*verb)
        assert (status, "AWS_ACCESS_KEY_ID" in said["error"]["hint"]) == (8, True)


def test_what_is_not_allowed_or_not_understood_is_refused(
    cli: Cli, artifacts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option of registries, a place that is none, and a package that is missing each get an error of their own."""
    for verb in (["push", artifacts[0], PLACE], ["pull", PLACE, "-o", "pulled"]):
        for option in (["--plain-http"], ["--token-host", "localhost"]):
            status, said = cli(*verb, *option)
            assert (status, option[0] in said["error"]["message"]) == (2, True)
        monkeypatch.setitem(sys.modules, "obstore", None)
        status, said = cli(*verb)
        assert (status, "artifact-pipeline[scale]" in said["error"]["hint"]) == (1, True)
        monkeypatch.undo()


@pytest.mark.parametrize(
    "place",
    [
        "s3://",
        "s3:///models",
        "s3://bucket//models",
        "s3://bucket/models//",
        "s3://bucket/../models",
        "s3://bucket/models@v1",
        "s3://bucket/models@sha256:0",
        "s3://bucket/models@",
        "s3://user:secret@bucket/models",
        "s3://bucket/mo\ndels",
    ],
)
def test_a_place_that_is_none_is_refused(cli: Cli, artifacts: list[Path], place: str) -> None:
    """Without a bucket, with a name that a store would rewrite, or with half a digest, a place is refused."""
    assert cli("pull", place, "-o", "pulled")[0] == 2
    assert cli("push", artifacts[0], place)[0] == 2


@given(
    bucket=st.from_regex(r"[a-z0-9][a-z0-9.-]{0,10}", fullmatch=True),
    prefix=st.lists(st.text(st.characters(exclude_characters="@/"), min_size=1, max_size=8), max_size=3),
    digest=st.none() | st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True),
)
def test_a_place_is_read_as_it_is_written(bucket: str, prefix: list[str], digest: str | None) -> None:
    """The parts of a place come back, and its text is what was read."""
    root = "/".join([f"gs://{bucket}", *prefix])
    text = root if digest is None else f"{root}@{digest}"
    found = StoreReference.parse(text)
    assert (found.root, found.digest, str(found)) == (root, digest, text)


# Kills and races


def refusing(server: str, number: int) -> Callable[[Request], Response]:
    """A store that takes nothing any more from the given write on."""
    answer, count = partial(forward, server.removeprefix("http://")), 0

    def change(request: Request) -> Response:
        nonlocal count
        count += request.method == "PUT"
        return Response(403) if request.method == "PUT" and count >= number else answer(request)

    return change


def test_a_push_that_ends_anywhere_leaves_the_pointer(
    server: str, bucket: Bucket, artifacts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a push ends, the pointer leads where it led, to a whole artifact; the next push goes on and succeeds."""
    writes = [*stored(artifacts[1]), POINTER]
    for number in range(1, len(writes) + 1):
        bucket = empty_bucket(server, monkeypatch)
        push(artifacts[0], RegistryRequest(PLACE))
        with relay(refusing(server, number)) as front:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{front.address}")
            with pytest.raises(StorageError):
                push(artifacts[1], RegistryRequest(PLACE))
        monkeypatch.setenv("AWS_ENDPOINT_URL", server)
        assert len(bucket.names()) == len(stored(artifacts[0])) + number
        assert bucket.get(POINTER) == line(artifacts[0])
        pulled = pull(RegistryRequest(PLACE), tmp_path / "pulled", as_folder=True)
        assert pulled.verified.digest == verify(artifacts[0]).digest
        push(artifacts[1], RegistryRequest(PLACE))
        assert bucket.all() == {**stored(artifacts[0]), **stored(artifacts[1]), POINTER: line(artifacts[1])}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "behind"), [("/manifest.json", False), ("/manifest.json", True), (POINTER, False)])
def test_a_push_that_is_killed_leaves_the_pointer(
    server: str, bucket: Bucket, artifacts: list[Path], name: str, *, behind: bool
) -> None:
    """Killed around the manifest's write or before the pointer's, a push leaves what stands; the next one goes on."""
    push(artifacts[0], RegistryRequest(PLACE))
    answer, running = partial(forward, server.removeprefix("http://")), Queue[subprocess.Popen[bytes]]()

    def kill(request: Request) -> Response:
        if request.method == "PUT" and request.path.endswith(name):
            if behind:
                answer(request)
            running.get().kill()
            raise Lost
        return answer(request)

    command = [sys.executable, "-m", "artifact_pipeline", "push", str(artifacts[1]), PLACE]
    with relay(kill) as front:
        process = subprocess.Popen(command, env={**os.environ, "AWS_ENDPOINT_URL": f"http://{front.address}"})
        running.put(process)
        assert process.wait(60) == -signal.SIGKILL
    assert bucket.get(POINTER) == line(artifacts[0])
    push(artifacts[1], RegistryRequest(PLACE))
    assert bucket.get(POINTER) == line(artifacts[1])


def test_a_push_that_was_overtaken_is_told_by_whom(
    server: str, bucket: Bucket, cli: Cli, artifacts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pointer that moved while an artifact was sent stays there: the error says where, and the artifact is whole."""
    first, second = (verify(each).digest for each in artifacts)
    answer = partial(forward, server.removeprefix("http://"))

    def overtake(request: Request) -> Response:
        if request.method == "PUT" and request.path.endswith("/manifest.json"):
            bucket.put(POINTER, line(artifacts[0]))
        return answer(request)

    with relay(overtake) as front:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{front.address}")
        status, said = cli("push", artifacts[1], PLACE)
    assert (status, rules(said)) == (8, {"pointer-moved"})
    assert first in said["error"]["problems"][0]["message"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    assert bucket.get(POINTER) == line(artifacts[0])
    assert cli("pull", f"{PLACE}@{second}", "-o", "pulled")[0] == 0
    assert cli("push", artifacts[1], PLACE)[0] == 0
    assert bucket.get(POINTER) == line(artifacts[1])


@pytest.mark.parametrize("arrives", [True, False], ids=["its answer is lost", "another write is under way"])
def test_a_write_that_fails_once_loses_no_race(
    server: str, bucket: Bucket, artifacts: list[Path], monkeypatch: pytest.MonkeyPatch, *, arrives: bool
) -> None:
    """Where each write arrives and its answer does not, or is in conflict with one that fails, the push goes on."""
    answer, seen = partial(forward, server.removeprefix("http://")), set[str]()

    def fail(request: Request) -> Response:
        if request.method != "PUT" or request.path in seen:
            return answer(request)
        seen.add(request.path)
        if not arrives:
            return Response(409)
        answer(request)
        raise Lost

    with relay(fail) as front:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{front.address}")
        assert push(artifacts[0], RegistryRequest(PLACE)).name == f"{PLACE}/artifact"
    assert len(seen) == len(stored(artifacts[0])) + 1
    assert bucket.all() == {**stored(artifacts[0]), POINTER: line(artifacts[0])}


@pytest.mark.parametrize("begun", [False, True], ids=["no pointer yet", "a pointer before"])
def test_of_pushes_at_once_one_moves_the_pointer(
    server: str,
    bucket: Bucket,
    candidate: Candidate,
    artifacts: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    begun: bool,
) -> None:
    """Of four pushes that saw the same pointer one moves it, the others are told, and all four artifacts are whole."""
    if begun:
        push(artifacts[0], RegistryRequest(PLACE))
    racers = [
        publish(renamed(candidate, f"racer-{number}"), artifact=tmp_path / f"racer-{number}", export=None)
        for number in range(4)
    ]
    answer, together = partial(forward, server.removeprefix("http://")), threading.Barrier(len(racers))

    def meet(request: Request) -> Response:
        if request.method == "PUT" and request.path.endswith("/artifact"):
            together.wait(30)
        return answer(request)

    def race(folder: Path) -> str | frozenset[str]:
        try:
            return push(folder, RegistryRequest(PLACE)).artifact
        except StorageError as error:
            return error.rules

    with relay(meet) as front, ThreadPoolExecutor(len(racers)) as pool:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{front.address}")
        ended = list(pool.map(race, racers))
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    assert ended.count(frozenset({"pointer-moved"})) == len(racers) - 1
    [won] = [folder for folder, end in zip(racers, ended, strict=True) if isinstance(end, str)]
    assert bucket.get(POINTER) == line(won)
    for number, folder in enumerate(racers):
        pulled = pull(
            RegistryRequest(f"{PLACE}@{verify(folder).digest}"), tmp_path / f"pulled-{number}", as_folder=True
        )
        assert files(pulled.folder) == files(folder)


def test_a_cut_while_a_file_comes_is_made_up_for(
    server: str, bucket: Bucket, artifacts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the connection ends in the middle of each object once, the pull goes on from there."""
    push(artifacts[0], RegistryRequest(PLACE))
    answer, seen = partial(forward, server.removeprefix("http://")), set[str]()

    def cut(request: Request) -> Response:
        response = answer(request)
        if len(response.body) > 1000 and request.path not in seen:
            seen.add(request.path)
            response.cut = len(response.body) // 2
        return response

    with relay(cut) as front:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{front.address}")
        pull(RegistryRequest(PLACE), tmp_path / "pulled", as_folder=True)
    assert len(seen) > 2
    assert files(tmp_path / "pulled") == files(artifacts[0])
