"""What a registry holds, listed by `runs`, and what it can do without, deleted by `gc`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from artifact_pipeline.canonical import digest
from artifact_pipeline.cli import main
from artifact_pipeline.registry import tags
from artifact_pipeline.registry.image import INDEX_TYPE, MANIFEST_TYPE, compact, record
from artifact_pipeline.registry.reference import ImageReference
from artifact_pipeline.registry.repository import Repository
from registries import Lost, Request, Response, docker_registry, forward, relay
from signatures import provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Cli = Callable[..., tuple[int, dict[str, Any]]]
    Push = Callable[..., dict[str, Any]]
    Answer = Callable[[Request], Response]

GOLDEN = Path(__file__).resolve().parent / "golden" / "v2"
LISTED = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry for this module in which manifests may be deleted."""
    with docker_registry(tmp_path_factory.mktemp("registry"), deletes=True) as address:
        yield address


@pytest.fixture(autouse=True)
def _alone(alone: None) -> None:
    """Each test of this module is alone."""


@pytest.fixture
def place(registry: str, request: pytest.FixtureRequest) -> str:
    """A repository of its own for each test."""
    return f"oci://{registry}/tests/{digest(request.node.nodeid.encode())[-12:]}"


@pytest.fixture
def push(cli: Cli, place: str, tmp_path: Path) -> Push:
    """Push a golden artifact to a tag, with provenance of a time where one is given, and return what `push` says."""

    def call(model: str, tag: str, *, made: str | None = None) -> dict[str, Any]:
        folder = tmp_path / model
        if not folder.exists():
            shutil.copytree(GOLDEN / model, folder)
        beside = folder.with_name(f"{model}.provenance.json")
        beside.unlink(missing_ok=True)
        if made is not None:
            beside.write_bytes(provenance(digest((folder / "manifest.json").read_bytes()), made))
        status, said = cli("push", folder, f"{place}:{tag}")
        assert status == 0
        return said

    return call


def repository(place: str) -> Repository:
    return Repository(ImageReference.parse(place), push=True)


def has(place: str, target: str) -> bool:
    """Whether the registry has a manifest or an index under a tag or a digest."""
    return repository(place).read_manifest(target, (MANIFEST_TYPE, INDEX_TYPE)) is not None


def before(registry: str, change: Callable[[Request, Response], Response]) -> Any:
    """A relay before the registry."""
    return relay(lambda request: change(request, forward(registry, request)))


def through(address: str, place: str) -> str:
    """A place, reached by a relay."""
    return f"oci://{address}/tests/{place.rpartition('/')[2]}"


def rules(said: dict[str, Any]) -> set[str]:
    return {each["rule"] for each in said["error"]["problems"]}


