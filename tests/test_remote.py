"""Artifacts in a registry are read by every verb that reads one: verified as any other, and not kept."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import artifact_pipeline as ap
from artifact_pipeline.canonical import digest
from artifact_pipeline.cli import main
from artifact_pipeline.errors import ArtifactRejected, ConfigError
from artifact_pipeline.registry import remote, repeating
from artifact_pipeline.registry.reference import ImageReference
from artifact_pipeline.registry.request import Connecting
from artifact_pipeline.registry.wire import Wire
from artifact_pipeline.storage.places import artifact_place
from artifact_pipeline.training.publication import publish
from artifact_pipeline.verification import verify
from buckets import empty_bucket, s3_server
from registries import Lost, Relay, Request, Response, docker_registry, forward, relay
from servers import SRC, children, serving, wait_until
from signatures import provenance, write_keys
from tools import slow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from artifact_pipeline.training.sealed import Candidate
    from servers import Server

    Cli = Callable[..., tuple[int, dict[str, Any]]]
    Run = Callable[..., subprocess.CompletedProcess[str]]

GOLDEN = Path(__file__).resolve().parent / "golden"
FIRST, SECOND = GOLDEN / "v1", GOLDEN / "v2" / "digits"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry for this module, without a login, that holds one artifact as `tests/digits:v1`."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        push(address, "digits:v1")
        yield address


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where temporary files go in this test, which is empty after it; no login of the user, and no waiting."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(repeating, "FIRST_PAUSE", 0.0)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    yield folder
    assert [each.name for each in folder.iterdir()] == []


def push(address: str, name: str, artifact: Path = FIRST, *options: str) -> str:
    """Push an artifact, and return its place."""
    place = f"oci://{address}/tests/{name}"
    assert main(["push", str(artifact), place, "--quiet", *options]) == 0
    return place


def pinned(place: str) -> str:
    """The place by its digest."""
    found = remote.watch(place)()
    assert found is not None
    return found


def rules(said: dict[str, Any]) -> set[str]:
    return {each["rule"] for each in said["error"]["problems"]}


READING = {
    "verify": (["verify"], []),
    "inspect": (["inspect"], []),
    "predict": (["predict", "--artifact"], []),
    "report": (["report", "--format", "markdown"], []),
    "card": (["card", "-o", "card.md"], []),
    "bom": (["bom", "-o", "bom.json"], []),
    "export": (["export", "json", "-o", "facts.json"], []),
    "compare": (["compare", FIRST], []),
    "reproduce": (["reproduce", "--print-environment"], []),
}


@pytest.mark.parametrize("verb", [slow(each) if each in {"report", "bom", "inspect"} else each for each in READING])
def test_a_verb_says_the_same_of_an_artifact_in_a_registry(registry: str, cli: Cli, verb: str) -> None:
    """What a verb prints and writes of an artifact in a folder, it prints and writes of the same one in a registry."""
    before, after = READING[verb]
    found = []
    for place in (FIRST, f"oci://{registry}/tests/digits:v1"):
        status, said = cli(*before, place, *after)
        assert status == 0
        for only in ("export", "reference"):  # beside a folder a pickle could stand, and a folder has no reference
            said.pop(only, None)
        found.append((said, {each.name: each.read_bytes() for each in Path().iterdir()}))
    assert found[0] == found[1]


@pytest.mark.parametrize(("verb", "option"), [("verify", "predict --artifact "), ("inspect", "predict --artifact ")])
def test_what_follows_is_named_by_its_digest(
    registry: str, capsys: pytest.CaptureFixture[str], verb: str, option: str
) -> None:
    """The next command names the artifact that was read, wherever the tag leads by then."""
    place = f"oci://{registry}/tests/digits:v1"
    assert main([verb, place]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == f"next: artifact-pipeline {option}{pinned(place)}"
    assert "temporary" not in said


def test_python_reads_from_a_registry(registry: str) -> None:
    """Each function that reads an artifact takes a place in a registry, and a model looks there again."""
    place = f"oci://{registry}/tests/digits:v1"
    model = ap.open_artifact(place)
    assert model.digest == verify(FIRST).digest
    assert model.artifact.reference == pinned(place)
    model.verify()
    written = ap.predict_files(artifact=place, to="rows.csv", drift=False)
    assert written.receipt.artifact == model.digest
    assert ap.predict_files(artifact=model, to="again.csv", drift=False).receipt.artifact == model.digest
    assert ap.compare(place, FIRST).outcome == "identical"
    nothing = place.replace(":v1", ":nothing")
    with pytest.raises(ArtifactRejected, match="there is no artifact"):
        ap.train({"C": 1.0, "solver": "lbfgs", "max_iter": 1000}, champion=nothing)
    with pytest.raises(ArtifactRejected, match="there is no artifact"):
        ap.reproduce(nothing)


@pytest.mark.slow
def test_a_champion_may_be_in_a_registry(registry: str, candidate: Candidate, run: Run, tmp_path: Path) -> None:
    """A config names its champion in a registry, whose looks are counted on; the same model is published once."""
    publish(candidate, artifact=tmp_path / "artifact", export=None)
    folder = (tmp_path / "artifact").resolve()
    made = provenance(candidate.digest, "2026-11-28T00:00:00Z")
    folder.with_name(f"{folder.name}.provenance.json").write_bytes(made)
    place = push(registry, "champion:v1", tmp_path / "artifact")
    gate = {"champion": place, "min_accuracy": 0.9}
    values = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000, "range_margin": 0.4, "gate": gate}
    (tmp_path / "config.json").write_text(json.dumps(values))
    here = tmp_path / "other"
    here.mkdir()
    command = ("-m", "artifact_pipeline", "train", "--config", tmp_path / "config.json", "--outputs", "outputs")
    done = run(*command, cwd=here, env={"PYTHONPATH": str(SRC)})
    assert done.returncode == 0, done.stderr
    assert f"champion: {candidate.digest}, on the same 360 held-out rows, looked at 2 times" in done.stdout
    published = verify(here / "artifact")
    assert published.manifest.model.digest == candidate.manifest.model.digest
    assert f"artifact-path={published.folder}\n" in (here / "outputs").read_text()
    again = run(*command, "-S", "range_margin=0.3", cwd=here, env={"PYTHONPATH": str(SRC)})
    assert f"artifact: {pinned(place)} stays, nothing is published" in again.stdout
    assert verify(here / "artifact").digest == published.digest


@pytest.mark.needs("model_signing")
def test_a_champion_is_asked_who_vouches_for_it(registry: str, cli: Cli) -> None:
    """A champion without a trusted signature, or with another digest, is refused before a file of it is asked for."""
    write_keys(Path(), "release")
    Path("policy.json").write_text(json.dumps({"format": 1, "keys": ["release.pub"]}))
    with relay(lambda request: forward(registry, request)) as front:
        train = ("train", "--config", GOLDEN.parents[1] / "config" / "config.json", "--champion")
        place = f"oci://{front.address}/tests/digits:v1"
        assert rules(cli(*train, place, "--champion-policy", "policy.json")[1]) == {"signature-missing"}
        assert rules(cli(*train, place, "--champion-expect", f"sha256:{'0' * 64}")[1]) == {"digest-unexpected"}
        assert asked_for_files(front) == []
    assert not Path("artifact").exists()


def asked_for_files(seen: Relay) -> list[str]:
    """Which files of the first artifact a registry was asked for."""
    names = {digest(each.read_bytes()): each.name for each in FIRST.iterdir()}
    return [
        names[each.path.rpartition("/")[2]] for each in seen.asked("/blobs/") if each.path.rpartition("/")[2] in names
    ]


@pytest.mark.needs("model_signing")
@pytest.mark.parametrize("verb", [["verify"], ["predict", "--artifact"], ["serve"]])
def test_a_policy_refuses_before_a_byte_is_parsed(registry: str, cli: Cli, verb: list[str]) -> None:
    """What no trusted signer vouches for is refused by status 4 before its manifest is asked for."""
    write_keys(Path(), "release")
    with relay(lambda request: forward(registry, request)) as front:
        place = f"oci://{front.address}/tests/digits:v1"
        status, said = cli(*verb, place, "--public-key", "release.pub")
        assert (status, rules(said)) == (4, {"signature-missing"})
        status, said = cli(*verb, place, "--expect", f"sha256:{'0' * 64}")
        assert (status, rules(said)) == (4, {"digest-unexpected"})
        assert asked_for_files(front) == []
        assert cli(*verb, place, "--expect", "sha256:1")[0] == 2


# Errors, and what is left


REFUSED = {
    "no tag": ("oci://HOST/tests/digits", 2),
    "nothing there": ("oci://HOST/tests/digits:nothing", 4),
    "a failed gate": ("oci://HOST/tests/failed:v1", 4),
    "another scheme": ("https://HOST/tests/digits:v1", 2),
    "capitals": ("oci://HOST/Tests/digits:v1", 2),
    "nobody listens": ("oci://127.0.0.1:1/tests/digits:v1", 8),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_error_names_the_reference(registry: str, case: str, cli: Cli, tmp_path: Path) -> None:
    """Whatever is wrong with an artifact in a registry, the error has its status, names it, and no temporary folder."""
    if case == "a failed gate":
        push(registry, "failed:v1", failed(tmp_path / "failed"), "--accept-failed-gate")
    place, expected = REFUSED[case]
    place = place.replace("HOST", registry)
    for verb in (["verify", place], ["predict", "--artifact", place], ["compare", FIRST, place]):
        if case == "a failed gate" and verb[0] == "compare":
            continue
        status, said = cli(*verb)
        assert status == expected
        text = json.dumps(said)
        assert str(tmp_path) not in text
        assert place in text or place.removeprefix("oci://").partition("/")[0] in text
    assert list(Path().iterdir()) == []


def failed(folder: Path) -> Path:
    """An artifact without a gate, which is as whole as the first one and refused as if it had failed."""
    shutil.copytree(FIRST, folder)
    manifest = verify(FIRST).manifest
    (folder / "manifest.json").write_bytes(msgspec.structs.replace(manifest, gate=None).canonical())
    return folder


def test_a_full_disk_is_named_without_the_folder(registry: str, run: Run, temporary: Path) -> None:
    """Where the temporary copy finds no room, the error says so, by the reference, and how to name another place."""
    place = f"oci://{registry}/tests/digits:v1"
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        "from artifact_pipeline.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = run("-c", code, "verify", place, env={"PYTHONPATH": str(SRC)})
    assert done.returncode == 8
    assert done.stderr.startswith(f"error: cannot write the temporary copy of {place}: file too large\n")
    assert "hint: TMPDIR=FOLDER names a folder with room" in done.stderr
    assert str(temporary) not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, slow(signal.SIGTERM)])
def test_what_is_interrupted_leaves_nothing(registry: str, temporary: Path, number: signal.Signals) -> None:
    """Ctrl-C amid a pull ends with 130 and leaves nothing; what ends a process at once leaves a private folder."""
    with holding(registry) as front:
        command = [sys.executable, "-m", "artifact_pipeline", "verify", f"oci://{front.address}/tests/digits:v1"]
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in a shell's background has none
        try:
            process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(SRC)}, stderr=subprocess.DEVNULL)
        finally:
            signal.signal(signal.SIGINT, before)
        wait_until(lambda: front.asked("/blobs/"))
        assert [each.stat().st_mode & 0o777 for each in temporary.iterdir()] == [0o700]
        process.send_signal(number)
        assert process.wait(30) == (130 if number == signal.SIGINT else -signal.SIGTERM)
    if number == signal.SIGTERM:
        for each in temporary.iterdir():
            shutil.rmtree(each)


class holding:  # noqa: N801 - a context manager
    """A registry that keeps whoever asks for a file waiting until the block ends."""

    def __init__(self, registry: str, *, holds: bool = True) -> None:
        self._end, self.holds = threading.Event(), holds

        def answer(request: Request) -> Response:
            if "/blobs/" in request.path and self.holds:
                self._end.wait(60)
                raise Lost
            return forward(registry, request)

        self._relay = relay(answer)

    def __enter__(self) -> Relay:
        return self._relay.__enter__()

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._relay.__exit__(*error)


def test_a_signature_needs_a_folder(registry: str, cli: Cli) -> None:
    """`sign` says that it signs a folder, and what to do first."""
    status, said = cli("sign", f"oci://{registry}/tests/digits:v1", "--private-key", "key.pem")
    assert (status, said["error"]["hint"]) == (2, "sign it, then push it")


# How a registry is reached


@given(st.text(max_size=40))
def test_a_place_is_a_path_or_a_url(text: str) -> None:
    """A text with a scheme stays as it is; any other one is the path that it always was."""
    assert artifact_place(f"oci://{text}") == f"oci://{text}"
    if "://" not in text:
        assert artifact_place(text) == Path(text)


def test_variables_say_how_a_registry_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP without TLS is spoken with the registries that a variable lists, and with no other one."""
    monkeypatch.setenv("ARTIFACT_PIPELINE_PLAIN_HTTP", "one.internal:5000, two.internal")
    for place, scheme in {
        "oci://one.internal:5000/x": "http",
        "oci://two.internal/x": "http",
        "oci://one.internal/x": "https",
        "oci://two.internal:5000/x": "https",
        "oci://ghcr.io/x": "https",
    }.items():
        wire = Wire(ImageReference.parse(place), Connecting())
        assert wire.base.startswith(f"{scheme}://")


