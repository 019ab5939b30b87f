"""The wire to a registry: logins, redirects, repetitions and uploads, before servers that misbehave."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import subprocess
import sys
import time
from functools import partialmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_pipeline.canonical import digest
from artifact_pipeline.cli import main
from artifact_pipeline.registry import repeating, repository
from artifact_pipeline.registry.addresses import is_permitted
from artifact_pipeline.registry.reference import ImageReference
from artifact_pipeline.registry.repository import Repository
from artifact_pipeline.registry.tokens import Challenge
from artifact_pipeline.training.publication import publish
from artifact_pipeline.verification import verify
from registries import Lost, Relay, Request, Response, docker_registry, forward, relay, tunnel
from tools import require_tool, slow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from artifact_pipeline.training.sealed import Candidate

    Run = Callable[..., tuple[int, dict[str, Any]]]
    Answer = Callable[[Request], Response]

USER, PASSWORD = "tester", "secret-of-the-tests"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
MUTATIONS = ("flip", "shorten", "cut", "prolong", "swap")
RULES = {"flip": "blob-digest", "shorten": "blob-short", "prolong": "blob-long"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry for this module, without a login."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(autouse=True)
def _alone(alone: None) -> None:
    """Each test of this module is alone."""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a verb in this process with `--json`: its status, and what it says."""

    def call(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        status = main([*map(str, arguments), "--json"])
        said = capsys.readouterr()
        assert PASSWORD not in said.out + said.err
        return status, json.loads(said.out)

    return call


@pytest.fixture(scope="module")
def artifact(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact that nobody changes."""
    folder = tmp_path_factory.mktemp("artifact")
    publish(candidate, artifact=folder / "artifact", export=None)
    return folder / "artifact"


@pytest.fixture(scope="module")
def pushed(registry: str, artifact: Path) -> str:
    """The repository into which that artifact has been pushed as `v1`, without the host."""
    assert main(["push", str(artifact), f"oci://{registry}/tests/pushed:v1", "--quiet"]) == 0
    return "tests/pushed"


def log_in(folder: Path, address: str, *, password: str = PASSWORD) -> None:
    """What `docker login` writes."""
    (folder / ".docker").mkdir(exist_ok=True)
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    (folder / ".docker" / "config.json").write_text(json.dumps({"auths": {address: {"auth": auth}}}))


def blobs(folder: Path) -> dict[str, str]:
    """The files of an artifact by the ends of their paths in a registry."""
    return {f"/blobs/{digest(path.read_bytes())}": path.name for path in folder.resolve().iterdir()}


def rules(said: dict[str, Any]) -> set[str]:
    return {each["rule"] for each in said["error"]["problems"]}


def left(folder: Path) -> list[str]:
    """What stands in a folder, the login aside."""
    return sorted(each.name for each in folder.iterdir() if each.name != ".docker")


# Logins


def test_basic_logins_are_those_of_docker(run: Run, artifact: Path, tmp_path: Path) -> None:
    """A registry that asks for user and password gets what `docker login` has left; without it the command is named."""
    users = tmp_path / ".docker" / "users"
    users.parent.mkdir()
    command = [require_tool("htpasswd"), "-Bbn", "-C", "4", USER, PASSWORD]
    users.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    with docker_registry(tmp_path / ".docker" / "registry", htpasswd=users) as address:
        status, said = run("push", artifact, f"oci://{address}/tests/basic:v1")
        assert status == 8
        assert said["error"]["hint"] == f"log in: docker login {address}"
        log_in(tmp_path, address, password="wrong")
        assert run("push", artifact, f"oci://{address}/tests/basic:v1")[0] == 8
        log_in(tmp_path, address)
        assert run("push", artifact, f"oci://{address}/tests/basic:v1")[0] == 0
        assert run("pull", f"oci://{address}/tests/basic:v1", "-o", "pulled")[0] == 0


@contextlib.contextmanager
def bearing(registry: str, tokens: Answer) -> Iterator[tuple[Relay, Relay]]:
    """A registry that takes tokens alone, and the service on another port that gives them."""
    with relay(tokens) as service:

        def answer(request: Request) -> Response:
            if request.headers.get("Authorization") == "Bearer a-token":
                return forward(registry, request)
            challenge = f'Bearer realm="http://{service.address}/token",service="tests",scope="repository:other:*"'
            return Response(401, {"WWW-Authenticate": challenge})

        with relay(answer) as front:
            yield front, service


def give(request: Request) -> Response:
    """A token for who has logged in."""
    known = request.headers.get("Authorization") == BASIC
    return Response(200 if known else 401, {}, json.dumps({"token": "a-token"} if known else {}).encode())


def test_a_token_is_asked_for_with_the_least_scope(run: Run, registry: str, artifact: Path, tmp_path: Path) -> None:
    """The login goes to the listed service of tokens alone, for what is needed, whatever scope the registry names."""
    with bearing(registry, give) as (front, service):
        log_in(tmp_path, front.address)
        place = f"oci://{front.address}/tests/bearer:v1"
        assert run("push", artifact, place, "--token-host", service.address)[0] == 0
        assert "scope=repository%3Atests%2Fbearer%3Apull%2Cpush" in service.requests[0].path
        assert run("pull", place, "-o", "pulled", "--token-host", service.address)[0] == 0
        assert "scope=repository%3Atests%2Fbearer%3Apull" in service.requests[-1].path
        assert "push" not in service.requests[-1].path
        assert all(each.headers.get("Authorization") in {None, "Bearer a-token"} for each in front.requests)


def test_a_realm_elsewhere_gets_nothing(run: Run, registry: str, pushed: str, tmp_path: Path) -> None:
    """A service of tokens on another host than the registry's, and not listed, is not even asked."""
    with bearing(registry, give) as (front, service):
        log_in(tmp_path, front.address)
        status, said = run("pull", f"oci://{front.address}/{pushed}:v1", "-o", "pulled")
        assert (status, rules(said)) == (2, {"token-host"})
        assert service.requests == []
        assert left(tmp_path) == []


@pytest.mark.parametrize("realm", ["http://token.example/", "ftp://127.0.0.1/", "https://u:p@127.0.0.1/", "//[", ""])
def test_a_realm_that_is_no_address_over_https_is_refused(run: Run, realm: str, tmp_path: Path) -> None:
    """A realm in plain HTTP elsewhere, with a user in it, or that is no address, is refused."""
    with relay(lambda _: Response(401, {"WWW-Authenticate": f'Bearer realm="{realm}"'})) as front:
        log_in(tmp_path, front.address)
        assert run("pull", f"oci://{front.address}/tests/x:v1", "-o", "pulled")[0] == 8


def test_an_endless_challenge_is_read_at_once() -> None:
    """Letters that never become a parameter are passed over, in a time that grows with their number alone."""
    assert Challenge.parse(f"Bearer {'a' * 1_000_000}") == Challenge("bearer")
    assert Challenge.parse('Bearer realm="r",service=s') == Challenge("bearer", "r", "s")


@pytest.mark.parametrize(
    "token", [b"{", b"[]", b'{"token": ""}', b'{"token": "a\\r\\nX: y"}', b'{"token": 1}', b"[" * 10_000]
)
def test_a_token_that_is_none_is_refused(run: Run, registry: str, pushed: str, token: bytes, tmp_path: Path) -> None:
    """Whatever a service gives in place of a token, it is no header of ours."""
    with bearing(registry, lambda _: Response(200, {}, token)) as (front, service):
        log_in(tmp_path, front.address)
        place = f"oci://{front.address}/{pushed}:v1"
        assert run("pull", place, "-o", "pulled", "--token-host", service.address)[0] == 8


def helper(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential helper `docker-credential-tests` on the path."""
    program = folder / ".docker" / "docker-credential-tests"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def test_a_credential_helper_is_asked_for_the_registry(
    run: Run, registry: str, pushed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A helper that the login's file names is given the registry's name on standard input, and its answer is used."""
    answer = json.dumps({"Username": USER, "Secret": PASSWORD})
    helper(
        tmp_path,
        f"cat > {tmp_path}/.docker/asked; echo \"$1\" >> {tmp_path}/.docker/asked; echo '{answer}'",
        monkeypatch,
    )
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"credsStore": "tests"}))
    with relay(lambda request: basic(registry, request)) as front:
        assert run("pull", f"oci://{front.address}/{pushed}:v1", "-o", "pulled")[0] == 0
    assert (tmp_path / ".docker" / "asked").read_text() == f"{front.address}get\n"


