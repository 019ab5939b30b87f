"""Signatures: what is signed, where it stands, who can read it, and what no signer ever gets to sign."""

from __future__ import annotations

import base64
import json
import shutil
import stat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_pipeline.artifact import pointer
from artifact_pipeline.canonical import digest
from artifact_pipeline.cli import main
from artifact_pipeline.errors import ArtifactRejected, ConfigError, PipelineError, StorageError
from artifact_pipeline.trust import signing
from artifact_pipeline.trust.keys import Key
from artifact_pipeline.trust.policy import Trust
from artifact_pipeline.trust.signing import Signers, sign
from artifact_pipeline.verification import verify
from forging import FAILED, FILES, flip, reseal, unpack
from own_sigstore import OwnSigstore
from signatures import MANIFEST, bundle_of, certified, digests, provenance, write_keys
from tools import slow

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.training.sealed import Candidate

    Run = Callable[..., subprocess.CompletedProcess[str]]

ABOUT = {MANIFEST: digest(b"{}"), "model.onnx": digest(b"")}
"""What the signatures of some tests are about."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key on each curve, two that upstream does not know, and a locked one."""
    folder = tmp_path_factory.mktemp("keys")
    for kind in ("SECP256R1", "SECP384R1", "SECP521R1", "SECP256K1", "ed25519", "rsa"):
        write_keys(folder, kind, kind)
    write_keys(folder, "locked", password=b"open sesame")
    return folder


@pytest.fixture
def stored(published: Path, candidate: Candidate) -> Path:
    """The folder of the published artifact, with provenance beside it."""
    folder = published / "artifacts" / candidate.digest.removeprefix("sha256:")
    pointer.beside(folder, ".provenance.json").write_bytes(provenance(candidate.digest, "2026-06-01T12:00:00Z"))
    return folder


def signed_by(folder: Path, key: Path, signature: Path | None = None) -> Verified:
    """The artifact, if this key has signed it."""
    return verify(folder, trust=Trust.load(public_key=key, signature=signature))


def upstream(run: Run, *arguments: str | Path) -> int:
    """The exit status of upstream's command line."""
    return run("-m", "model_signing", *arguments).returncode


# Where it stands