def put_foreign(place: str, tag: str) -> str:
    """Push an image that is no artifact, and return its digest."""
    found = repository(place)
    found.write_blob(b"{}")
    blob = record("application/x", b"{}")
    image = compact({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": blob, "layers": [blob]})
    found.write_manifest(tag, image, MANIFEST_TYPE)
    return digest(image)


def put_index(place: str, tag: str, *listed: bytes, kind: str = MANIFEST_TYPE) -> bytes:
    """Push an index of manifests that are there."""
    index = compact({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [record(kind, each) for each in listed]})
    repository(place).write_manifest(tag, index, INDEX_TYPE)
    return index


def manifest(place: str, target: str) -> bytes:
    read = repository(place).read_manifest(target, (MANIFEST_TYPE,))
    assert read is not None
    return read[0]


# --- what is there


def test_a_registry_is_listed_as_a_store_is(cli: Cli, place: str, push: Push) -> None:
    """Each artifact is one line, with its digests, all its tags, its figures, and what changed since the one before."""
    digits = push("digits", "v2")
    push("digits", "latest")
    older = push("SVC", "v1")
    status, said = cli("runs", "--registry", place)
    assert (status, said["others"], said["complete"]) == (0, 0, True)
    first, second = said["runs"]
    assert (first["reference"], first["digest"]) == (digits["reference"], digits["artifact"])
    assert sorted(first["tags"]) == ["latest", "v2"]
    assert (second["reference"], second["tags"], second["changed"]) == (older["reference"], ["v1"], None)
    shutil.copytree("digits", f"store/artifacts/{digits['artifact'].removeprefix('sha256:')}")
    store = cli("runs", "--artifact", "store/artifact")[1]["runs"][0]
    for key in ("gate", "comparison", "accuracy", "f1_weighted", "readable"):
        assert first[key] == store[key]
    assert first["changed"]["max_iter"] == 1000


def test_the_order_is_that_of_provenance_and_then_of_tags(cli: Cli, place: str, push: Push) -> None:
    """The latest time in provenance comes first, and what has none follows by its tags, numbers as numbers."""
    push("GaussianNB", "v9")
    push("SVC", "v10")
    push("digits", "old", made="2026-01-01T00:00:00Z")
    push("BernoulliNB", "new", made="2026-02-01T00:00:00+01:00")
    _, said = cli("runs", "--registry", place)
    assert [each["tags"] for each in said["runs"]] == [["new"], ["old"], ["v10"], ["v9"]]
    assert [each["made"] for each in said["runs"]][:2] == ["2026-02-01T00:00:00+01:00", "2026-01-01T00:00:00+00:00"]
    assert (said["others"], said["complete"]) == (0, True)  # the index of what refers to an image is no image


def test_people_read_that_nothing_is_verified(place: str, push: Push, capsys: pytest.CaptureFixture[str]) -> None:
    """The list says that it is not verified, and its order; it counts what is no artifact, and ends in a command."""
    pushed = push("digits", "v1")
    put_foreign(place, "foreign")
    capsys.readouterr()
    assert main(["runs", "--registry", place]) == 0
    head, line, *rest = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "OCI",
        "digest",
        "digest",
        "tags",
        "gate",
        *["held-out", "accuracy", "held-out", "F1", "changed"],
    ]
    short = [pushed[key].removeprefix("sha256:")[:12] for key in ("digest", "artifact")]
    assert line.split() == [*short, "v1", "passed", "0.9750", "0.9751"]
    assert rest[0] == "listed, not verified; 1 without provenance by tag"
    assert rest[1].startswith("1 tagged image not listed")
    assert rest[2].endswith(f"artifact-pipeline pull {pushed['reference']} -o digits")


def test_what_is_no_repository_is_refused(cli: Cli, place: str) -> None:
    """A repository that is not there, one artifact, and a store beside a repository each get an error of their own."""
    status, said = cli("runs", "--registry", place)
    assert (status, rules(said)) == (4, {"repository-missing"})
    assert cli("runs", "--registry", f"{place}:v1")[0] == 2
    assert cli("runs", "--registry", place, "--artifact", "artifact")[0] == 2


def test_an_artifact_that_is_damaged_is_listed_as_such(cli: Cli, registry: str, place: str, push: Push) -> None:
    """A manifest that is not what its digest says, or is none, is listed as unreadable, and the others as they are."""
    damaged = push("digits", "v2")["artifact"]
    push("SVC", "v1")

    def change(request: Request, response: Response) -> Response:
        return Response(200, {}, b"x" * len(response.body)) if request.path.endswith(damaged) else response

    with before(registry, change) as seen:
        _, said = cli("runs", "--registry", through(seen.address, place))
    assert [each["readable"] for each in said["runs"]] == [False, True]


# --- hostile lists


def page(names: list[str], following: str | None = None) -> Response:
    """A page of tags, and where the next one is."""
    headers = {} if following is None else {"Link": f'<{following}>; rel="next"'}
    return Response(200, {**LISTED, **headers}, json.dumps({"name": "x", "tags": names}).encode())


def test_pages_are_followed_to_their_end(cli: Cli, registry: str, place: str, push: Push) -> None:
    """Of several pages all tags are listed; the next page is asked of this repository, wherever its link leads."""
    push("digits", "v1")
    push("SVC", "v2")

    def change(request: Request, response: Response) -> Response:
        if "/tags/list" not in request.path:
            return response
        last = parse_qs(urlsplit(request.path).query).get("last")
        return page(["v2"]) if last == ["v 1"] else page(["v1"], "http://other.example/elsewhere?last=v%201&n=1")

    with before(registry, change) as seen:
        _, said = cli("runs", "--registry", through(seen.address, place))
        assert {urlsplit(each.path).path for each in seen.asked("list")} == {f"/v2/tests/{place[-12:]}/tags/list"}
    assert ([each["tags"] for each in said["runs"]], said["complete"]) == ([["v2"], ["v1"]], True)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("a loop", lambda _, __: page(["v1"], "/v2/x/tags/list?last=v1")),
        ("a link without a query", lambda _, __: page(["v1"], "/v2/x/tags/list")),
        ("no address", lambda _, __: page(["v1"], "http://[")),
        ("pages without end", lambda _, count: page(["v1", f"x{count}"], f"?last={count}")),
        ("a million tags", lambda _, count: page([f"x{count}-{each}" for each in range(5_000)], f"?last={count}")),
        ("names that are none", lambda _, __: page(["v1", "../../../x", "a\x1b[2J", "", "a b", "-x", "y" * 129])),
    ],
)
def test_a_list_without_end_is_cut_and_never_taken_for_whole(
    cli: Cli,
    registry: str,
    place: str,
    push: Push,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    answer: Callable[[Request, int], Response],
) -> None:
    """Whatever a registry lists, the requests are bounded, `runs` says that there is more, and `gc` deletes nothing."""
    push("digits", "v1")
    counts = iter(range(10_000))
    monkeypatch.setattr(tags, "MAX_TAGS", 90)

    def reply(request: Request) -> Response:
        if "/tags/list" in request.path:
            return answer(request, next(counts))
        known = request.path.endswith("/v1") or "sha256" in request.path
        return forward(registry, request) if known else Response(404)

    with relay(reply) as seen:
        where = through(seen.address, place)
        status, said = cli("runs", "--registry", where)
        assert (status, said["complete"]) == (0, False), name
        assert len(seen.asked("/tags/list")) <= 100
        assert len(seen.asked("/manifests/x")) <= 90
        status, said = cli("gc", "--registry", where, "--match", "*", "--yes")
        assert (status, rules(said)) == (4, {"tags-incomplete"})
        assert not [each for each in seen.requests if each.method == "DELETE" or ".." in each.path]
    assert has(place, "v1")