def basic(registry: str, request: Request) -> Response:
    """A registry behind a user and a password."""
    if request.headers.get("Authorization") == BASIC:
        return forward(registry, request)
    return Response(401, {"WWW-Authenticate": 'Basic realm="tests"'})


@pytest.mark.parametrize(
    ("config", "status"),
    [
        ('{"credsStore": "tests; touch escaped"}', 2),
        ('{"credsStore": "../../bin/sh"}', 2),
        ('{"credsStore": "missing"}', 8),
        ('{"credsStore": "tests"}', 8),
        ('{"auths": {"HOST": {"auth": "not base64"}}}', 2),
        ('{"auths": {"HOST": {"auth": "YQ=="}}}', 2),
        ('{"auths": []}', 2),
        ("{", 2),
    ],
)
def test_a_login_that_cannot_be_used_is_named(
    run: Run, registry: str, tmp_path: Path, config: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A helper by a crooked name is not started; one that fails, and a damaged file, are named."""
    helper(tmp_path, "echo trouble >&2; exit 1", monkeypatch)
    with relay(lambda request: basic(registry, request)) as front:
        (tmp_path / ".docker" / "config.json").write_text(config.replace("HOST", front.address))
        found, said = run("pull", f"oci://{front.address}/tests/x:v1", "-o", "pulled")
    assert (found, left(tmp_path)) == (status, [])
    assert said["error"]["hint"]


def test_the_file_that_is_named_is_the_only_one(
    run: Run, registry: str, pushed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`REGISTRY_AUTH_FILE` is taken in place of every other file, and has to be there."""
    with relay(lambda request: basic(registry, request)) as front:
        log_in(tmp_path, front.address)
        named = (tmp_path / ".docker" / "config.json").rename(tmp_path / ".docker" / "named.json")
        place = f"oci://{front.address}/{pushed}:v1"
        assert run("pull", place, "-o", "pulled")[0] == 8
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(named))
        assert run("pull", place, "-o", "pulled")[0] == 0
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "missing"))
        assert run("pull", place, "-o", "again")[0] == 2