def test_a_signature_stands_beside_the_artifact(
    published: Path, stored: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sign` writes the signature and that of the provenance beside the folder, and changes nothing in it."""
    before, told = digests(stored), verify(stored).digest
    assert main(["sign", str(published / "artifact"), "--private-key", str(keys / "SECP256R1.pem"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    fingerprint = digest((keys / "SECP256R1.pub").read_bytes())
    places = [pointer.beside(stored), pointer.beside(stored, ".provenance.json.sig")]
    assert (answer["artifact"], answer["signer"], answer["signatures"]) == (told, fingerprint, [*map(str, places)])
    assert digests(stored) == before
    assert {path.name for path in stored.parent.iterdir()} - {".lock"} == {
        stored.name, f"{stored.name}.sig", f"{stored.name}.provenance.json", f"{stored.name}.provenance.json.sig"
    }  # fmt: skip
    assert signed_by(published / "artifact", keys / "SECP256R1.pub").trust.signer == fingerprint
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o644 for path in places)


def test_a_folder_outside_of_a_store_is_signed_beside_it(candidate: Candidate, tmp_path: Path, keys: Path) -> None:
    """For another folder the signature is `FOLDER.sig`, however the folder is named; a copy takes one along."""
    folder = unpack(candidate, tmp_path / "model.v1")
    assert main(["sign", f"{folder}/", "--private-key", str(keys / "SECP256R1.pem"), "-q"]) == 0
    assert (tmp_path / "model.v1.sig").is_file()
    assert pointer.beside(folder / ".." / "model.v1") == tmp_path / "model.v1.sig"
    shutil.copytree(folder, tmp_path / "copy")
    with pytest.raises(ArtifactRejected) as caught:
        signed_by(tmp_path / "copy", keys / "SECP256R1.pub")
    assert caught.value.rules == {"signature-missing"}
    assert signed_by(tmp_path / "copy", keys / "SECP256R1.pub", tmp_path / "model.v1.sig").trust.signer is not None


def test_a_signature_in_the_artifact_is_refused(stored: Path, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A place in the artifact's folder is refused: the artifact would hold a file too many."""
    place = stored / "model.sig"
    command = ["sign", str(stored), "--private-key", str(keys / "SECP256R1.pem"), "--signature", str(place)]
    assert main(command) == 2
    assert f"--signature: {place} lies in the artifact {stored}" in capsys.readouterr().err
    assert not place.exists()


def test_without_provenance_the_artifact_alone_is_signed(
    candidate: Candidate, tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who signs without provenance is told that there is no time that others could rely on."""
    folder = unpack(candidate, tmp_path / "model")
    assert main(["sign", str(folder), "--private-key", str(keys / "SECP256R1.pem")]) == 0
    assert "note: no provenance stands beside it" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"model", "model.sig"}


# What is signed


@pytest.mark.parametrize("kind", ["SECP256R1", "SECP384R1", "SECP521R1"])
def test_each_curve_signs(kind: str, keys: Path) -> None:
    """A key on each curve that upstream knows signs, and its public half tells what was signed."""
    data = sign("digits", ABOUT, keys / f"{kind}.pem")
    key = Key.parse((keys / f"{kind}.pub").read_bytes(), kind)
    told = Signers(keys=(key,)).check(data, place="model.sig")
    assert (told.signer, told.files) == (key.fingerprint, ABOUT)
    assert bundle_of(data)[0]["verificationMaterial"]["publicKey"]["hint"] == key.fingerprint.removeprefix("sha256:")


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "SECP256K1"])
def test_a_key_that_upstream_does_not_know_is_refused_first(
    kind: str, stored: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ed25519, RSA and other curves are refused by name, status 2, and nothing is written."""
    assert main(["sign", str(stored), "--private-key", str(keys / f"{kind}.pem"), "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)["error"]
    assert [problem["rule"] for problem in answer["problems"]] == ["key-type"]
    assert not pointer.beside(stored).exists()


@pytest.mark.parametrize(
    ("password", "rule"), [(None, "key-password"), ("wrong", "key-unreadable"), ("open sesame", None)]
)
def test_a_locked_key_needs_its_password(
    password: str | None, rule: str | None, stored: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password comes by the environment; without it or with another the key is refused."""
    if password is not None:
        monkeypatch.setenv("ARTIFACT_PIPELINE_KEY_PASSWORD", password)
    status = main(["sign", str(stored), "--private-key", str(keys / "locked.pem"), "-q"])
    assert status == (2 if rule else 0)
    assert pointer.beside(stored).exists() == (rule is None)


def test_a_password_for_an_open_key_is_refused(stored: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who gives a password believes that the key is locked; it is not."""
    monkeypatch.setenv("ARTIFACT_PIPELINE_KEY_PASSWORD", "open sesame")
    assert main(["sign", str(stored), "--private-key", str(keys / "SECP256R1.pem"), "-q"]) == 2


@pytest.mark.parametrize("data", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused(data: bytes, stored: Path, tmp_path: Path) -> None:
    """A file that holds no key, and one that is not there, are errors of the command line."""
    place = tmp_path / "key.pem"
    place.write_bytes(data)
    assert main(["sign", str(stored), "--private-key", str(place), "-q"]) == 2
    assert main(["sign", str(stored), "--private-key", str(tmp_path / "gone.pem"), "-q"]) == 2
    assert main(["sign", str(stored), "--private-key", str(tmp_path), "-q"]) == 2


def test_one_signer_is_named(stored: Path, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No signer, or two of them, are refused before anything is read."""
    key = ["--private-key", str(keys / "SECP256R1.pem")]
    assert main(["sign", str(stored)]) == main(["sign", str(stored), "--sigstore", *key]) == 2
    assert capsys.readouterr().err.count("one of them") == 2
    assert main(["sign", str(stored), *key, "--sigstore-config", "trust.json"]) == 2


@pytest.mark.parametrize("case", ["damaged", "unexpected", "failed", "another provenance"])
def test_what_is_not_whole_is_not_signed(case: str, stored: Path, keys: Path, tmp_path: Path) -> None:
    """A damaged artifact, another than the expected one, a failed gate, foreign provenance: status 4, no signature."""
    folder, options = tmp_path / "copy", []
    shutil.copytree(stored, folder)
    if case == "damaged":
        flip(folder / "model.onnx", 100)
    elif case == "unexpected":
        options = ["--expect", digest(b"other")]
    elif case == "failed":
        reseal(folder, FAILED)
    else:
        pointer.beside(folder, ".provenance.json").write_bytes(provenance(digest(b"other"), "2026-06-01T12:00:00Z"))
    command = ["sign", str(folder), "--private-key", str(keys / "SECP256R1.pem"), "-q"]
    assert main([*command, *options]) == 4
    assert not pointer.beside(folder).exists()
    if case == "failed":  # a signature says who, not how good
        assert main([*command, "--accept-failed-gate"]) == 0


def test_a_signature_is_replaced_whole(stored: Path, keys: Path) -> None:
    """Signed again with another key, the signature is the later one; what cannot be written leaves the earlier one."""
    command = ["sign", str(stored), "-q", "--private-key"]
    assert main([*command, str(keys / "SECP256R1.pem")]) == 0
    first = pointer.beside(stored).read_bytes()
    assert main([*command, str(keys / "rsa.pem")]) == 2
    assert pointer.beside(stored).read_bytes() == first
    assert main([*command, str(keys / "SECP384R1.pem")]) == 0
    assert signed_by(stored, keys / "SECP384R1.pub").trust.signer is not None
    assert main([*command, str(keys / "SECP384R1.pem"), "--signature", str(stored / "gone" / "x")]) == 2
    assert main([*command, str(keys / "SECP384R1.pem"), "--signature", str(stored.parent / "gone" / "x")]) == 8
    assert main([*command, str(keys / "SECP384R1.pem"), "--signature", "/dev/null"]) == 8


# With upstream's tool


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["SECP256R1", "SECP384R1"])
def test_upstream_verifies_our_signature(kind: str, stored: Path, keys: Path, run: Run) -> None:
    """`python -m model_signing verify key` accepts our signature of the artifact and of its provenance."""
    assert main(["sign", str(stored), "--private-key", str(keys / f"{kind}.pem"), "-q"]) == 0
    for path in (stored, pointer.beside(stored, ".provenance.json")):
        arguments = ["verify", "key", path, "--signature", pointer.beside(path), "--public_key"]
        assert upstream(run, *arguments, keys / f"{kind}.pub") == 0
        assert upstream(run, *arguments, keys / "SECP521R1.pub") != 0


@pytest.mark.slow
def test_we_verify_upstreams_signature(stored: Path, keys: Path, run: Run, tmp_path: Path) -> None:
    """What `python -m model_signing sign key` writes with its default options is accepted, provenance included."""
    for path in (stored, pointer.beside(stored, ".provenance.json")):
        where = ["--signature", pointer.beside(path), "--private_key", keys / "SECP256R1.pem"]
        assert upstream(run, "sign", "key", path, *where) == 0
    policy = tmp_path / "trust.json"
    told = {"format": 1, "keys": [str(keys / "SECP256R1.pub")], "not_before": "2026-06-01T12:00:00Z"}
    policy.write_text(json.dumps(told))
    trust = Trust.load(policy=policy)
    assert verify(stored, trust=trust).trust.signer == digest((keys / "SECP256R1.pub").read_bytes())


@pytest.mark.parametrize("name", [".git", slow(".github"), ".gitattributes", slow(".gitignore")])
def test_what_upstream_ignores_is_refused_here(name: str, stored: Path, keys: Path, run: Run) -> None:
    """A file under a name that upstream passes over is a file too many, whatever the signature says."""
    assert main(["sign", str(stored), "--private-key", str(keys / "SECP256R1.pem"), "-q"]) == 0
    if name in {".git", ".github"}:
        (stored / name).mkdir()
        (stored / name / "model.py").write_text("raise SystemExit")
    else:
        (stored / name).write_text("*.onnx filter=evil")
    arguments = ["--signature", pointer.beside(stored), "--public_key", keys / "SECP256R1.pub"]
    assert upstream(run, "verify", "key", stored, *arguments) == 0
    with pytest.raises(ArtifactRejected) as caught:
        signed_by(stored, keys / "SECP256R1.pub")
    assert caught.value.rules == {"file-unlisted"}


@pytest.mark.slow
def test_a_signature_that_ignores_a_file_is_refused(stored: Path, keys: Path, run: Run) -> None:
    """Upstream signs a folder without the model if told so, and accepts it afterwards; here it covers too few files."""
    where = ["--signature", pointer.beside(stored), "--private_key", keys / "SECP256R1.pem"]
    assert upstream(run, "sign", "key", stored, *where, "--ignore-paths", stored / "model.onnx") == 0
    where = ["--signature", pointer.beside(stored), "--public_key", keys / "SECP256R1.pub"]
    assert upstream(run, "verify", "key", stored, *where) == 0
    with pytest.raises(ArtifactRejected) as caught:
        signed_by(stored, keys / "SECP256R1.pub")
    assert caught.value.rules == {"signature-files"}


def test_a_signature_without_a_hint_says_nothing_on_standard_output(
    keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Older signatures have no hint; upstream prints a warning then, which is nobody's result."""
    bundle, _ = bundle_of(sign("digits", ABOUT, keys / "SECP256R1.pem"))
    bundle["verificationMaterial"]["publicKey"] = {}
    key = Key.parse((keys / "SECP256R1.pub").read_bytes(), "key")
    told = Signers(keys=(key,)).check(json.dumps(bundle).encode(), place="model.sig")
    assert told.files == ABOUT
    assert capsys.readouterr().out == ""


# Hostile signatures


@pytest.fixture(scope="module")
def good(keys: Path) -> tuple[bytes, Signers]:
    """A good signature, and whose it is."""
    key = Key.parse((keys / "SECP256R1.pub").read_bytes(), "key")
    return sign("digits", ABOUT, keys / "SECP256R1.pem"), Signers(keys=(key,))


def refused_or_the_same(data: bytes, signers: Signers) -> bool:
    """Whether a signature is refused by name, or the very same files were signed."""
    try:
        return signers.check(data, place="model.sig").files == ABOUT
    except ArtifactRejected as error:
        return error.rules <= {"signature-invalid", "signature-key"}


@given(at=st.integers(0, 10_000), new=st.integers(0, 255))
def test_a_changed_signature_is_refused_or_says_the_same(good: tuple[bytes, Signers], at: int, new: int) -> None:
    """Whatever byte is changed: the signature is refused by name, or the very same files were signed."""
    data = bytearray(good[0])
    data[at % len(data)] = new
    assert refused_or_the_same(bytes(data), good[1])


@given(length=st.integers(0, 10_000))
def test_a_signature_cut_at_any_length_is_refused(good: tuple[bytes, Signers], length: int) -> None:
    """No part of a signature is one."""
    with pytest.raises(ArtifactRejected) as caught:
        good[1].check(good[0][: length % len(good[0])], place="model.sig")
    assert caught.value.rules == {"signature-invalid"}


@pytest.mark.parametrize(
    "change",
    [
        {"verificationMaterial": {}},
        {"verificationMaterial": {"publicKey": {"hint": 5}}},
        {"verificationMaterial": {"publicKey": {"hint": "00"}}},
        {"mediaType": "text/plain"},
        {"mediaType": None},
        {"verificationMaterial": {"publicKey": {}, "certificate": {}}},
        {"verificationMaterial": {"publicKey": {}, "tlogEntries": [{}]}},
    ],
    ids=str,
)
def test_a_bundle_that_upstream_stumbles_over_is_refused(good: tuple[bytes, Signers], change: dict[str, Any]) -> None:
    """Where upstream would end with an error of Python's, the signature is nobody's."""
    bundle = {**json.loads(good[0]), **change}
    assert refused_or_the_same(json.dumps(bundle).encode(), good[1])


@pytest.mark.parametrize("name", ["model.onnx", "./model.onnx", "model.onnx/", "x//model.onnx", ""])
def test_a_signature_that_names_a_file_twice_is_refused(name: str, keys: Path) -> None:
    """A name that stands twice is refused, and so is one of which upstream would make another."""
    _, statement = bundle_of(sign("digits", ABOUT, keys / "SECP256R1.pem"))
    twice = {"name": name, "algorithm": "sha256", "digest": digest(b"other").removeprefix("sha256:")}
    statement["predicate"]["resources"].append(twice)
    key = Key.parse((keys / "SECP256R1.pub").read_bytes(), "key")
    with pytest.raises(ArtifactRejected) as caught:
        Signers(keys=(key,)).check(_sealed(statement, keys / "SECP256R1.pem"), place="model.sig")
    assert caught.value.rules == {"signature-invalid"}


def _sealed(statement: dict[str, Any], key: Path) -> bytes:
    """Any statement, truly signed: what a signer with a strange tool may write."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    bundle, _ = bundle_of(sign("digits", ABOUT, key))
    payload = json.dumps(statement).encode()
    kind = bundle["dsseEnvelope"]["payloadType"]
    signer: Any = serialization.load_pem_private_key(key.read_bytes(), None)
    sealed = signer.sign(
        b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload), ec.ECDSA(hashes.SHA256())
    )
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(sealed).decode()
    return json.dumps(bundle).encode()


def test_the_strange_tool_can_sign(keys: Path) -> None:
    """The forgery of the test before is one that upstream would accept, were its files plain."""
    _, statement = bundle_of(sign("digits", ABOUT, keys / "SECP256R1.pem"))
    key = Key.parse((keys / "SECP256R1.pub").read_bytes(), "key")
    data = _sealed(statement, keys / "SECP256R1.pem")
    assert Signers(keys=(key,)).check(data, place="model.sig").files == ABOUT


# Sigstore

IDENTITY = "https://github.com/o/r/.github/workflows/train.yml@refs/heads/main"
ISSUER = "https://token.actions.githubusercontent.com"


@pytest.fixture
def by_sigstore(candidate: Candidate, tmp_path: Path) -> tuple[Path, OwnSigstore]:
    """An artifact and its provenance, signed without a key, and the Sigstore that certified it."""
    folder, own = unpack(candidate, tmp_path / "model"), OwnSigstore()
    told = provenance(candidate.digest, "2026-06-01T12:00:00Z")
    (tmp_path / "model.provenance.json").write_bytes(told)
    for name, files in {"model.sig": digests(folder), "model.provenance.json.sig": {".": digest(told)}}.items():
        (tmp_path / name).write_bytes(own.sign(files, tmp_path, identity=IDENTITY, issuer=ISSUER))
    (tmp_path / "own.json").write_bytes(own.trust_config())
    return folder, own


def trusted(folder: Path, identity: str = IDENTITY, issuer: str = ISSUER) -> Verified:
    """The artifact, if this identity has signed it by the Sigstore of `own.json`, not long ago."""
    policy = folder.parent / "trust.json"
    identities = [{"issuer": issuer, "identity": identity}]
    told = {"format": 1, "identities": identities, "sigstore": "own.json", "not_before": "2026-06-01T00:00:00Z"}
    policy.write_text(json.dumps(told))
    return verify(folder, trust=Trust.load(policy=policy))


def test_an_identity_certified_by_sigstore_is_trusted(by_sigstore: tuple[Path, OwnSigstore], run: Run) -> None:
    """With certificate, both logs and the trust root at hand nothing is asked of the network; upstream agrees."""
    folder, _ = by_sigstore
    assert trusted(folder).trust.signer == f"{IDENTITY} ({ISSUER})"
    where = ["--signature", folder.parent / "model.sig", "--trust_config", folder.parent / "own.json"]
    assert (
        upstream(run, "verify", "sigstore", folder, *where, "--identity", IDENTITY, "--identity_provider", ISSUER) == 0
    )


@pytest.mark.parametrize(
    ("identity", "issuer"),
    [
        (IDENTITY.replace("main", "other"), ISSUER),
        (IDENTITY.replace("train", "test"), ISSUER),
        (IDENTITY.replace("/o/", "/fork/"), ISSUER),
        (IDENTITY[:-1], ISSUER),
        (IDENTITY, "https://issuer.example"),
        (ISSUER, IDENTITY),
        ("", ""),
    ],
)
def test_another_identity_is_not_trusted(by_sigstore: tuple[Path, OwnSigstore], identity: str, issuer: str) -> None:
    """Another branch, workflow, repository or issuer is another signer."""
    with pytest.raises(ArtifactRejected) as caught:
        trusted(by_sigstore[0], identity, issuer)
    assert caught.value.rules == {"signature-key"}


@pytest.mark.parametrize("case", ["another sigstore", "no log", "another certificate", "another time", "another body"])
def test_a_bundle_that_sigstore_did_not_certify_is_refused(by_sigstore: tuple[Path, OwnSigstore], case: str) -> None:
    """A certificate of another authority, an entry of no log or of another signature, a time that nobody signed."""
    folder, own = by_sigstore
    place = folder.parent / "model.sig"
    if case == "another sigstore":
        place.write_bytes(OwnSigstore().sign(digests(folder), folder.parent, identity=IDENTITY, issuer=ISSUER))
    else:
        bundle = json.loads(place.read_bytes())
        told = bundle["verificationMaterial"]
        other = json.loads(own.sign(ABOUT, folder.parent, identity=IDENTITY, issuer=ISSUER))["verificationMaterial"]
        if case == "no log":
            told["tlogEntries"] = []
        elif case == "another certificate":
            told["certificate"] = other["certificate"]
        elif case == "another time":
            told["tlogEntries"][0]["integratedTime"] = "1780315300"
        else:
            told["tlogEntries"] = other["tlogEntries"]
        place.write_text(json.dumps(bundle))
    with pytest.raises(ArtifactRejected) as caught:
        trusted(folder)
    assert caught.value.rules == {"signature-key"}


def test_what_sigstore_certified_for_another_artifact_is_refused(by_sigstore: tuple[Path, OwnSigstore]) -> None:
    """The identity is right, and so is the bundle; it is about other files."""
    folder, own = by_sigstore
    (folder.parent / "model.sig").write_bytes(own.sign(ABOUT, folder.parent, identity=IDENTITY, issuer=ISSUER))
    with pytest.raises(ArtifactRejected) as caught:
        trusted(folder)
    assert caught.value.rules == {"signature-artifact"}


class Recorder:
    """In place of upstream's configuration: what it was asked for, and about which files."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.files: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        """`use_sigstore_signer` and `use_sigstore_verifier`: keep what is said, and the trust root's bytes."""

        def use(**asked: Any) -> Recorder:
            root = asked["trust_config"]
            self.asked = {**asked, "trust_config": root.read_bytes() if root is not None else None, "for": name}
            return self

        return use

    def set_hashing_config(self, hashing: Any) -> Recorder:
        """Ask for the digests as upstream would."""
        self.files = {each.identifier for each in hashing.hash("").resource_descriptors()}
        return self

    def sign(self, _folder: Path, place: Path) -> None:
        """Write what is no signature, and was made where one should be."""
        place.write_text("a bundle of Sigstore's")

    def verify(self, _folder: Path, _signature: Path) -> None:
        """Find everything right."""


def test_sigstore_signs_by_the_token_of_the_environment(
    candidate: Candidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token and the Sigstore of one's own reach upstream, and the bundle lies beside the artifact."""
    folder, recorder = unpack(candidate, tmp_path / "model"), Recorder()
    (tmp_path / "own.json").write_text('{"own": true}')
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", "header.claims.signature")
    monkeypatch.setattr(signing, "_upstream", lambda _: recorder)
    assert main(["sign", str(folder), "--sigstore", "--sigstore-config", str(tmp_path / "own.json"), "-q"]) == 0
    assert recorder.asked == {
        "for": "use_sigstore_signer",
        "identity_token": "header.claims.signature",
        "trust_config": b'{"own": true}',
    }
    assert recorder.files == set(FILES)
    assert (tmp_path / "model.sig").read_text() == "a bundle of Sigstore's"


def test_an_identity_of_the_policy_reaches_upstream(
    candidate: Candidate, tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issuer, identity and the Sigstore of one's own are what upstream verifies with; keys are not even tried."""
    folder = unpack(candidate, tmp_path / "model")
    (tmp_path / "model.sig").write_bytes(certified(sign("digits", digests(folder), keys / "SECP256R1.pem")))
    (tmp_path / "own.json").write_text('{"own": true}')
    policy = tmp_path / "trust.json"
    identity = {"issuer": "https://issuer.example", "identity": "release@example.org"}
    told = {"format": 1, "keys": [str(keys / "SECP256R1.pub")], "identities": [identity], "sigstore": "own.json"}
    policy.write_text(json.dumps(told))
    trust, recorder = Trust.load(policy=policy), Recorder()
    monkeypatch.setattr(signing, "_upstream", lambda _: recorder)
    assert verify(folder, trust=trust).trust.signer == "release@example.org (https://issuer.example)"
    assert recorder.asked == {
        "for": "use_sigstore_verifier",
        "identity": "release@example.org",
        "oidc_issuer": "https://issuer.example",
        "trust_config": b'{"own": true}',
    }
    assert recorder.files == set(FILES)


def test_without_a_token_nobody_is_asked_to_log_in(
    stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No token in the environment is an error of the command line, and no browser is opened."""
    for name in ("SIGSTORE_ID_TOKEN", "GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "BUILDKITE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("id.detect_credential", lambda _: None)
    assert main(["sign", str(stored), "--sigstore"]) == 2
    assert "there is no identity token to sign with" in capsys.readouterr().err


def test_a_ci_without_the_permission_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """In GitHub Actions without `id-token: write` the hint names the permission."""
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", raising=False)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with pytest.raises(ConfigError) as caught:
        signing.identity_token({})
    assert "id-token: write" in str(caught.value.hint)


def test_sigstore_out_of_reach_writes_nothing(
    stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where Sigstore cannot be reached the error says so, and no signature is left."""
    from sigstore.errors import TUFError
    from sigstore.models import ClientTrustConfig

    def unreachable(**_: object) -> None:
        raise TUFError("Failed to refresh TUF metadata")

    monkeypatch.setattr(ClientTrustConfig, "production", unreachable)
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", "header.claims.signature")
    assert main(["sign", str(stored), "--sigstore"]) == 1
    assert "Sigstore did not sign: failed to refresh tuf metadata" in capsys.readouterr().err
    assert not pointer.beside(stored).exists()


def test_a_token_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Sigstore of one's own that cannot be read is an error of ours, and no traceback."""
    with pytest.raises(PipelineError, match="Sigstore did not sign"):
        signing.sign_by_sigstore("digits", ABOUT, "token", sigstore=tmp_path / "gone.json")


def test_a_certificate_that_is_none_is_refused(good: tuple[bytes, Signers], tmp_path: Path) -> None:
    """Upstream's refusal of a bundle, or of the trust root of one's own, is a refusal of the signature."""
    signers = Signers(identities=(Signers.Identity(issuer="https://a", identity="b"),), sigstore=b"{}")
    with pytest.raises(ArtifactRejected) as caught:
        signers.check(certified(good[0]), place="model.sig")
    assert caught.value.rules == {"signature-key"}


WITHOUT = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
from artifact_pipeline.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    "missing", ["model_signing", slow("sigstore"), slow("OpenSSL"), "model_signing,sigstore,cryptography"]
)
def test_a_missing_extra_is_named(missing: str, stored: Path, keys: Path, run: Run) -> None:
    """Without the extra nothing is signed and nothing is trusted; the error names what to install."""
    for command in (["sign", "--private-key", keys / "SECP256R1.pem"], ["verify", "--public-key", keys / "rsa.pub"]):
        done = run("-c", WITHOUT, missing, *command, stored)
        assert done.returncode == 1
        assert "pip install 'artifact-pipeline[sign]' brings what signatures need" in done.stderr
        assert not pointer.beside(stored).exists()


def test_without_room_for_temporary_files_the_error_says_so(
    good: tuple[bytes, Signers], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upstream takes paths alone; where no folder can be made, that is an error of the disk's, status 8."""
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")
    with pytest.raises(StorageError, match="cannot write a temporary file"):
        good[1].check(good[0], place="model.sig")