@pytest.mark.parametrize("part", ["/tags/list", "/manifests/v1"])
def test_a_gigabyte_is_refused_after_its_bound(cli: Cli, registry: str, place: str, push: Push, part: str) -> None:
    """A list or a manifest of a gigabyte is refused, and no more of it is read than its bound."""
    push("digits", "v1")

    def change(request: Request, response: Response) -> Response:
        if part not in request.path:
            return response
        return Response(200, {**response.headers, "Content-Length": str(1 << 30)}, b" " * (5 << 20), cut=5 << 20)

    with before(registry, change) as seen:
        status, said = cli("runs", "--registry", through(seen.address, place))
    assert (status, "more than 4,194,304 bytes" in said["error"]["message"]) == (8, True)


# --- what can be deleted


def test_what_other_tags_lead_to_stays(cli: Cli, place: str, push: Push) -> None:
    """Listed is what tags of the pattern alone lead to; nothing is deleted before `--yes`, and then just that."""
    kept = push("digits", "sha-1", made="2026-01-01T00:00:00Z")
    push("digits", "champion", made="2026-01-01T00:00:00Z")
    gone = push("SVC", "sha-2", made="2026-01-01T00:00:00Z")
    push("SVC", "sha-3")
    foreign = put_foreign(place, "sha-foreign")
    status, said = cli("gc", "--registry", place, "--match", "sha-*")
    assert (status, said["deleted"], said["kept"]) == (0, False, 2)
    (spare,) = said["spare"]
    assert (spare["reference"], spare["digest"], sorted(spare["tags"])) == (
        gone["reference"], gone["artifact"], ["sha-2", "sha-3"],
    )  # fmt: skip
    assert len(spare["beside"]) == 2  # the provenance, and the index that lists it
    files = sum(path.stat().st_size for path in (GOLDEN / "SVC").iterdir())
    assert files < said["bytes"] == spare["bytes"] < files + 2000
    everything = [gone["digest"], *spare["beside"], "sha-2", "sha-3", gone["digest"].replace(":", "-")]
    stays = [kept["digest"], "champion", "sha-1", kept["digest"].replace(":", "-"), foreign]
    assert all(has(place, each) for each in [*everything, *stays])
    status, again = cli("gc", "--registry", place, "--match", "sha-*", "--yes")
    assert (status, again) == (0, {**said, "deleted": True})
    assert not any(has(place, each) for each in everything)
    assert all(has(place, each) for each in stays)
    status, pulled = cli("pull", f"{place}:champion", "-o", "pulled")
    assert (status, pulled["beside"]) == (0, [".provenance.json"])
    assert cli("gc", "--registry", place, "--match", "sha-*", "--yes")[1]["spare"] == []