def test_a_variable_names_who_gives_tokens(registry: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service of tokens on another host is asked where the variable lists it, by each verb."""

    def answer(request: Request) -> Response:
        if request.headers.get("Authorization") == "Bearer a-token":
            return forward(registry, request)
        return Response(401, {"WWW-Authenticate": f'Bearer realm="http://{service.address}/token",service="tests"'})

    with relay(lambda _: Response(200, {}, b'{"token": "a-token"}')) as service, relay(answer) as front:
        place = f"oci://{front.address}/tests/digits:v1"
        status, said = cli("verify", place)
        assert (status, rules(said)) == (2, {"token-host"})
        assert "ARTIFACT_PIPELINE_TOKEN_HOSTS=HOST" in said["error"]["hint"]
        monkeypatch.setenv("ARTIFACT_PIPELINE_TOKEN_HOSTS", f"other.example,{service.address}")
        assert cli("verify", place)[0] == 0


# Following a tag


@pytest.mark.parametrize("header", [None, "", "sha256:1", f"sha512:{'0' * 128}", "\x1b[2J"])
def test_a_tag_is_looked_at_by_its_digest(registry: str, header: str | None) -> None:
    """Where a registry does not say the digest, or says none, the manifest's own bytes say it."""
    place = f"oci://{registry}/tests/digits:v1"

    def answer(request: Request) -> Response:
        response = forward(registry, request)
        if request.method == "HEAD":
            response.headers.pop("Docker-Content-Digest")
            response.headers |= {"Docker-Content-Digest": header} if header is not None else {}
        return response

    with relay(answer) as front:
        found = remote.watch(place.replace(registry, front.address))()
        assert found == pinned(place).replace(registry, front.address)
    assert remote.watch(f"oci://{registry}/tests/digits:nothing")() is None


def test_a_digest_is_not_followed(registry: str, cli: Cli) -> None:
    """A place by its digest always names the same bytes, so that to follow it is refused, and to serve it is not."""
    place = pinned(f"oci://{registry}/tests/digits:v1")
    with pytest.raises(ConfigError, match="never leads elsewhere"):
        remote.watch(place)
    status, said = cli("serve", place, "--follow", "--port", "0")
    assert (status, said["error"]["hint"]) == (2, "name the tag or the pointer alone, or leave --follow out")


def serves(server: Server, artifact: Path) -> bool:
    """Whether the server names this artifact in its header."""
    return server.ask("GET", "/v2/health/live")[1]["artifact-digest"] == verify(artifact).digest


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_tag_is_followed(registry: str, workers: str, tmp_path: Path) -> None:
    """With --follow a tag that moves is served soon; what is refused, and an outage, leave the old one serving."""
    down = threading.Event()

    def answer(request: Request) -> Response:
        if down.is_set():
            raise Lost
        return forward(registry, request)

    name = f"followed-{workers}:champion"
    push(registry, name)
    with (
        relay(answer) as front,
        serving_at(f"oci://{front.address}/tests/{name}", "--follow", "--workers", workers) as server,
    ):
        assert serves(server, FIRST)
        push(registry, name, SECOND)
        wait_until(lambda: server.figure("reloads_total", outcome="served") == int(workers), seconds=10)
        assert serves(server, SECOND)
        push(registry, name, failed(tmp_path / "failed"), "--accept-failed-gate")
        wait_until(lambda: server.figure("reload_refused") == int(workers))
        assert "did not pass its gate" in server.talk.read_text()
        push(registry, name, SECOND)
        wait_until(lambda: server.figure("reload_refused") == 0)
        down.set()
        wait_until(lambda: server.figure("reload_refused") == int(workers), seconds=30)
        down.clear()
        wait_until(lambda: server.figure("reload_refused") == 0, seconds=30)
        push(registry, name)
        wait_until(lambda: server.figure("reloads_total", outcome="served") == 2 * int(workers))
        assert serves(server, FIRST)
        said = server.talk.read_text()
        assert said.count("the registry answers again") == int(workers)
        assert said.count("is out of reach") == int(workers)
        assert str(tmp_path) not in said
        assert server.stop() == 0


def serving_at(place: str, *options: str) -> Any:
    """Serve what is in a registry, as `serving` does."""
    return serving(place, *options)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.needs("moto", "obstore")
def test_an_object_store_is_read_and_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`verify` and `serve --follow` take s3:// as a path: what its pointer leads to, and then what that leads to."""
    place = "s3://bucket/models/digits"
    with s3_server() as endpoint:
        empty_bucket(endpoint, monkeypatch)
        assert main(["push", str(FIRST), place]) == 0
        assert remote.verify(place).reference == f"{place}@{verify(FIRST).digest}"
        assert main(["compare", place, str(FIRST)]) == 0
        with serving_at(place, "--follow") as server:
            assert serves(server, FIRST)
            assert main(["push", str(SECOND), place]) == 0
            wait_until(lambda: server.figure("reloads_total", outcome="served") == 1, seconds=10)
            assert serves(server, SECOND)
            assert server.stop() == 0
        with pytest.raises(ConfigError, match="names a digest"):
            remote.watch(f"{place}@{verify(FIRST).digest}")


@pytest.mark.parametrize("workers", ["1", slow("2")])
def test_the_end_does_not_wait_for_a_registry(registry: str, workers: str) -> None:
    """A server that is ended while it pulls ends at once, and leaves no temporary folder."""
    name = f"slow-{workers}:champion"
    push(registry, name)
    held = holding(registry, holds=False)
    with (
        held as front,
        serving_at(f"oci://{front.address}/tests/{name}", "--follow", "--workers", workers) as server,
    ):
        held.holds, begun = True, len(front.asked("/blobs/"))
        push(registry, name, SECOND)
        wait_until(lambda: len(front.asked("/blobs/")) == begun + int(workers))
        pids = children(server.process.pid)
        assert server.stop() == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
