"""Artifacts in an OCI registry: what is pushed comes back, verified and trusted, or nothing is kept."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_pipeline.canonical import digest
from artifact_pipeline.errors import ConfigError, PipelineError
from artifact_pipeline.registry.image import CONFIG_TYPE, FILE_PATH, MANIFEST_TYPE, MODEL_TYPE, compact, pack, record
from artifact_pipeline.registry.reference import ImageReference
from artifact_pipeline.registry.repository import Repository
from artifact_pipeline.training.publication import publish
from artifact_pipeline.verification import verify
from registries import Relay, Request, Response, docker_registry, forward, relay
from signatures import write_keys
from tools import renamed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from artifact_pipeline.training.sealed import Candidate

    Cli = Callable[..., tuple[int, dict[str, Any]]]

GOLDEN = Path(__file__).resolve().parent / "golden"
MODELPACK = {
    "type": "object",
    "required": ["descriptor", "config", "modelfs"],
    "additionalProperties": False,
    "properties": {
        "descriptor": {
            "additionalProperties": False,
            "properties": {"name": {"type": "string", "minLength": 1}, "version": {"type": "string"}},
        },
        "config": {
            "additionalProperties": False,
            "properties": {name: {"type": "string"} for name in ("architecture", "format", "precision")},
        },
        "modelfs": {
            "additionalProperties": False,
            "required": ["type", "diffIds"],
            "properties": {
                "type": {"enum": ["layers"]},
                "diffIds": {"type": "array", "minItems": 1, "items": {"type": "string"}},
            },
        },
    },
}
"""Of ModelPack's schema of a config what ours has."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry for this module, without a login."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture
def cli(cli: Cli, alone: None) -> Cli:
    """Run a verb in this process with `--json`, in `tmp_path` and without any login: its status, and what it says."""
    return cli


@pytest.fixture
def place(registry: str, request: pytest.FixtureRequest) -> str:
    """A repository of its own for each test."""
    return f"oci://{registry}/tests/{digest(request.node.nodeid.encode())[-12:]}"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.resolve().iterdir()}


def rules(said: dict[str, Any]) -> set[str]:
    return {each["rule"] for each in said["error"]["problems"]}


HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
NAMES = st.from_regex(r"[a-z0-9]{1,8}([._-][a-z0-9]{1,8}){0,2}(/[a-z0-9]{1,8}){0,2}", fullmatch=True)


@given(
    host=st.sampled_from(["localhost", "127.0.0.1", "[::1]", "ghcr.io", "a-b.example"]),
    port=st.none() | st.integers(1, 65535),
    name=NAMES,
    tag=st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True),
    found=st.none() | HEX.map("sha256:{}".format),
)
def test_a_reference_is_printed_as_it_is_read(
    host: str, port: int | None, name: str, tag: str | None, found: str | None
) -> None:
    """What is printed of a reference is read as the same one."""
    reference = ImageReference(host, port, name, tag, found)
    assert ImageReference.parse(str(reference)) == reference


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    """Whatever is given as a reference, it is one that prints itself, or a `ConfigError`."""
    for spelled in (text, f"oci://{text}", f"oci://host/{text}"):
        with suppress(ConfigError):
            assert str(ImageReference.parse(spelled)).lower() == spelled.lower()