# Redirects


def test_a_redirect_to_another_host_carries_no_login(run: Run, registry: str, pushed: str, tmp_path: Path) -> None:
    """Blobs that a registry keeps elsewhere are taken from there, without the registry's login."""
    with relay(lambda request: forward(registry, request)) as elsewhere:

        def answer(request: Request) -> Response:
            response = basic(registry, request)
            if "/blobs/" in request.path and response.status == 200:
                return Response(307, {"Location": f"http://{elsewhere.address}{request.path}"})
            return response

        with relay(answer) as front:
            log_in(tmp_path, front.address)
            assert run("pull", f"oci://{front.address}/{pushed}:v1", "-o", "pulled")[0] == 0
    assert elsewhere.requests
    assert not any("Authorization" in each.headers for each in elsewhere.requests)


@pytest.mark.parametrize("location", ["http://example.invalid/x", "file:///etc/passwd", "//[", "", "/again"])
def test_a_redirect_that_leads_astray_is_refused(
    run: Run, registry: str, pushed: str, tmp_path: Path, location: str
) -> None:
    """A redirect out of HTTPS, to no address, or in a ring is refused, and nothing is left."""

    def answer(request: Request) -> Response:
        astray = "/blobs/" in request.path or "/again" in request.path
        return Response(307, {"Location": location}) if astray else forward(registry, request)

    with relay(answer) as front:
        assert run("pull", f"oci://{front.address}/{pushed}:v1", "-o", "pulled")[0] == 8
        assert len(front.requests) < 20
    assert left(tmp_path) == []