def test_what_an_index_lists_stays(cli: Cli, place: str, push: Push) -> None:
    """An artifact in an index of another tag, or in an index of that index, is in use."""
    for model, tag in (("digits", "sha-1"), ("SVC", "sha-2"), ("GaussianNB", "sha-3")):
        push(model, tag)
    inner = put_index(place, "sha-index", manifest(place, "sha-1"))
    put_index(place, "prod", inner, kind=INDEX_TYPE)
    put_index(place, "other", manifest(place, "sha-2"))
    _, said = cli("gc", "--registry", place, "--match", "sha-[0-9]", "--yes")
    assert [each["tags"] for each in said["spare"]] == [["sha-3"]]
    assert [has(place, f"sha-{number}") for number in (1, 2, 3)] == [True, True, False]


def test_who_lists_an_image_as_a_referrer_of_garbage_deletes_nothing(cli: Cli, place: str, push: Push) -> None:
    """A list of referrers that names the champion, or is shared with another image, takes neither with it."""
    champion, gone, other = push("digits", "champion"), push("SVC", "sha-1"), push("GaussianNB", "v1")
    put_index(place, gone["digest"].replace(":", "-"), manifest(place, "champion"))
    shared = put_index(place, other["digest"].replace(":", "-"), manifest(place, "champion"))
    _, said = cli("gc", "--registry", place, "--match", "sha-*", "--yes")
    assert [each["beside"] for each in said["spare"]] == [[]]
    assert not has(place, gone["digest"])
    assert has(place, champion["digest"])
    assert has(place, digest(shared))


def test_a_tag_that_is_set_meanwhile_keeps_what_it_leads_to(cli: Cli, registry: str, place: str, push: Push) -> None:
    """What gets another tag while `gc` looks for what refers to it is left, with its provenance; the others go."""
    promoted = push("digits", "sha-1", made="2026-01-01T00:00:00Z")
    push("SVC", "sha-2")

    def answer(request: Request) -> Response:
        if "/referrers/" in request.path:
            repository(place).write_manifest("champion", manifest(place, promoted["digest"]), MANIFEST_TYPE)
        return forward(registry, request)

    with relay(answer) as front:
        where = through(front.address, place)
        status, said = cli("gc", "--registry", where, "--match", "sha-*", "--yes")
    assert (status, [each["tags"] for each in said["spare"]], said["kept"]) == (0, [["sha-2"]], 1)
    assert not has(place, "sha-2")
    assert cli("pull", f"{place}:champion", "-o", "pulled")[1]["beside"] == [".provenance.json"]