@pytest.mark.parametrize(
    "text",
    [
        "ghcr.io/owner/model:v1",
        "oci://ghcr.io/",
        "oci://ghcr.io/Owner/model",
        "oci://ghcr.io/owner//model",
        "oci://ghcr.io/../model",
        "oci://ghcr.io/owner/model:",
        "oci://ghcr.io/owner/model:-v1",
        "oci://ghcr.io/owner/model@sha256:abc",
        f"oci://ghcr.io/owner/model@sha512:{'0' * 128}",
        "oci://user@ghcr.io/owner/model",
        "oci://ghcr.io:0/owner/model",
        "oci://ghcr.io:65536/owner/model",
        "oci://[::g]/owner/model",
        "oci://ghcr.io/owner/model:v1\n",
        f"oci://ghcr.io/{'a' * 300}",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    """What the distribution spec does not allow as a name, tag or digest is refused."""
    with pytest.raises(ConfigError):
        ImageReference.parse(text)


def test_what_is_pushed_comes_back(cli: Cli, published: Path, place: str) -> None:
    """Pushed and pulled, an artifact is the same to the byte, in charge of another store, under one OCI digest."""
    status, pushed = cli("push", published / "artifact", f"{place}:v1")
    assert status == 0
    (published / "other").mkdir()
    status, pulled = cli("pull", f"{place}:v1", "--artifact", published / "other" / "artifact")
    assert status == 0
    assert pulled["in_charge"]
    assert pulled["digest"] == pushed["digest"]
    assert pulled["reference"] == f"{place}@{pushed['digest']}"
    assert files(published / "other" / "artifact") == files(published / "artifact")
    assert verify(published / "other" / "artifact").digest == pushed["artifact"]
    assert sorted(each.name for each in (published / "other").iterdir()) == ["artifact", "artifacts"]
    status, again = cli("pull", pushed["reference"], "--artifact", published / "other" / "artifact")
    assert (status, again["artifact"]) == (0, pushed["artifact"])


def test_the_same_artifact_has_one_oci_digest(cli: Cli, published: Path, place: str) -> None:
    """From a store and from a folder of its own, the same artifact is pushed as the same image, and sent once."""
    _, first = cli("push", published / "artifact", f"{place}:v1")
    assert cli("pull", f"{place}:v1", "-o", published / "folder")[0] == 0
    _, second = cli("push", published / "folder", f"{place}/again:v2")
    assert second["digest"] == first["digest"]
    assert first["sent"] == sum(map(len, files(published / "artifact").values()))
    assert cli("push", published / "folder", f"{place}:v3")[1]["sent"] == 0


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("v1", "sha256:3bd904f56482002a13e86a4345fa24e76b300710b724d5002c981d1bd2e5319e"),
        ("v2/digits", "sha256:7e5048a1ca0a67f8e7e5ffe45c00aa9848024b7ef7f1eee2a93112d111584cc8"),
        ("v2/RandomForestClassifier", "sha256:184ecd3736f815b2411b84c5586da59e5c29feee722e182494a9413522c3ea12"),
    ],
)
def test_the_image_of_a_golden_artifact_never_changes(folder: str, expected: str) -> None:
    """The golden artifacts have the OCI digests that they have always had, whatever machine packs them."""
    assert pack(verify(GOLDEN / folder)).digest == expected


@pytest.mark.parametrize("folder", ["v1", "v2/digits"])
def test_the_image_is_one_of_modelpack(folder: str) -> None:
    """Each layer is a file of the artifact as its manifest lists it, and the config keeps ModelPack's schema."""
    verified = verify(GOLDEN / folder)
    image = pack(verified)
    found = json.loads(image.manifest)
    assert found["artifactType"] == MODEL_TYPE
    layers = {each["annotations"][FILE_PATH]: (each["digest"], each["size"]) for each in found["layers"]}
    listed = {each.name: (each.sha256, each.size) for each in verified.manifest.files}
    assert layers == {**listed, "manifest.json": (verified.digest, len(image.files["manifest.json"]))}
    assert found["config"] == record(CONFIG_TYPE, image.config)
    config = json.loads(image.config)
    jsonschema.validate(config, MODELPACK)
    assert config["modelfs"]["diffIds"] == [each["digest"] for each in found["layers"]]


def test_a_failed_gate_is_neither_pushed_nor_put_in_charge(
    cli: Cli, published: Path, place: str, candidate: Candidate
) -> None:
    """A model whose gate failed is pushed only where that is said, and pulled it stands in the store alone."""
    from artifact_pipeline.config import load_config
    from artifact_pipeline.errors import GateFailed
    from artifact_pipeline.training.candidate import train

    config = Path(__file__).resolve().parents[1] / "config" / "config.json"
    failed = train(load_config(config, ["gate.min_accuracy=0.99"]), progress=lambda _: None)
    with pytest.raises(GateFailed):
        publish(failed, artifact=published / "artifact", export=None)
    folder = published / "artifacts" / failed.digest.removeprefix("sha256:")
    assert cli("push", folder, f"{place}:bad")[0] == 4
    assert cli("push", folder, f"{place}:bad", "--accept-failed-gate")[0] == 0
    shutil.rmtree(folder)
    assert cli("pull", f"{place}:bad")[0] == 4
    assert not folder.exists()
    status, pulled = cli("pull", f"{place}:bad", "--accept-failed-gate")
    assert (status, pulled["in_charge"]) == (0, False)
    assert folder.is_dir()
    assert verify(published / "artifact").digest == candidate.digest


def test_a_folder_of_its_own_is_made_once(cli: Cli, published: Path, place: str, candidate: Candidate) -> None:
    """`-o` makes the folder, leaves the same artifact as it is, and refuses another one or anything else."""
    cli("push", published / "artifact", f"{place}:v1")
    publish(renamed(candidate, "other"), artifact=published / "artifact", export=None)
    cli("push", published / "artifact", f"{place}:other")
    assert cli("pull", f"{place}:v1", "-o", "mine")[0] == 0
    before = files(published / "mine")
    assert cli("pull", f"{place}:v1", "-o", "mine")[0] == 0
    assert cli("pull", f"{place}:other", "-o", "mine")[0] == 8
    assert files(published / "mine") == before
    (published / "taken").mkdir()
    assert cli("pull", f"{place}:v1", "-o", "taken")[0] == 8
    assert cli("pull", f"{place}:v1", "-o", "no/such/folder")[0] == 8
    assert not [each for each in published.iterdir() if each.name.endswith(".pull")]