@given(
    scheme=st.sampled_from(["http", "https", "ftp", "file", ""]),
    host=st.sampled_from(["localhost", "127.0.0.1", "[::1]", "example.org", "127.0.0.1.example.org", ""]),
    user=st.sampled_from(["", "user@", "user:secret@"]),
    plain=st.sampled_from(["nowhere", "here", "anywhere"]),
)
def test_plain_http_is_spoken_where_it_is_allowed(scheme: str, host: str, user: str, plain: Any) -> None:
    """HTTPS goes anywhere, HTTP to this machine or where that was said, and no address has a user in it."""
    here = host in {"localhost", "127.0.0.1", "[::1]"}
    may = scheme == "https" or (scheme == "http" and (plain == "anywhere" or (plain == "here" and here)))
    assert is_permitted(f"{scheme}://{user}{host}/x", plain=plain) == (may and bool(host) and not user)


# Repetitions


def test_a_busy_registry_is_asked_again_when_it_says(
    run: Run, registry: str, pushed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 429 and 503 the next try waits as long as `Retry-After` says, within bounds; then the pull goes on."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    answers = [
        Response(429, {"Retry-After": "7"}),
        Response(503, {"Retry-After": "999999"}),
        Response(500, {"Retry-After": "nonsense"}),
    ]
    with relay(lambda request: answers.pop(0) if answers else forward(registry, request)) as front:
        assert run("pull", f"oci://{front.address}/{pushed}:v1", "-o", "pulled")[0] == 0
    assert waits[:2] == [7.0, 60.0]


def test_a_registry_that_stays_busy_is_named(run: Run, tmp_path: Path) -> None:
    """After some tries the error has the registry's own words, and what is sent is no attack on it."""
    body = json.dumps({"errors": [{"code": "X", "message": "down\x1b[2J for\nrepair"}]}).encode()
    with relay(lambda _: Response(503, {}, body)) as front:
        status, said = run("pull", f"oci://{front.address}/tests/x:v1", "-o", "pulled")
        assert len(front.requests) == repeating.TRIES
    assert status == 8
    assert "for repair" in said["error"]["message"]
    assert left(tmp_path) == []


def test_nothing_listens(run: Run, tmp_path: Path, artifact: Path) -> None:
    """A registry that is not there is named by both verbs, with status 8."""
    with relay(lambda _: Response(404)) as gone:
        place = f"oci://{gone.address}/tests/x:v1"
    assert run("pull", place, "-o", "pulled")[0] == 8
    assert run("push", artifact, place)[0] == 8
    assert left(tmp_path) == []


def cutting(registry: str, number: int, *, behind: bool) -> Answer:
    """A registry whose connection ends at one request: before it is seen (`behind` false), or before the answer."""
    count = 0

    def answer(request: Request) -> Response:
        nonlocal count
        count += 1
        if count == number and not behind:
            raise Lost
        response = forward(registry, request)
        if count == number:
            raise Lost
        return response

    return answer


