"""Promotions: who is in a role is decided by gate, policy, comparison and one swap; history, and the way back."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from artifact_pipeline.canonical import canonical_json, digest
from artifact_pipeline.cli import main
from artifact_pipeline.config import load_config
from artifact_pipeline.registry import repeating
from artifact_pipeline.registry.image import MANIFEST_TYPE
from artifact_pipeline.registry.promotions import PROMOTION_TYPE, PromotionStatement, opened_pointer
from artifact_pipeline.registry.reference import ImageReference
from artifact_pipeline.registry.repository import Repository
from artifact_pipeline.training import candidate as candidates
from artifact_pipeline.training.publication import publish
from artifact_pipeline.training.signing import Signer
from buckets import another_bucket, s3_server
from registries import Request, Response, docker_registry, forward, relay
from signatures import write_keys
from tools import require_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from artifact_pipeline.training.sealed import Candidate

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config" / "config.json"
LOW = ("gate.min_accuracy=0.5", "gate.min_f1=0.5")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry for this module, without a login, in which manifests may be deleted."""
    with docker_registry(tmp_path_factory.mktemp("registry"), deletes=True) as address:
        yield address


@pytest.fixture(scope="module")
def artifacts(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Four artifacts: the documented one, one with the same labels, another such, and one that is five points worse."""
    found = {}
    trainings = {"near": ("C=0.5",), "other": ("C=0.6",), "worse": ("C=0.0001", *LOW)}
    made = {
        name: candidates.train(load_config(CONFIG, overrides), progress=lambda _: None)
        for name, overrides in trainings.items()
    }
    for name, each in {"first": candidate, **made}.items():
        root = tmp_path_factory.mktemp(name)
        publish(each, artifact=root / "artifact", export=None)
        found[name] = root / "artifact"
    return found


class Stand:
    """A repository of a registry with artifacts under their names as tags, and a bare git repository for the pointer.

    Attributes:
        place: `oci://HOST/NAME`.
        bare: the git repository.
        reference: of each artifact, by its OCI digest.
    """

    def __init__(self, place: str, bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.place, self.bare, self._capsys = place, bare, capsys
        self.reference: dict[str, str] = {}

    def call(self, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
        """Run a verb with `--json`: its status, and what it says."""
        self._capsys.readouterr()
        status = main([*map(str, arguments), "--json"])
        return status, json.loads(self._capsys.readouterr().out)

    def push(self, artifacts: Mapping[str, Path], *names: str) -> None:
        """Put artifacts into the registry, each under its name as a tag."""
        for name in names:
            status, said = self.call("push", artifacts[name], f"{self.place}:{name}")
            assert status == 0, said
            self.reference[name] = said["reference"]

    def promote(self, name: str, *options: str | Path) -> tuple[int, dict[str, Any]]:
        """Run `promote` with the artifact of this name."""
        return self.call("promote", f"{self.place}:{name}", "champion", "--pointer", f"git:{self.bare}", *options)

    def demote(self, *options: str | Path) -> tuple[int, dict[str, Any]]:
        """Run `demote`."""
        return self.call("demote", self.place, "champion", "--pointer", f"git:{self.bare}", *options)

    def history(self, *options: str | Path) -> tuple[int, dict[str, Any]]:
        """Run `history`."""
        return self.call("history", self.place, "champion", "--pointer", f"git:{self.bare}", *options)

    def name_of(self, image: str | None) -> str | None:
        """The name of the artifact with this OCI digest."""
        return next((name for name, place in self.reference.items() if place.endswith(str(image))), None)

    def roles(self) -> tuple[list[str | None], str | None]:
        """Who is and was the champion, the latest first, as the pointer says; and to whom the tag leads."""
        status, said = self.history()
        assert status == 0, said
        return [self.name_of(each["to"]["image"]) for each in said["promotions"]], self.name_of(said["tag"])

    def repository(self) -> Repository:
        """The repository, as the package itself asks it."""
        return Repository(ImageReference.parse(self.place), push=True)

    def image(self, name: str) -> bytes:
        """The OCI manifest of an artifact."""
        read = self.repository().read_manifest(self.reference[name].partition("@")[2], (MANIFEST_TYPE,))
        assert read is not None
        return read[0]


@pytest.fixture
def stand(
    registry: str,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Stand:
    """A repository and a pointer for each test, in an empty folder, without any login and without a CI."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    names = ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "GIT_CONFIG_GLOBAL")
    for name in (*names, "GITHUB_WORKFLOW_REF", "GITHUB_RUN_ID", "GITHUB_REPOSITORY", "GITHUB_RUN_ATTEMPT"):
        monkeypatch.delenv(name, raising=False)
    bare = tmp_path / "bare.git"
    subprocess.run([require_tool("git"), "init", "-q", "--bare", str(bare)], check=True)
    return Stand(f"oci://{registry}/tests/{digest(request.node.nodeid.encode())[-12:]}", bare, capsys)


def rules(said: dict[str, Any]) -> set[str]:
    return {each["rule"] for each in said["error"]["problems"]}


# --- what decides


@pytest.mark.needs("moto")
def test_an_object_store_decides_as_well(
    stand: Stand, artifacts: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a pointer in an object store the verbs do the same, and no git is asked."""
    stand.push(artifacts, "first", "near")
    monkeypatch.setenv("PATH", "/nowhere")
    with s3_server() as address:
        pointer = f"{another_bucket(address, 'promotions', monkeypatch)}/models"
        for name in stand.reference:
            assert stand.call("promote", f"{stand.place}:{name}", "champion", "--pointer", pointer)[0] == 0
        assert stand.call("demote", stand.place, "champion", "--pointer", pointer)[0] == 0
        status, said = stand.call("history", stand.place, "champion", "--pointer", pointer)
    assert (status, said["mirrored"]) == (0, True)
    found = [stand.name_of(each["to"]["image"]) for each in said["promotions"]]
    assert (found, stand.name_of(said["tag"])) == (["first", "near", "first"], "first")


def test_the_first_is_promoted_by_gate_and_policy_alone(stand: Stand, artifacts: Mapping[str, Path]) -> None:
    """Where there is no champion nothing is compared; the pointer, the tag and the history say who it is."""
    stand.push(artifacts, "first")
    nothing = {"promotions": [], "tag": None, "mirrored": True}
    assert stand.history() == (0, {"pointer": f"refs/champion/{stand.place[-12:]} of {stand.bare}", **nothing})
    status, said = stand.promote("first")
    assert status == 0
    assert (said["changed"], said["from"], said["comparison"], said["mirrored"]) == (True, None, None, True)
    assert (said["reference"], said["role"], said["signer"]) == (stand.reference["first"], "champion", None)
    assert stand.roles() == (["first"], "first")


def test_one_that_is_no_worse_follows(stand: Stand, artifacts: Mapping[str, Path]) -> None:
    """A candidate as good as its champion takes its place, and the statement says how they compare."""
    stand.push(artifacts, "first", "near")
    stand.promote("first")
    status, said = stand.promote("near")
    assert (status, said["comparison"]["outcome"], stand.name_of(said["from"]["image"])) == (0, "passed", "first")
    assert stand.roles() == (["near", "first"], "near")
    newest, oldest = stand.history()[1]["promotions"]
    assert newest["comparison"] == said["comparison"]
    assert (newest["by"], newest["run"], newest["signed"]) == ("urn:artifact-pipeline:builder:local", None, False)
    assert oldest["comparison"] is None


def test_one_that_is_worse_is_not_promoted(stand: Stand, artifacts: Mapping[str, Path]) -> None:
    """A worse candidate ends with status 3, and all stays; what becomes of an inconclusive comparison is asked."""
    stand.push(artifacts, "first", "worse")
    stand.promote("first")
    status, said = stand.promote("worse")
    assert (status, rules(said), said["comparison"]["outcome"]) == (3, {"champion-failed"}, "failed")
    status, said = stand.promote("worse", "--margin", "0.05")
    assert (status, rules(said), said["comparison"]["accepted"]) == (3, {"champion-inconclusive"}, False)
    assert stand.roles() == (["first"], "first")
    status, said = stand.promote("worse", "--margin", "0.05", "--on-inconclusive", "pass")
    assert (status, said["comparison"]["outcome"], said["comparison"]["accepted"]) == (0, "inconclusive", True)
    assert stand.roles()[0] == ["worse", "first"]


@pytest.mark.needs("model_signing")
def test_the_policy_is_asked_first(stand: Stand, artifacts: Mapping[str, Path], tmp_path: Path) -> None:
    """An artifact that no trusted signer has signed is not promoted; a champion that is revoked can be replaced."""
    write_keys(tmp_path, "key")
    stand.push(artifacts, "first")
    assert stand.promote("first", "--public-key", "key.pub")[1]["error"]["status"] == 4
    assert stand.roles() == ([], None)
    stand.promote("first")
    Signer(private_key=tmp_path / "key.pem").sign(artifacts["near"])
    stand.push(artifacts, "near")
    revoked = stand.history()[1]["promotions"][0]["to"]["artifact"]
    policy = {"format": 1, "keys": ["key.pub"], "revoked": [revoked]}
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    status, said = stand.promote("first", "--policy", "policy.json")
    assert (status, rules(said)) == (4, {"revoked"})
    status, said = stand.promote("near", "--policy", "policy.json")
    assert (status, stand.roles()[0]) == (0, ["near", "first"])
    assert stand.demote("--policy", "policy.json")[0] == 4
    assert stand.roles()[0] == ["near", "first"]


def test_a_failed_gate_is_never_promoted(stand: Stand, artifacts: Mapping[str, Path], tmp_path: Path) -> None:
    """A model whose gate failed is in no role, whatever it is compared with."""
    failed = candidates.train(load_config(CONFIG, ("gate.min_accuracy=0.99",)), progress=lambda _: None)
    folder = tmp_path / "failed"
    folder.mkdir()
    for name, data in {**failed.members, "manifest.json": failed.manifest.canonical()}.items():
        (folder / name).write_bytes(data)
    assert stand.call("push", folder, f"{stand.place}:failed", "--accept-failed-gate")[0] == 0
    status, said = stand.promote("failed")
    assert (status, rules(said)) == (4, {"gate-failed"})
    assert stand.roles() == ([], None)


@pytest.mark.slow
def test_a_dry_run_decides_and_changes_nothing(stand: Stand, artifacts: Mapping[str, Path]) -> None:
    """A dry run says what would be done, with the status that it would have; pointer, tag and registry stay."""
    stand.push(artifacts, "first", "near", "worse")
    status, said = stand.promote("first", "--dry-run")
    assert (status, said["dry_run"], said["changed"], said["mirrored"]) == (0, True, False, False)
    assert stand.roles() == ([], None)
    stand.promote("first")
    stand.promote("near")
    assert stand.promote("worse", "--dry-run")[0] == 3
    assert stand.name_of(stand.demote("--dry-run")[1]["digest"]) == "first"
    assert stand.roles()[0] == ["near", "first"]


def test_a_refusal_names_the_registry(stand: Stand, artifacts: Mapping[str, Path]) -> None:
    """No refusal names a temporary folder: the places are those of the registry."""
    stand.push(artifacts, "first", "near")
    stand.promote("first")
    _, said = stand.promote("near", "--held-out", "nowhere.csv")
    assert said["error"]["status"] == 2
    status, said = stand.promote("near", "--expect", "sha256:" + "0" * 64)
    assert (status, rules(said)) == (4, {"digest-unexpected"})
    assert "/tmp" not in json.dumps(said).replace(str(stand.bare), "")


@pytest.mark.slow
def test_who_is_gone_from_the_registry_is_said(stand: Stand, artifacts: Mapping[str, Path], registry: str) -> None:
    """A champion that the registry has no more cannot be compared with; an earlier one can be put back."""
    gone: list[str] = []

    def lacking(request: Request) -> Response:
        if any(each in request.path for each in gone):
            return Response(404)
        return forward(registry, request)

    with relay(lacking) as between:
        stand.place = stand.place.replace(registry, between.address)
        stand.push(artifacts, "first", "near", "other")
        for name in ("first", "near"):
            stand.promote(name)
        gone.append(stand.reference["near"].partition("@")[2])
        status, said = stand.promote("other")
        assert (status, rules(said)) == (4, {"image-missing"})
        assert "demote" in said["error"]["hint"]
        assert stand.demote()[0] == 0
        assert stand.promote("other")[0] == 0
        assert stand.roles()[0] == ["other", "first", "near", "first"]


# --- the same again, and what was left undone


def test_a_tag_that_others_moved_is_seen_and_repaired(stand: Stand, artifacts: Mapping[str, Path]) -> None:
    """The champion again changes nothing, but for a tag that leads elsewhere: `history` says so; it is moved back."""
    stand.push(artifacts, "first", "near")
    stand.promote("first")
    status, said = stand.promote("first")
    assert (status, said["changed"], said["mirrored"]) == (0, False, False)
    stand.repository().write_manifest("champion", stand.image("near"), MANIFEST_TYPE)
    assert stand.history()[1]["mirrored"] is False
    assert stand.roles() == (["first"], "near")
    status, said = stand.promote("first")
    assert (status, said["changed"], said["mirrored"]) == (0, False, True)
    assert stand.roles() == (["first"], "first")


def test_what_ends_before_the_tag_is_ended_by_the_same_again(
    stand: Stand, artifacts: Mapping[str, Path], registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promotion that ends after its decision, and before the tag, is ended by the same command."""
    monkeypatch.setattr(repeating, "FIRST_PAUSE", 0.0)
    refuse = [True]

    def refusing(request: Request) -> Response:
        if refuse[0] and request.method == "PUT" and request.path.endswith("/manifests/champion"):
            return Response(403)
        return forward(registry, request)

    with relay(refusing) as between:
        stand.place = stand.place.replace(registry, between.address)
        stand.push(artifacts, "first")
        status, said = stand.promote("first")
        assert status == 8
        assert "is the champion now, and the tag could not follow" in said["error"]["message"]
        assert stand.roles() == (["first"], None)
        refuse[0] = False
        status, said = stand.promote("first")
        assert (status, said["changed"], said["mirrored"]) == (0, False, True)
        assert stand.roles() == (["first"], "first")


def test_a_pointer_that_refuses_leaves_all_as_it_was(stand: Stand, artifacts: Mapping[str, Path]) -> None:
    """Where the pointer cannot be moved nobody is promoted, and the tag stays."""
    stand.push(artifacts, "first")
    hook = stand.bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    status, said = stand.promote("first")
    assert (status, said["error"]["problems"]) == (8, [])
    assert stand.roles() == ([], None)
    hook.unlink()
    assert stand.promote("first")[0] == 0
    assert stand.roles() == (["first"], "first")


# --- races


def test_one_that_comes_second_is_told_who_came_first(
    stand: Stand, artifacts: Mapping[str, Path], registry: str
) -> None:
    """A promotion that another one has overtaken ends with status 3 and names that one; the tag is that one's."""
    inner: list[int] = []

    def overtaking(request: Request) -> Response:
        if stand.reference and request.method == "POST" and not inner:
            inner.append(1)  # the statement is attached: the other one is promoted meanwhile, whole
            command = ["promote", f"{stand.place}:near", "champion", "--pointer", f"git:{stand.bare}", "--quiet"]
            inner.append(subprocess.run([sys.executable, "-m", "artifact_pipeline", *command], check=False).returncode)
        return forward(registry, request)

    with relay(overtaking) as between:
        stand.place = stand.place.replace(registry, between.address)
        stand.push(artifacts, "near")
        inner.append(0)
        stand.push(artifacts, "first")
        inner.clear()
        status, said = stand.promote("first")
        assert inner == [1, 0]
        assert (status, rules(said)) == (3, {"promotion-lost"})
        assert stand.reference["near"].partition("@")[2] in said["error"]["problems"][0]["message"]
        assert stand.roles() == (["near"], "near")


@pytest.mark.slow
def test_of_racing_processes_one_wins(stand: Stand, artifacts: Mapping[str, Path], registry: str) -> None:
    """Of three whole promotions that have all seen one champion, one wins, and the others end with status 3."""
    barrier, waiting = threading.Barrier(3), [0, 0, 0]

    def together(request: Request) -> Response:
        if len(stand.reference) == 3 and request.method == "POST" and waiting:
            waiting.pop()  # the statement is about to be attached: each has read the pointer
            barrier.wait(60)
        return forward(registry, request)

    with relay(together) as between:
        stand.place = stand.place.replace(registry, between.address)
        stand.push(artifacts, "first", "near", "other")
        tail = ["champion", "--pointer", f"git:{stand.bare}", "--json"]
        racing = [
            subprocess.Popen(
                [sys.executable, "-m", "artifact_pipeline", "promote", f"{stand.place}:{name}", *tail],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            for name in stand.reference
        ]
        said = [json.loads(each.communicate()[0]) for each in racing]
        assert sorted(each.returncode for each in racing) == [0, 3, 3]
        (won,) = [each["reference"] for each in said if "error" not in each]
        name = stand.name_of(won.partition("@")[2])
        assert stand.roles() == ([name], name)
        for each in said:
            if "error" in each:
                assert rules(each) == {"promotion-lost"}
                assert won.partition("@")[2] in each["error"]["problems"][0]["message"]


# --- the way back


def test_demoting_goes_back_step_by_step(stand: Stand, artifacts: Mapping[str, Path]) -> None:
    """Each demotion puts back who was there before, as a new entry; behind the first one there is nobody."""
    stand.push(artifacts, "first", "near", "other")
    for name in stand.reference:
        assert stand.promote(name)[0] == 0
    status, said = stand.demote()
    assert (status, stand.name_of(said["digest"]), said["comparison"]) == (0, "near", None)
    assert stand.demote()[0] == 0
    assert stand.roles() == (["first", "near", "other", "near", "first"], "first")
    status, said = stand.demote()
    assert (status, rules(said)) == (4, {"no-promotion"})
    assert [each["action"] for each in stand.history()[1]["promotions"]] == ["demote"] * 2 + ["promote"] * 3
    assert stand.promote("other")[0] == 0
    assert stand.name_of(stand.demote()[1]["digest"]) == "first"


@pytest.mark.slow
def test_demoting_to_one_that_is_named(stand: Stand, artifacts: Mapping[str, Path]) -> None:
    """Any artifact that was in the role is put back by either digest; one that was not, is not."""
    stand.push(artifacts, "first", "near", "other")
    for name in ("first", "near"):
        stand.promote(name)
    oldest = stand.history()[1]["promotions"][-1]["to"]
    assert stand.name_of(stand.demote("--to", oldest["image"])[1]["digest"]) == "first"
    assert stand.demote("--to", oldest["artifact"][:20])[1]["changed"] is False
    for unknown in (stand.reference["other"].partition("@")[2], "0" * 64):
        status, said = stand.demote("--to", unknown)
        assert (status, rules(said)) == (4, {"no-promotion"})
    assert stand.demote("--to", "")[0] == 2
    assert stand.roles()[0] == ["first", "near", "first"]


def test_garbage_is_what_was_never_in_a_role(stand: Stand, artifacts: Mapping[str, Path]) -> None:
    """With `--role`, who is or was in it stays, though the tags say nothing; a role that nothing was in is an error."""
    stand.push(artifacts, "first", "near", "other")
    for name in ("first", "near"):
        stand.promote(name)
    stand.repository().write_manifest("champion", stand.image("other"), MANIFEST_TYPE)
    collect = ("gc", "--registry", stand.place, "--match", "*", "--pointer", f"git:{stand.bare}")
    status, said = stand.call(*collect, "--role", "challenger", "--yes")
    assert (status, "nothing was ever in the role challenger" in said["error"]["message"]) == (2, True)
    status, said = stand.call(*collect, "--role", "champion", "--yes")
    assert (status, said["deleted"], said["kept"]) == (0, True, 2)
    assert [each["reference"] for each in said["spare"]] == [stand.reference["other"]]
    assert stand.name_of(stand.demote()[1]["digest"]) == "first"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--role", "champion"], "--role goes with --registry"),
        (["--pointer", "git:origin"], "--pointer goes with --registry"),
        (["--registry", "oci://127.0.0.1/a", "--match", "*", "--name", "b"], "--name goes with --role"),
    ],
)
def test_options_of_a_role_go_together(stand: Stand, options: list[str], words: str) -> None:
    """An option of `gc` that would have no effect is refused."""
    status, said = stand.call("gc", *options)
    assert (status, said["error"]["message"]) == (2, words)


def test_demoting_and_history_ask_for_a_repository(stand: Stand) -> None:
    """A tag or a digest has no meaning where the role says who is meant."""
    for verb in ("demote", "history"):
        status, said = stand.call(verb, f"{stand.place}:v1", "champion", "--pointer", f"git:{stand.bare}")
        assert (status, "names one artifact" in said["error"]["message"]) == (2, True)
    assert stand.call("promote", stand.place, "champion", "--pointer", f"git:{stand.bare}")[0] == 2


# --- statements


def statements(stand: Stand) -> list[dict[str, Any]]:
    with opened_pointer(f"git:{stand.bare}", ImageReference.parse(stand.place), "champion") as pointer:
        return [json.loads(each.statement) for each in pointer.read()]


def test_the_statement_is_of_in_toto_and_attached(
    stand: Stand, artifacts: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each promotion is a statement about the image, by the CI's workflow, at the pointer and beside the image."""
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/digits")
    monkeypatch.setenv("GITHUB_WORKFLOW_REF", "owner/digits/.github/workflows/promote.yml@refs/heads/main")
    monkeypatch.setenv("GITHUB_RUN_ID", "17")
    stand.push(artifacts, "first")
    stand.promote("first")
    (said,) = statements(stand)
    image = stand.reference["first"].partition("@sha256:")[2]
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["subject"] == [{"name": stand.place.removeprefix("oci://"), "digest": {"sha256": image}}]
    predicate = said["predicate"]
    assert predicate["by"] == "https://github.com/owner/digits/.github/workflows/promote.yml@refs/heads/main"
    assert predicate["run"] == "https://github.com/owner/digits/actions/runs/17/attempts/1"
    assert len(predicate["nonce"]) == 32
    repository = stand.repository()
    listed = repository.read_manifest(f"sha256-{image}", ("application/vnd.oci.image.index.v1+json",))
    assert listed is not None
    kinds = [each["artifactType"] for each in json.loads(listed[0])["manifests"]]
    assert kinds == [PROMOTION_TYPE]
    status, pulled = stand.call("pull", stand.reference["first"], "-o", "pulled")
    assert (status, pulled["beside"]) == (0, [])


@pytest.mark.needs("model_signing")
def test_signed_statements_are_checked(stand: Stand, artifacts: Mapping[str, Path], tmp_path: Path) -> None:
    """History with a key passes where each statement is signed by it, and names each one that is not."""
    for name in ("key", "other"):
        write_keys(tmp_path, name)
    stand.push(artifacts, "first", "near")
    status, said = stand.promote("first", "--private-key", "key.pem")
    assert (status, said["signer"]) == (0, digest((tmp_path / "key.pub").read_bytes()))
    status, found = stand.history("--public-key", "key.pub")
    assert (status, found["promotions"][0]["signer"]) == (0, said["signer"])
    status, found = stand.history("--public-key", "other.pub")
    assert (status, rules(found), found["promotions"][0]["signer"]) == (4, {"promotion-signature"}, None)
    stand.promote("near")
    status, found = stand.history("--public-key", "key.pub")
    assert (status, [each["signer"] for each in found["promotions"]]) == (4, [None, said["signer"]])
    assert stand.history()[0] == 0


@pytest.mark.needs("model_signing")
def test_a_key_that_cannot_sign_is_found_first(stand: Stand, artifacts: Mapping[str, Path], tmp_path: Path) -> None:
    """A key that is none ends a promotion before anything is asked of the registry."""
    (tmp_path / "key.pem").write_text("no key")
    stand.push(artifacts, "first")
    assert stand.promote("first", "--private-key", "key.pem")[0] == 2
    assert stand.roles() == ([], None)


@pytest.mark.slow
def test_a_statement_that_does_not_fit_is_refused(stand: Stand, artifacts: Mapping[str, Path]) -> None:
    """A statement of another kind, role, or image, or that breaks the chain, ends everything with status 4."""
    changes: list[Callable[[dict[str, Any]], object]] = [
        lambda said: said.update(predicateType="https://slsa.dev/provenance/v1"),
        lambda said: said["predicate"].update(role="shadow"),
        lambda said: said["predicate"].update(previous="sha256:" + "0" * 64),
        lambda said: said["predicate"].pop("previous"),
        lambda said: said["predicate"].update({"from": said["predicate"]["to"]}),
        lambda said: said["subject"][0]["digest"].update(sha256="0" * 64),
        lambda said: said["predicate"]["to"].update(image="sha256:../x"),
    ]
    stand.push(artifacts, "first", "near")
    stand.promote("first")
    near = digest(stand.image("near"))
    with opened_pointer(f"git:{stand.bare}", ImageReference.parse(stand.place), "champion") as pointer:
        (first,) = pointer.read()
        for change in changes:
            said = json.loads(first.statement)
            follows = {"previous": digest(first.statement), "from": said["predicate"]["to"]}
            said["predicate"] |= {**follows, "to": {**said["predicate"]["to"], "image": near}}
            said["subject"][0]["digest"] = {"sha256": near.removeprefix("sha256:")}
            PromotionStatement.parse(canonical_json(said))
            change(said)
            assert pointer.append(canonical_json(said), None, after=first.version)
            status, found = stand.history()
            assert (status, rules(found)) == (4, {"pointer-invalid"})
            ref = f"refs/champion/{stand.place[-12:]}"
            subprocess.run([require_tool("git"), "update-ref", ref, first.version], cwd=stand.bare, check=True)
    assert stand.roles() == (["first"], "first")


@pytest.mark.slow
def test_a_pointer_of_another_repository_is_refused(stand: Stand, artifacts: Mapping[str, Path]) -> None:
    """Two repositories with one last name do not share a pointer: the second one is asked for a name."""
    stand.push(artifacts, "first")
    stand.promote("first")
    name = stand.place.rpartition("/")[2]
    place = f"{stand.place.rpartition('/')[0]}/other/{name}"
    assert stand.call("push", artifacts["near"], f"{place}:near")[0] == 0
    pointer = ("--pointer", f"git:{stand.bare}")
    status, said = stand.call("promote", f"{place}:near", "champion", *pointer)
    assert (status, "--name" in said["error"]["hint"]) == (2, True)
    assert stand.call("promote", f"{place}:near", "champion", *pointer, "--name", "other")[0] == 0
    assert stand.roles()[0] == ["first"]


def test_what_people_read(stand: Stand, artifacts: Mapping[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Each verb says in lines who is in the role, by which verdict, and what comes next."""
    stand.push(artifacts, "first", "near")
    stand.promote("first")
    capsys.readouterr()
    assert main(["promote", f"{stand.place}:near", "champion", "--pointer", f"git:{stand.bare}"]) == 0
    said = capsys.readouterr().out
    assert f"{stand.reference['near']} is the champion\n" in said
    assert "comparison: passed" in said
    assert said.splitlines()[-1].endswith(f"history {stand.place} champion --pointer git:{stand.bare}")
    assert main(["history", stand.place, "champion", "--pointer", f"git:{stand.bare}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[2:]] == ["promote", "promote"]