def test_what_is_not_there_or_no_artifact_is_refused(cli: Cli, published: Path, place: str) -> None:
    """A tag that is missing, an image of something else, and a place without a tag each get an error of their own."""
    status, said = cli("pull", f"{place}:nothing")
    assert (status, rules(said)) == (4, {"image-missing"})
    assert cli("pull", place)[0] == 2
    assert cli("push", published / "artifact", f"{place}@sha256:{'0' * 64}")[0] == 2
    put(Repository(ImageReference.parse(place), push=True), "foreign", {"application/x": b"data"}, kind="application/x")
    status, said = cli("pull", f"{place}:foreign")
    assert (status, rules(said)) == (4, {"image-not-artifact"})


def put(repository: Repository, tag: str, layers: dict[str, bytes], *, kind: str = MODEL_TYPE, named: str = "") -> None:
    """Push an image by hand: layers by their names, which `named` replaces by one for all."""
    listed = []
    for name, data in layers.items():
        repository.write_blob(data)
        entry = record("application/vnd.cncf.model.weight.v1.raw", data)
        listed.append({**entry, "annotations": {FILE_PATH: named or name}})
    config = compact({"modelfs": {"type": "layers", "diffIds": [each["digest"] for each in listed]}})
    repository.write_blob(config)
    image = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "artifactType": kind, "layers": listed}
    repository.write_manifest(tag, compact({**image, "config": record(CONFIG_TYPE, config)}), MANIFEST_TYPE)


@pytest.mark.parametrize("name", ["../escaped", "/etc/escaped", ".hidden", "a/b", "artifact\x1b[2J", "other.json", ""])
def test_a_name_from_outside_is_no_path(cli: Cli, published: Path, place: str, name: str) -> None:
    """A layer under any other name than a file of the artifact's manifest is refused, and nothing is written there."""
    layers = files(published / "artifact")
    repository = Repository(ImageReference.parse(place), push=True)
    put(repository, "v1", {name: layers.pop("model.onnx"), **layers})
    before = sorted(published.parent.rglob("*"))
    status, said = cli("pull", f"{place}:v1", "-o", "pulled")
    assert (status, rules(said)) == (4, {"layer-files"})
    assert sorted(published.parent.rglob("*")) == before


def test_two_layers_of_one_name_are_refused(cli: Cli, published: Path, place: str) -> None:
    """An image in which a file stands twice is refused before anything of it is taken."""
    repository = Repository(ImageReference.parse(place), push=True)
    put(repository, "v1", files(published / "artifact"), named="manifest.json")
    status, said = cli("pull", f"{place}:v1", "-o", "pulled")
    assert (status, rules(said)) == (4, {"image-not-artifact"})


def before(registry: str, *, change: Callable[[Request, Response], Response] = lambda _, response: response) -> Any:
    """A relay before the registry."""
    return relay(lambda request: change(request, forward(registry, request)))


def of_files(seen: Relay, folder: Path) -> list[str]:
    """The files of an artifact that were asked for."""
    digests = {digest(data): name for name, data in files(folder).items()}
    return [
        digests[each.path.rpartition("/")[2]]
        for each in seen.asked("/blobs/")
        if each.path.rpartition("/")[2] in digests
    ]


@pytest.mark.needs("model_signing")
def test_signatures_and_provenance_go_with_the_artifact(cli: Cli, published: Path, registry: str, place: str) -> None:
    """Signed and pushed, it is pulled by whoever trusts the key; who does not gets not one byte of it."""
    for name in ("mine", "other"):
        write_keys(published, name)
    artifact, reference = published / "artifact", f"{place}:v1"
    store = published / "artifacts"
    stem = artifact.resolve().name
    from signatures import provenance

    (store / f"{stem}.provenance.json").write_bytes(provenance(f"sha256:{stem}", "2026-11-28T00:00:00Z"))
    assert cli("sign", artifact, "--private-key", "mine.pem")[0] == 0
    status, pushed = cli("push", artifact, reference)
    assert (status, set(pushed["attached"])) == (0, {".provenance.json", ".sig", ".provenance.json.sig"})
    assert cli("push", artifact, reference)[0] == 0  # attached once
    policy = {"format": 1, "keys": ["mine.pub"], "not_before": "2026-01-01T00:00:00Z"}
    (published / "policy.json").write_text(json.dumps(policy))
    with before(registry) as seen:
        through = f"oci://{seen.address}/tests/{reference.partition('/tests/')[2]}"
        status, said = cli("pull", through, "-o", "pulled", "--public-key", "other.pub")
        assert (status, rules(said)) == (4, {"signature-key"})
        assert of_files(seen, artifact) == []
        assert not (published / "pulled").exists()
        status, pulled = cli("pull", through, "-o", "pulled", "--policy", "policy.json")
    assert (status, set(pulled["beside"])) == (0, {".provenance.json", ".sig", ".provenance.json.sig"})
    assert pulled["trust"]["signer"]
    for end in pulled["beside"]:
        assert (published / f"pulled{end}").read_bytes() == (store / f"{stem}{end}").read_bytes()
    assert cli("verify", "pulled", "--policy", "policy.json")[0] == 0
    assert cli("sign", "pulled", "--private-key", "other.pem")[0] == 0
    assert cli("push", "pulled", reference)[0] == 0
    status, pulled = cli("pull", reference, "-o", "theirs", "--public-key", "other.pub")
    assert status == 0
    status, pulled = cli("pull", reference, "-o", "ours", "--policy", "policy.json")
    assert status == 0