@pytest.mark.parametrize("number", [1, 4, 7, *[slow(each) for each in (2, 3, 5, 6, *range(8, 40))]])
@pytest.mark.parametrize("behind", [False, True])
def test_a_cut_at_any_request_is_made_up_for(
    run: Run,
    registry: str,
    artifact: Path,
    tmp_path: Path,
    *,
    number: int,
    behind: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever the connection ends once, in a push or a pull, it goes on, and the artifact arrives whole."""
    monkeypatch.setattr(repository, "CHUNK", 1500)
    name = f"tests/cut-{number}-{behind}".lower()
    with relay(cutting(registry, number, behind=behind)) as front:
        assert run("push", artifact, f"oci://{front.address}/{name}:v1")[0] == 0
    with relay(cutting(registry, number, behind=behind)) as front:
        assert run("pull", f"oci://{front.address}/{name}:v1", "-o", "pulled")[0] == 0
    assert blobs(tmp_path / "pulled") == blobs(artifact)


@pytest.mark.parametrize("number", [3, *[slow(each) for each in (1, 2, 5, 8, 11, 14, 17, 20, 25, 30)]])
def test_a_registry_that_dies_leaves_nothing_half(
    run: Run, registry: str, artifact: Path, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the registry goes away for good, nothing is left and no tag moves; the next try succeeds."""
    name = f"tests/dead-{number}"

    def answer(request: Request) -> Response:
        if len(front.requests) >= number:
            raise Lost
        return forward(registry, request)

    with relay(answer) as front:
        died = run("push", artifact, f"oci://{front.address}/{name}:v1")[0]
    status, _ = run("pull", f"oci://{registry}/{name}:v1", "-o", "pulled")
    assert (died, status) in {(8, 4), (0, 0)}
    assert run("push", artifact, f"oci://{registry}/{name}:v1")[0] == 0
    with relay(answer) as front:
        died = run("pull", f"oci://{front.address}/{name}:v1", "-o", "taken")[0]
    assert left(tmp_path) == ([] if status else ["pulled"]) + (["taken"] if died == 0 else [])
    assert run("pull", f"oci://{registry}/{name}:v1", "-o", "taken")[0] == 0


def upload(address: str, name: str, data: bytes) -> bool:
    """Put a blob into a repository; whether it was sent."""
    repository = Repository(ImageReference.parse(f"oci://{address}/tests/{name}"), push=True)
    return repository.write_blob(data)


@pytest.mark.parametrize("stored", [0, 1, 400, 1000])
def test_an_upload_goes_on_where_the_registry_stands(stored: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a cut amid a piece the registry is asked how much it has, and exactly the rest is sent."""
    monkeypatch.setattr(repository, "CHUNK", 1000)
    data, has = random.Random(3).randbytes(5500), bytearray()

    def answer(request: Request) -> Response:
        place = {"Location": f"/upload?stands={len(has)}"}
        match request.method:
            case "HEAD":
                return Response(404)
            case "GET":
                return Response(204, {**place, "Range": f"0-{max(len(has) - 1, 0)}"})
            case "PATCH" if len(front.asked("/upload")) == 3:
                has.extend(request.body[:stored])
                raise Lost
            case "PATCH" | "PUT":
                assert request.headers.get("Content-Range", f"{len(has)}-").startswith(f"{len(has)}-")
                has.extend(request.body)
        return Response(201 if request.method == "PUT" else 202, place)

    with relay(answer) as front:
        assert upload(front.address, "resumed", data)
        assert [each.method for each in front.requests].count("POST") == 1
    assert bytes(has) == data


def test_an_upload_goes_on_after_a_piece_that_was_lost(registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece that did not reach the registry is sent again, and no other one."""
    monkeypatch.setattr(repository, "CHUNK", 1000)
    data = random.Random(3).randbytes(5500)

    def answer(request: Request) -> Response:
        if request.method == "PATCH" and sum(each.method == "PATCH" for each in front.requests) == 3:
            raise Lost
        return forward(registry, request)

    with relay(answer) as front:
        assert upload(front.address, "lost", data)
        methods = [each.method for each in front.requests]
        assert (methods.count("POST"), methods.count("PATCH")) == (1, 6)
    assert forward(registry, Request("GET", f"/v2/tests/lost/blobs/{digest(data)}", {}, b"")).body == data


def test_an_upload_that_is_gone_begins_again(registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the registry has forgotten an upload, or wants another range, the blob arrives all the same."""
    monkeypatch.setattr(repository, "CHUNK", 1000)
    data = random.Random(4).randbytes(3500)
    answers = [Response(404), Response(416), Response(429, {"Retry-After": "0"})]

    def answer(request: Request) -> Response:
        return answers.pop(0) if request.method == "PATCH" and answers else forward(registry, request)

    with relay(answer) as front:
        assert upload(front.address, "forgotten", data)
    assert answers == []
    assert forward(registry, Request("GET", f"/v2/tests/forgotten/blobs/{digest(data)}", {}, b"")).body == data


def test_an_upload_goes_to_no_other_place_with_the_login(run: Run, artifact: Path, tmp_path: Path) -> None:
    """Where a registry sends an upload to another host, that gets the bytes and no login."""
    with relay(lambda _: Response(500)) as elsewhere:

        def answer(request: Request) -> Response:
            if request.headers.get("Authorization") != BASIC:
                return Response(401, {"WWW-Authenticate": 'Basic realm="tests"'})
            if request.method == "POST":
                return Response(202, {"Location": f"http://{elsewhere.address}/upload"})
            return Response(404)

        with relay(answer) as front:
            log_in(tmp_path, front.address)
            assert run("push", artifact, f"oci://{front.address}/tests/x:v1")[0] == 8
    assert elsewhere.requests
    assert not any("Authorization" in each.headers for each in elsewhere.requests)


# Bytes that are not what was asked for


def mutated(kind: str, response: Response, chance: random.Random, other: bytes) -> Response:
    """A response with one fault."""
    body = response.body
    if kind == "flip":
        at = chance.randrange(len(body))
        body = body[:at] + bytes([body[at] ^ (1 << chance.randrange(8))]) + body[at + 1 :]
    elif kind == "shorten":
        body = body[: chance.randrange(len(body))]
    elif kind == "prolong":
        body += chance.randbytes(chance.choice([1, 7, 4096]))
    elif kind == "swap":
        body = other
    cut = chance.randrange(len(body)) if kind == "cut" else None
    return Response(response.status, {**response.headers}, body, cut)


@pytest.mark.parametrize("seed", [*range(10), *[slow(each) for each in range(10, 220)]])
def test_blobs_that_were_changed_are_refused_by_name(
    run: Run, registry: str, pushed: str, artifact: Path, tmp_path: Path, seed: int
) -> None:
    """A blob that is flipped, cut, shortened, prolonged or swapped on its way is named, and nothing is kept."""
    chance = random.Random(seed)
    kind, names = MUTATIONS[seed % len(MUTATIONS)], blobs(artifact)
    end = chance.choice(sorted(names))
    other = (artifact / chance.choice([name for path, name in sorted(names.items()) if path != end])).read_bytes()

    def answer(request: Request) -> Response:
        response = forward(registry, request)
        hit = request.path.endswith(end) and request.method == "GET"
        return mutated(kind, response, chance, other) if hit else response

    with relay(answer) as front:
        status, said = run("pull", f"oci://{front.address}/{pushed}:v1", "-o", "pulled")
    assert left(tmp_path) == []
    if kind == "cut":
        assert status in {4, 8}
        return
    assert status == 4
    (problem,) = said["error"]["problems"]
    assert problem["place"] == names[end]
    assert problem["rule"] in ({RULES[kind]} if kind in RULES else set(RULES.values()))


@pytest.mark.parametrize("kind", ["flip", "shorten", "prolong"])
def test_a_manifest_that_was_changed_is_refused(
    run: Run, registry: str, pushed: str, tmp_path: Path, kind: str
) -> None:
    """An OCI manifest that is asked for by its digest is compared with it, the config of the model too."""
    found = forward(
        registry,
        Request("GET", f"/v2/{pushed}/manifests/v1", {"Accept": "application/vnd.oci.image.manifest.v1+json"}, b""),
    )
    image = json.loads(found.body)
    for end in (f"/manifests/{digest(found.body)}", f"/blobs/{image['config']['digest']}"):

        def answer(request: Request, end: str = end) -> Response:
            response = forward(registry, request)
            hit = request.path.endswith(end) and request.method == "GET"
            return mutated(kind, response, random.Random(1), b"") if hit else response

        with relay(answer) as front:
            status, said = run("pull", f"oci://{front.address}/{pushed}@{digest(found.body)}", "-o", "pulled")
        assert status == 4
        assert rules(said) <= {"blob-digest", "blob-short", "blob-long"}
    assert left(tmp_path) == []


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"null", b'{"schemaVersion": 2}', b"x" * (5 << 20)])
def test_a_manifest_that_is_none_is_refused(run: Run, tmp_path: Path, body: bytes) -> None:
    """Whatever comes in place of an OCI manifest is refused: no JSON, nested without end, or too large."""
    kind = "application/vnd.oci.image.manifest.v1+json"
    with relay(lambda _: Response(200, {"Content-Type": kind}, body)) as front:
        status, _ = run("pull", f"oci://{front.address}/tests/x:v1", "-o", "pulled")
    assert status in {4, 8}
    assert left(tmp_path) == []


MEMORY = """
import os, sys
from artifact_pipeline.registry.reference import ImageReference
from artifact_pipeline.registry.repository import Repository
from tools import peak_memory
repository = Repository(ImageReference.parse(sys.argv[1]))
with open(os.devnull, "wb") as nowhere:
    class Sink:
        write = nowhere.write
        seek = truncate = lambda *_: 0
    repository.read_blob(sys.argv[2], 1 << 30, Sink(), name="blob")
print(peak_memory())
"""


@pytest.mark.slow
def test_a_blob_of_a_gibibyte_takes_no_memory(registry: str, tmp_path: Path) -> None:
    """1 GiB passes through less than 100 MiB of memory, hashed on its way."""
    import hashlib
    import socketserver
    import threading

    piece = bytes(1 << 20)
    wanted = hashlib.sha256()
    for _ in range(1024):
        wanted.update(piece)

    class Server(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline() not in {b"", b"\r\n"}:
                pass
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
            for _ in range(1024):
                self.wfile.write(piece)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"oci://127.0.0.1:{server.server_address[1]}/tests/large"
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, place, f"sha256:{wanted.hexdigest()}"],
            cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{Path(__file__).parents[1] / 'src'}"},
        )  # fmt: skip
        server.shutdown()
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100


UPLOAD = """
import mmap, resource, sys
from artifact_pipeline.registry.reference import ImageReference
from artifact_pipeline.registry.repository import Repository
repository = Repository(ImageReference.parse(sys.argv[1]), push=True)
resource.setrlimit(resource.RLIMIT_DATA, (100 << 20, 100 << 20))
with open(sys.argv[2], "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
    assert repository.write_blob(data)
"""


@pytest.mark.slow
def test_a_gibibyte_is_sent_without_a_copy_of_it(tmp_path: Path) -> None:
    """1 GiB is sent, in pieces, by a process that may hold 100 MiB beside it."""
    import http.server
    import threading

    sent: list[int] = []

    class Sink(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _take(self, status: int) -> None:
            left = int(self.headers.get("Content-Length") or 0)
            sent.append(left)
            while left:
                left -= len(self.rfile.read(min(left, 1 << 20)))
            self.send_response(status)
            self.send_header("Location", "/v2/tests/large/blobs/uploads/1")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    for method, status in {"HEAD": 404, "POST": 202, "PATCH": 202, "PUT": 201}.items():
        setattr(Sink, f"do_{method}", partialmethod(Sink._take, status))
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 30)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"oci://127.0.0.1:{server.server_address[1]}/tests/large"
        done = subprocess.run(
            [sys.executable, "-c", UPLOAD, place, tmp_path / "large"],
            capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src")},
        )  # fmt: skip
        server.shutdown()
    assert done.returncode == 0, done.stderr
    assert sum(sent) == 1 << 30
    assert max(sent) == repository.CHUNK


@pytest.mark.needs("cryptography")
def test_a_registry_behind_a_proxy_and_an_authority_of_its_own(
    run: Run, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS goes through the proxy of the environment, and is trusted by SSL_CERT_FILE alone, with the host's name."""
    from proxies import NAME, write_certificate

    write_certificate(tmp_path)
    with docker_registry(tmp_path / "registry", secure=tmp_path) as address, tunnel(address) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        for name in ("NO_PROXY", "no_proxy", "https_proxy", "SSL_CERT_FILE"):
            monkeypatch.delenv(name, raising=False)
        status, said = run("push", artifact, f"oci://{NAME}/tests/secure:v1")
        assert (status, "CERTIFICATE_VERIFY_FAILED" in said["error"]["message"]) == (8, True)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
        status, said = run("push", artifact, "oci://other.example/tests/secure:v1")
        assert (status, "mismatch" in said["error"]["message"]) == (8, True)
        assert run("push", artifact, f"oci://{NAME}/tests/secure:v1")[0] == 0
        assert run("pull", f"oci://{NAME}/tests/secure:v1", "-o", tmp_path / "pulled")[0] == 0
    assert verify(tmp_path / "pulled").digest == verify(artifact).digest
    assert {each.path for each in proxy.requests} == {f"{NAME}:443", "other.example:443"}