def test_a_registry_that_deletes_nothing_is_named_with_the_mend(
    cli: Cli, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Where manifests cannot be deleted the status is 8, the hint says how that is allowed, and all stands."""
    with docker_registry(tmp_path_factory.mktemp("fixed")) as address:
        place = f"oci://{address}/tests/fixed"
        assert cli("push", GOLDEN / "digits", f"{place}:sha-1")[0] == 0
        assert cli("gc", "--registry", place, "--match", "sha-*")[0] == 0
        status, said = cli("gc", "--registry", place, "--match", "sha-*", "--yes")
        assert (status, "REGISTRY_STORAGE_DELETE_ENABLED=true" in said["error"]["hint"]) == (8, True)
        assert has(place, "sha-1")


def test_a_deletion_that_is_cut_goes_on(cli: Cli, registry: str, place: str, push: Push) -> None:
    """Cut at each request that deletes, the image is still listed, and the same command ends it."""
    for cut in range(3):
        gone = push("digits", "sha-1", made="2026-01-01T00:00:00Z")
        seen_deletions: set[str] = set()

        def answer(request: Request, *, cut: int = cut, seen: set[str] = seen_deletions) -> Response:
            if request.method == "DELETE":
                seen.add(request.path)
                if len(seen) > cut:
                    raise Lost
            return forward(registry, request)

        with relay(answer) as front:
            where = through(front.address, place)
            assert cli("gc", "--registry", where, "--match", "sha-*", "--yes")[0] == 8
        assert has(place, gone["digest"])
        status, said = cli("gc", "--registry", place, "--match", "sha-*", "--yes")
        assert (status, len(said["spare"])) == (0, 1)
        assert not has(place, gone["digest"])
        assert not has(place, gone["digest"].replace(":", "-"))


def test_an_answer_that_is_lost_is_no_failure(cli: Cli, registry: str, place: str, push: Push) -> None:
    """Where the registry has deleted and its answer was lost, asking again finds it gone, and that is well."""
    push("digits", "sha-1")
    lost: list[str] = []

    def answer(request: Request) -> Response:
        response = forward(registry, request)
        if request.method == "DELETE" and not lost:
            lost.append(request.path)
            raise Lost
        return response

    with relay(answer) as front:
        where = through(front.address, place)
        assert cli("gc", "--registry", where, "--match", "sha-*", "--yes")[0] == 0
    assert lost
    assert not has(place, "sha-1")


def test_the_right_to_delete_is_asked_for_where_it_is_needed(cli: Cli, registry: str, place: str, push: Push) -> None:
    """A token is asked for with the right to delete by `gc --yes` alone."""
    push("digits", "sha-1")

    def answer(request: Request) -> Response:
        if "/token" in request.path:
            return Response(200, {}, b'{"token": "a-token"}')
        if request.headers.get("Authorization") == "Bearer a-token":
            return forward(registry, Request(request.method, request.path, {**request.headers}, request.body))
        return Response(401, {"WWW-Authenticate": f'Bearer realm="http://{front.address}/token",service="tests"'})

    with relay(answer) as front:
        where = through(front.address, place)
        for given, rights in ((("--match", "sha-*"), "pull"), (("--match", "sha-*", "--yes"), "pull,delete")):
            assert cli("gc", "--registry", where, *given)[0] == 0
            query = parse_qs(urlsplit(front.asked("/token")[-1].path).query)
            assert query["scope"] == [f"repository:tests/{place[-12:]}:{rights}"]


def test_what_keeps_nothing_has_to_be_said(cli: Cli, place: str) -> None:
    """A repository without a pattern, or options of a store and of a registry at once, are refused before a request."""
    assert cli("gc", "--registry", place)[0] == 2
    assert cli("gc", "--registry", f"{place}:v1", "--match", "*")[0] == 2
    assert cli("gc", "--registry", place, "--match", "*", "--keep", "1")[0] == 2
    assert cli("gc", "--registry", place, "--match", "*", "--artifact", "artifact")[0] == 2
    assert cli("gc", "--match", "*")[0] == 2