def test_what_a_policy_has_revoked_is_refused_before_a_byte_is_taken(
    cli: Cli, published: Path, registry: str, place: str
) -> None:
    """A revoked digest, or another one than is expected, is refused before a file of the artifact is asked for."""
    _, pushed = cli("push", published / "artifact", f"{place}:v1")
    (published / "policy.json").write_text(json.dumps({"format": 1, "revoked": [pushed["artifact"]]}))
    with before(registry) as seen:
        through = f"oci://{seen.address}/tests/{place.partition('/tests/')[2]}:v1"
        status, said = cli("pull", through, "-o", "x", "--policy", "policy.json", "--expect", pushed["artifact"])
        assert (status, rules(said)) == (4, {"revoked"})
        status, said = cli("pull", through, "-o", "x", "--expect", f"sha256:{'0' * 64}")
        assert (status, rules(said)) == (4, {"digest-unexpected"})
        assert of_files(seen, published / "artifact") == []
    assert not (published / "x").exists()


def test_what_others_attach_is_left_alone(cli: Cli, published: Path, place: str) -> None:
    """Attached by another program, what is no signature of this artifact neither comes with it nor stops it."""
    from artifact_pipeline.registry.referrers import PROVENANCE_TYPE, SIGNATURE_TYPE, attach

    _, pushed = cli("push", published / "artifact", f"{place}:v1")
    repository = Repository(ImageReference.parse(place), push=True)
    read = repository.read_manifest(pushed["digest"], (MANIFEST_TYPE,))
    assert read is not None
    for kind in (SIGNATURE_TYPE, PROVENANCE_TYPE, "application/spdx+json"):
        attach(repository, read[0], kind, b'{"no": "signature"}', title="../../escaped")
    status, pulled = cli("pull", f"{place}:v1", "-o", "pulled")
    assert (status, pulled["beside"]) == (0, [])


@pytest.mark.parametrize(
    "listed",
    [
        Response(303, {"Location": "/login", "Content-Type": "text/html"}, b"a page"),
        Response(200, {"Content-Type": "text/html"}, b"a page"),
        Response(404, {"Content-Type": "application/json"}, b"{}"),
        None,
    ],
)
@pytest.mark.needs("model_signing")
def test_what_refers_is_found_by_the_api_and_by_the_tag(
    cli: Cli, published: Path, registry: str, place: str, listed: Response | None
) -> None:
    """The registry's own list is taken where there is one; a page, a redirect and an error are none: the tag counts."""
    write_keys(published, "mine")
    cli("sign", published / "artifact", "--private-key", "mine.pem")
    _, pushed = cli("push", published / "artifact", f"{place}:v1")
    tag = pushed["digest"].replace(":", "-")

    def change(request: Request, response: Response) -> Response:
        if "/referrers/" not in request.path:
            return Response(404) if listed is None and request.path.endswith(tag) else response
        if listed is not None:
            return listed
        repository = place.partition(registry)[2]
        kept = {**request.headers, "Accept": "application/vnd.oci.image.index.v1+json"}
        return forward(registry, Request("GET", f"/v2{repository}/manifests/{tag}", kept, b""))

    with before(registry, change=change) as seen:
        status, pulled = cli("pull", f"oci://{seen.address}{place.partition(registry)[2]}:v1", "-o", "pulled")
        assert not seen.asked("/login")
    assert (status, pulled["beside"]) == (0, [".sig"])


def test_the_extra_is_named_where_it_is_missing(
    cli: Cli, published: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without urllib3 both verbs name the extra that brings it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "urllib3"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "urllib3", None)
    for verb in (["push", published / "artifact", f"{place}:v1"], ["pull", f"{place}:v1"]):
        status, said = cli(*verb)
        assert status == PipelineError.exit_status
        assert "artifact-pipeline[registry]" in said["error"]["hint"]
