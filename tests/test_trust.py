"""Trust from outside: each attack on a consumer with a policy is refused by name, before the model is parsed."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from artifact_pipeline.canonical import digest
from artifact_pipeline.cli import main
from artifact_pipeline.errors import ArtifactRejected, ConfigError, PipelineError
from artifact_pipeline.trust.policy import Policy, Trust
from artifact_pipeline.verification import verify
from forging import FAILED, flip, other_model, reseal, unpack
from signatures import (
    MANIFEST,
    bundle_of,
    certificate,
    certified,
    digests,
    forged,
    private_key,
    provenance,
    seal,
    write_keys,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from artifact_pipeline.training.sealed import Candidate

    Run = Callable[..., subprocess.CompletedProcess[str]]
    Tampering = Callable[["Stage"], object]

ROOT = Path(__file__).resolve().parents[1]
MADE = "2026-06-01T12:00:00Z"
ISSUER = "https://token.actions.githubusercontent.com"
REFUSE_ALL = """
import json, sys
from pathlib import Path

from artifact_pipeline import verification as v
from artifact_pipeline.cli import main
from artifact_pipeline.model import check

def never(*arguments, **options):
    raise SystemExit("the model was parsed")

check.check_written = v.walk = never
asked = json.loads(Path(sys.argv[1]).read_text())
statuses = {name: main(["verify", *arguments, "--quiet"]) for name, arguments in asked.items()}
print(json.dumps({"statuses": statuses, "modules": sorted(sys.modules)}))
"""


@dataclass(frozen=True)
class Stage:
    """A publisher's artifact, signed, with signed provenance, and a consumer with a policy; keys stand in `keys`."""

    root: Path
    keys: Path

    @property
    def folder(self) -> Path:
        """The artifact."""
        return self.root / "model"

    @property
    def signature(self) -> Path:
        """Its signature."""
        return self.root / "model.sig"

    @property
    def provenance(self) -> Path:
        """Its provenance."""
        return self.root / "model.provenance.json"

    @property
    def seal_of_provenance(self) -> Path:
        """The signature of that."""
        return self.root / "model.provenance.json.sig"

    @property
    def policy(self) -> Path:
        """The consumer's policy."""
        return self.root / "trust.json"

    @property
    def artifact(self) -> str:
        """The artifact digest of what stands there."""
        return digest((self.folder / MANIFEST).read_bytes())

    def ask(self, **changes: Any) -> None:
        """Write the policy with other values."""
        told = {"format": 1, "keys": [str(self.keys / "release.pub")], "not_before": "2026-01-01T00:00:00Z"}
        self.policy.write_text(json.dumps({**told, **changes}))

    def sign(self, key: str = "release", made: str = MADE) -> None:
        """Sign what stands in the folder, and provenance about it."""
        seal(self.signature, digests(self.folder), self.keys / f"{key}.pem")
        self.provenance.write_bytes(provenance(self.artifact, made))
        self.sign_provenance(key)

    def sign_provenance(self, key: str = "release") -> None:
        """Sign the provenance that stands there."""
        seal(self.seal_of_provenance, {".": digest(self.provenance.read_bytes())}, self.keys / f"{key}.pem")

    @property
    def arguments(self) -> list[str]:
        """What the consumer writes after `verify`, unless the attack wrote it."""
        told = self.root / "arguments.json"
        return json.loads(told.read_text()) if told.exists() else [str(self.folder), "--policy", str(self.policy)]

    def say(self, *arguments: str | Path) -> None:
        """Let the consumer write something else after `verify`."""
        (self.root / "arguments.json").write_text(json.dumps([str(self.folder), *map(str, arguments)]))


ATTACKS: dict[str, tuple[Tampering, str, int]] = {}
"""Each attack's name: what it does, the one rule that is broken, the exit status."""


def refused(rule: str, status: int = 4) -> Callable[[Tampering], Tampering]:
    """Register an attack that must be refused by this rule."""

    def decorate(tamper: Tampering) -> Tampering:
        ATTACKS[tamper.__name__.replace("_", " ")] = (tamper, rule, status)
        return tamper

    return decorate


def other_artifact(stage: Stage) -> Path:
    """Another artifact of the publisher's, whole and valid."""
    other = stage.root / "other"
    shutil.copytree(stage.folder, other)
    reseal(other, model=other_model(other))
    return other


# The signature


@refused("signature-missing")
def unsigned(stage: Stage) -> None:
    stage.signature.unlink()


@refused("signature-key")
def signed_by_another_key(stage: Stage) -> None:
    stage.sign("other")


@refused("signature-artifact")
def signature_of_another_artifact(stage: Stage) -> None:
    seal(stage.signature, digests(other_artifact(stage)), stage.keys / "release.pem")


@refused("signature-artifact")
def signature_of_the_provenance_in_place_of_the_artifacts(stage: Stage) -> None:
    stage.signature.write_bytes(stage.seal_of_provenance.read_bytes())


@refused("signature-invalid")
def truncated_signature(stage: Stage) -> None:
    os.truncate(stage.signature, stage.signature.stat().st_size // 2)


@refused("signature-invalid")
def empty_signature(stage: Stage) -> None:
    os.truncate(stage.signature, 0)


@refused("signature-invalid")
def signature_that_is_garbage(stage: Stage) -> None:
    stage.signature.write_bytes(b"\x80\x04\x95cos\nsystem\n(S'true'\ntR.")


@refused("signature-invalid")
def signature_nested_a_hundred_thousand_times(stage: Stage) -> None:
    stage.signature.write_bytes(b'{"verificationMaterial":' + b"[" * 100_000)


@refused("signature-unreadable")
def signature_that_is_a_fifo(stage: Stage) -> None:
    stage.signature.unlink()
    os.mkfifo(stage.signature)


@refused("signature-unreadable")
def signature_of_a_terabyte(stage: Stage) -> None:
    os.truncate(stage.signature, 1 << 40)


@refused("signature-key")
def signed_statement_exchanged(stage: Stage) -> None:
    reseal(stage.folder, model=other_model(stage.folder))
    _, statement = bundle_of(stage.signature.read_bytes())
    for each in statement["predicate"]["resources"]:
        each["digest"] = digests(stage.folder)[each["name"]].removeprefix("sha256:")
    stage.signature.write_bytes(forged(stage.signature.read_bytes(), statement))


@refused("signature-key")
def signature_taken_out(stage: Stage) -> None:
    bundle, _ = bundle_of(stage.signature.read_bytes())
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = ""
    stage.signature.write_text(json.dumps(bundle))


@refused("signature-invalid")
def signature_over_shards_of_files(stage: Stage) -> None:
    _, statement = bundle_of(stage.signature.read_bytes())
    statement["predicate"]["serialization"]["method"] = "shards"
    stage.signature.write_bytes(forged(stage.signature.read_bytes(), statement))


@refused("signature-files")
def signature_over_fewer_files(stage: Stage) -> None:
    files = digests(stage.folder)
    del files["model.onnx"]
    seal(stage.signature, files, stage.keys / "release.pem")


@refused("signature-files")
def signature_over_more_files(stage: Stage) -> None:
    seal(stage.signature, {**digests(stage.folder), "model.pkl": digest(b"")}, stage.keys / "release.pem")


@refused("signature-files")
def signature_over_another_model(stage: Stage) -> None:
    seal(stage.signature, {**digests(stage.folder), "model.onnx": digest(b"")}, stage.keys / "release.pem")


@refused("signature-key")
def identity_asked_for_and_a_key_has_signed(stage: Stage) -> None:
    stage.ask(keys=[], identities=[{"issuer": ISSUER, "identity": "https://github.com/o/r/.github/workflows/t.yml@v1"}])


@refused("signature-key")
def key_asked_for_and_sigstore_has_signed(stage: Stage) -> None:
    stage.signature.write_bytes(certified(stage.signature.read_bytes()))


# The folder after signing


@refused("file-unlisted")
def file_more_after_signing(stage: Stage) -> None:
    (stage.folder / "model.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")


@refused("file-unlisted")
def file_more_under_git_which_upstream_ignores(stage: Stage) -> None:
    (stage.folder / ".git" / "hooks").mkdir(parents=True)
    (stage.folder / ".git" / "hooks" / "post-checkout").write_text("true")


@refused("file-digest")
def file_swapped_after_signing(stage: Stage) -> None:
    (stage.folder / "model.onnx").write_bytes(other_model(stage.folder))


@refused("file-digest")
def bit_flipped_after_signing(stage: Stage) -> None:
    flip(stage.folder / "model.onnx", 2000)


@refused("signature-artifact")
def file_swapped_and_sealed_again(stage: Stage) -> None:
    reseal(stage.folder, model=other_model(stage.folder))


@refused("signature-artifact")
def manifest_swapped(stage: Stage) -> None:
    shutil.copy(other_artifact(stage) / MANIFEST, stage.folder / MANIFEST)


@refused("signature-artifact")
def manifest_that_is_no_manifest(stage: Stage) -> None:
    (stage.folder / MANIFEST).write_bytes(b"[" * 100_000)


@refused("digest-unexpected")
def signed_and_not_the_expected_one(stage: Stage) -> None:
    stage.say("--policy", stage.policy, "--expect", digest(b"other"))


# The policy


@refused("policy-unreadable", 2)
def policy_that_is_not_there(stage: Stage) -> None:
    stage.policy.unlink()


@refused("policy-unreadable", 2)
def policy_that_is_a_folder(stage: Stage) -> None:
    stage.policy.unlink()
    stage.policy.mkdir()


@refused("policy-syntax", 2)
def policy_that_is_no_json(stage: Stage) -> None:
    stage.policy.write_text("format: 1")


@refused("policy-syntax", 2)
def policy_with_nan(stage: Stage) -> None:
    stage.ask(minimum={"accuracy": float("nan")})


@refused("policy-value", 2)
def policy_with_a_number_beyond_every_number(stage: Stage) -> None:
    stage.policy.write_text('{"format": 1, "minimum": {"accuracy": 1e999}}')


@refused("policy-unknown-key", 2)
def policy_with_an_unknown_key(stage: Stage) -> None:
    stage.ask(revokd=[stage.artifact])


@refused("policy-unknown-key", 2)
def policy_with_an_unknown_figure(stage: Stage) -> None:
    stage.ask(minimum={"acuracy": 0.99})


@refused("policy-duplicate-key", 2)
def policy_with_a_key_twice(stage: Stage) -> None:
    text = stage.policy.read_text()
    stage.policy.write_text('{"revoked": ["' + stage.artifact + '"], "revoked": [], ' + text[1:])


@refused("policy-value", 2)
def policy_of_another_format(stage: Stage) -> None:
    stage.ask(format=2)


@refused("policy-value", 2)
def policy_whose_time_has_no_zone(stage: Stage) -> None:
    stage.ask(not_before="2026-01-01T00:00:00")


@refused("policy-no-signer", 2)
def policy_that_trusts_nobody(stage: Stage) -> None:
    stage.ask(keys=[])


@refused("policy-signers", 2)
def policy_and_a_key_beside_it(stage: Stage) -> None:
    stage.say("--policy", stage.policy, "--public-key", stage.keys / "other.pub")


@refused("key-unreadable", 2)
def policy_whose_key_is_not_there(stage: Stage) -> None:
    stage.ask(keys=["gone.pub"])


@refused("key-unreadable", 2)
def policy_whose_key_no_terminal_should_see(stage: Stage) -> None:
    stage.ask(keys=["\ud800\x1b[2J\0"])


@refused("key-unreadable", 2)
def policy_whose_key_is_cut_short(stage: Stage) -> None:
    stage.ask(keys=["-----BEGIN PUBLIC KEY-----\ud800"])


# What the policy says


@refused("revoked")
def revoked_artifact(stage: Stage) -> None:
    stage.ask(revoked=[stage.artifact])


@refused("revoked")
def revoked_model(stage: Stage) -> None:
    stage.ask(revoked=[digests(stage.folder)["model.onnx"]])


@refused("name-not-allowed")
def name_that_is_not_allowed(stage: Stage) -> None:
    stage.ask(names=["letters"])


@refused("too-old")
def older_than_allowed(stage: Stage) -> None:
    stage.sign(made="2025-12-31T23:59:59Z")


@refused("too-old")
def older_than_allowed_in_another_zone(stage: Stage) -> None:
    stage.sign(made="2026-01-01T00:30:00+01:00")


@refused("provenance-missing")
def provenance_that_is_not_there(stage: Stage) -> None:
    stage.provenance.unlink()


@refused("provenance-signature-missing")
def provenance_unsigned(stage: Stage) -> None:
    stage.seal_of_provenance.unlink()


@refused("signature-key")
def provenance_signed_by_another_key(stage: Stage) -> None:
    stage.sign_provenance("other")


@refused("provenance-signature")
def provenance_with_a_later_time(stage: Stage) -> None:
    stage.sign(made="2020-01-01T00:00:00Z")
    stage.provenance.write_bytes(provenance(stage.artifact, MADE))


@refused("provenance-artifact")
def provenance_of_another_artifact(stage: Stage) -> None:
    stage.provenance.write_bytes(provenance(digest(b"other"), MADE))
    stage.sign_provenance()


@refused("provenance-invalid")
def provenance_without_a_time(stage: Stage) -> None:
    told = json.loads(stage.provenance.read_bytes())
    del told["predicate"]["runDetails"]["metadata"]["finishedOn"]
    stage.provenance.write_text(json.dumps(told))
    stage.sign_provenance()


@refused("gate-failed")
def failed_gate_accepted_by_the_flag_alone(stage: Stage) -> None:
    reseal(stage.folder, FAILED)
    stage.sign()
    stage.say("--policy", stage.policy, "--accept-failed-gate")


@refused("gate-missing")
def missing_gate_accepted_by_the_flag_alone(stage: Stage) -> None:
    reseal(stage.folder, {"gate": None})
    stage.sign()
    stage.say("--policy", stage.policy, "--accept-failed-gate")


@refused("figures-too-low")
def gate_of_zero_and_figures_below_the_consumers_minimum(stage: Stage) -> None:
    zero = {f"gate.rules.{index}.bound": 0.0 for index in range(2)}
    reseal(stage.folder, {**zero, "recipe.gate.min_accuracy": 0.0, "recipe.gate.min_f1": 0.0})
    stage.sign()
    stage.ask(minimum={"accuracy": 0.99})


@refused("figures-too-low")
def f1_below_the_consumers_minimum(stage: Stage) -> None:
    stage.ask(minimum={"f1_weighted": 0.99})


@refused("figures-too-low")
def lower_end_below_the_consumers_minimum(stage: Stage) -> None:
    stage.ask(minimum={"accuracy": 0.95, "accuracy_low": 0.955})


@refused("figures-too-low")
def macro_f1_below_the_consumers_minimum(stage: Stage) -> None:
    stage.ask(minimum={"f1_macro": 0.98})


@refused("figures-too-low")
def recall_of_a_class_below_the_consumers_minimum(stage: Stage) -> None:
    stage.ask(minimum={"recall": 0.96})


@refused("figures-too-low")
def recall_of_one_class_below_the_consumers_minimum(stage: Stage) -> None:
    stage.ask(minimum={"recall": {"0": 1.0, "9": 0.96}})


@refused("figures-too-low")
def recall_asked_of_a_class_that_the_model_has_not(stage: Stage) -> None:
    stage.ask(minimum={"recall": {"ten": 0.0}})


@refused("figures-too-low")
def lower_end_told_above_the_figure(stage: Stage) -> None:
    reseal(stage.folder, {"metrics.figures.0.low": 1.0, "metrics.figures.0.high": 1.0})
    stage.sign()
    stage.ask(minimum={"accuracy_low": 0.99})


# The key


def _wrong_key(stage: Stage, data: bytes) -> None:
    (stage.root / "wrong.pub").write_bytes(data)
    stage.say("--public-key", stage.root / "wrong.pub")


@refused("key-type", 2)
def public_key_on_another_curve(stage: Stage) -> None:
    stage.say("--public-key", stage.keys / "bitcoin.pub")


@refused("key-type", 2)
def ed25519_key(stage: Stage) -> None:
    stage.say("--public-key", stage.keys / "edwards.pub")


@refused("key-type", 2)
def rsa_key(stage: Stage) -> None:
    stage.say("--public-key", stage.keys / "rsa.pub")


@refused("key-unreadable", 2)
def private_key_in_place_of_the_public_one(stage: Stage) -> None:
    stage.say("--public-key", stage.keys / "release.pem")


@refused("key-unreadable", 2)
def certificate_in_place_of_the_key(stage: Stage) -> None:
    _wrong_key(stage, certificate(private_key("SECP256R1")))


@refused("signature-key")
def key_of_another_signer(stage: Stage) -> None:
    stage.say("--public-key", stage.keys / "other.pub")


# The laws


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of every kind."""
    folder = tmp_path_factory.mktemp("keys")
    for name, kind in {
        "release": "SECP256R1", "other": "SECP256R1", "bitcoin": "SECP256K1", "edwards": "ed25519", "rsa": "rsa"
    }.items():  # fmt: skip
        write_keys(folder, name, kind)
    return folder


def build(candidate: Candidate, root: Path, keys: Path) -> Stage:
    """An artifact that its policy accepts."""
    root.mkdir()
    stage = Stage(root, keys)
    unpack(candidate, stage.folder)
    stage.sign()
    stage.ask()
    return stage


@pytest.fixture
def stage(candidate: Candidate, tmp_path: Path, keys: Path) -> Stage:
    return build(candidate, tmp_path / "stage", keys)


@pytest.fixture(scope="module")
def laid(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory, keys: Path) -> dict[str, Stage]:
    """Every attacked stage; only read afterwards."""
    root, stages = tmp_path_factory.mktemp("trust"), {}
    for index, (name, (tamper, _, _)) in enumerate(ATTACKS.items()):
        stages[name] = build(candidate, root / str(index), keys)
        tamper(stages[name])
    return stages


def never(data: bytes, *_: object, **__: object) -> None:
    raise AssertionError(f"{len(data)} bytes of a model were parsed")


@pytest.mark.parametrize("name", ATTACKS)
def test_each_attack_on_trust_is_refused_before_the_model_is_parsed(
    name: str, laid: dict[str, Stage], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal names just the rule that is broken, and no byte of the model was looked into."""
    monkeypatch.setattr("artifact_pipeline.model.check.check_written", never)
    _, rule, status = ATTACKS[name]
    assert main(["verify", *laid[name].arguments, "--json"]) == status
    printed = capsys.readouterr()
    assert {problem["rule"] for problem in json.loads(printed.out)["error"]["problems"]} == {rule}
    assert all(each.isprintable() for each in (printed.out + printed.err).replace("\n", ""))


def test_what_is_not_refused_is_parsed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is attacked the model is looked into: the test above would notice it."""
    monkeypatch.setattr("artifact_pipeline.model.check.check_written", never)
    with pytest.raises(AssertionError, match="bytes of a model were parsed"):
        verify(stage.folder, trust=Trust.load(policy=stage.policy))


def test_attacks_on_trust_load_neither_numpy_nor_a_runtime(laid: dict[str, Stage], tmp_path: Path, run: Run) -> None:
    """One process refuses every attack on trust without NumPy, a runtime, or a look into the model."""
    told = tmp_path / "arguments.json"
    told.write_text(json.dumps({name: stage.arguments for name, stage in laid.items()}))
    done = run("-c", REFUSE_ALL, told)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["statuses"] == {name: status for name, (_, _, status) in ATTACKS.items()}
    assert not {"numpy", "onnxruntime", "onnx", "sklearn", "pyarrow"} & set(answer["modules"])


def test_there_are_more_attacks_than_promised() -> None:
    """Twelve attacks on trust were promised."""
    assert len(ATTACKS) >= 12


def test_predict_refuses_what_verify_refuses(laid: dict[str, Stage], tmp_path: Path) -> None:
    """`predict` takes the same options, ends with the same status, and writes nothing."""
    for name in ("unsigned", "older than allowed", "policy with an unknown key", "ed25519 key"):
        folder, *options = laid[name].arguments
        arguments = ["predict", "--artifact", folder, "-o", str(tmp_path / "predictions.csv"), "-q", *options]
        assert main(arguments) == ATTACKS[name][2], name
    assert list(tmp_path.iterdir()) == []


def test_what_the_policy_trusts_is_accepted(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Signed by a trusted key, young enough, allowed and good enough: the answer names signer and policy."""
    low = verify(stage.folder).manifest.metrics.held_out.accuracy.low
    minimum = {"accuracy": 0.9, "f1_weighted": 0.9, "accuracy_low": low, "f1_weighted_low": 0.5, "f1_macro": 0.97}
    minimum |= {"recall": {"0": 1.0, "9": 0.95}}
    pem = (stage.keys / "release.pub").read_text()
    stage.ask(
        keys=[(stage.keys / "other.pub").read_text(), os.path.relpath(stage.keys / "release.pub", stage.root)],
        minimum=minimum,
        names=["letters", "digits"],
        revoked=[digest(b"other")],
        not_before=MADE,
        identities=[{"issuer": ISSUER, "identity": "release@example.org"}],
    )
    assert main(["verify", *stage.arguments, "--json"]) == 0
    trust = {"expected": False, "signer": digest(pem.encode()), "policy": digest(stage.policy.read_bytes())}
    assert json.loads(capsys.readouterr().out)["trust"] == trust
    assert main(["verify", *stage.arguments]) == 0
    out = capsys.readouterr().out
    assert f"5 files, signed by {trust['signer']}, as the policy {trust['policy']} asks\n" in out
    assert f"next: artifact-pipeline predict --policy {stage.policy} --artifact" in out


def test_without_trust_the_output_says_integrity_only(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Who asks for nothing is told that nothing but integrity was proven."""
    assert main(["verify", str(stage.folder)]) == 0
    assert "5 files, integrity only (" in capsys.readouterr().out


def test_a_failed_gate_may_be_left_to_the_flag(stage: Stage) -> None:
    """A policy that does not insist on the gate leaves it to the flag; without the flag it is refused all the same."""
    reseal(stage.folder, FAILED)
    stage.sign()
    stage.ask(require_gate=False)
    trust = Trust.load(policy=stage.policy)
    assert verify(stage.folder, trust=trust, accept_failed_gate=True).trust.policy is not None
    with pytest.raises(ArtifactRejected) as caught:
        verify(stage.folder, trust=trust)
    assert caught.value.rules == {"gate-failed"}


def test_a_policy_without_signers_goes_with_a_digest_or_a_key(stage: Stage) -> None:
    """Who is trusted may be said on the command line; the policy then says the rest."""
    stage.policy.write_text('{"format": 1, "minimum": {"accuracy": 0.9}}')
    artifact = stage.artifact
    trust = Trust.load(policy=stage.policy, expected=True)
    told = verify(stage.folder, expect=artifact, trust=trust).trust
    assert (told.expected, told.signer, told.policy) == (True, None, digest(stage.policy.read_bytes()))
    key = stage.keys / "release.pub"
    trust = Trust.load(policy=stage.policy, public_key=key)
    told = verify(stage.folder, trust=trust).trust
    assert (told.expected, told.signer, told.policy) == (
        False, digest(key.read_bytes()), digest(stage.policy.read_bytes())
    )  # fmt: skip


def test_an_expected_digest_gives_no_time(stage: Stage) -> None:
    """A policy with an earliest creation needs a signer even where the digest is known: nobody else tells the time."""
    stage.ask(keys=[])
    with pytest.raises(ConfigError) as caught:
        Trust.load(policy=stage.policy, expected=True)
    assert caught.value.rules == {"policy-no-signer"}


def test_the_receipt_tells_what_was_asked(stage: Stage, tmp_path: Path) -> None:
    """A receipt says integrity only, by digest, by key or by policy, and of what digest."""
    signer = digest((stage.keys / "release.pub").read_bytes())
    (tmp_path / "rows.csv").write_text(
        ",".join(feature.name for feature in verify(stage.folder).manifest.model.inputs)
        + "\n"
        + ",".join("1" * 64)
        + "\n"
    )
    asked: list[tuple[list[str], dict[str, Any]]] = [
        ([], {"expected": False, "signer": None, "policy": None}),
        (["--expect", stage.artifact], {"expected": True, "signer": None, "policy": None}),
        (
            ["--public-key", str(stage.keys / "release.pub")],
            {"expected": False, "signer": signer, "policy": None},
        ),
        (
            ["--policy", str(stage.policy)],
            {"expected": False, "signer": signer, "policy": digest(stage.policy.read_bytes())},
        ),
    ]
    for options, told in asked:
        place = tmp_path / "out.csv"
        command = ["predict", str(tmp_path / "rows.csv"), "--artifact", str(stage.folder), "-o", str(place), "-q"]
        assert main([*command, *options]) == 0
        assert json.loads((tmp_path / "out.csv.receipt.json").read_text())["trust"] == told
        assert main(["verify", str(place), "--receipt", "-q"]) == 0


def test_a_receipt_takes_no_signature(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A check of predictions does not pretend to check who signed."""
    assert main(["verify", str(stage.folder), "--receipt", "--policy", str(stage.policy)]) == 2
    assert "a receipt is not signed" in capsys.readouterr().err


def test_a_signature_without_a_signer_is_refused(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """`--signature` alone would look like a check."""
    assert main(["verify", str(stage.folder), "--signature", str(stage.signature)]) == 2
    assert "whose is it to be?" in capsys.readouterr().err


def test_sigstore_out_of_reach_is_a_refusal(stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where Sigstore's trust root cannot be read, nobody is trusted."""
    from sigstore.errors import TUFError
    from sigstore.models import ClientTrustConfig

    def unreachable(**_: object) -> None:
        raise TUFError("Failed to refresh TUF metadata")

    monkeypatch.setattr(ClientTrustConfig, "production", unreachable)
    stage.ask(keys=[], identities=[{"issuer": ISSUER, "identity": "release@example.org"}])
    stage.signature.write_bytes(certified(stage.signature.read_bytes()))
    trust = Trust.load(policy=stage.policy)
    with pytest.raises(ArtifactRejected) as caught:
        verify(stage.folder, trust=trust)
    assert caught.value.rules == {"sigstore-unreachable"}


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "1", '{"format": true}', '{"format": 1.5}', '{"format": 1, "keys": "a"}', "\ufeff{}",
     '{"format": 1, "names": []}', '{"format": 1, "revoked": ["sha256:1"]}', '{"format": 1, "require_gate": 1}',
     '{"format": 1, "minimum": {"accuracy": 1.01}}', '{"format": 1, "minimum": {"accuracy": true}}',
     '{"format": 1, "minimum": null}', '{"format": 1, "minimum": {"recall": true}}',
     '{"format": 1, "minimum": {"recall": {"a": 2}}}', '{"format": 1, "minimum": {"recall": null}}',
     '{"format": 1, "identities": [{"issuer": "a"}]}', "[" * 100_000,
     '{"format": 1, "not_before": 0}', '{"format": 1} {}', '{"format": 1, "minimum": {"accuracy": -0.1}}'],
)  # fmt: skip
def test_a_policy_is_understood_whole_or_not_at_all(text: str) -> None:
    """Whatever breaks a type is an error of the consumer's, status 2, and never a policy that allows more."""
    with pytest.raises(ConfigError) as caught:
        Policy.read(text.encode(), "trust.json")
    assert caught.value.exit_status == 2
    assert caught.value.rules <= {"policy-syntax", "policy-value"}


def test_the_least_policy() -> None:
    """Without another word the gate is asked for, and nothing is allowed that nobody has signed."""
    policy = Policy.read(b'{"format": 1}', "trust.json")
    assert policy == Policy(format=1)
    assert policy.require_gate is True


EXCHANGE = """
import json, os, sys
from pathlib import Path
from artifact_pipeline.trust.policy import Trust
from artifact_pipeline.verification import verify
from artifact_pipeline.errors import ArtifactRejected

folder, other, key = map(Path, sys.argv[1:4])
trust = Trust.load(public_key=key)
done = []

def exchange(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".sig") and not done:
        done.append(True)
        folder.rename(folder.with_name("aside"))
        other.rename(folder)

sys.addaudithook(exchange)
verified = verify(folder, trust=trust)
print(json.dumps({"digest": verified.digest, "model": verified.manifest.model.digest, "exchanged": bool(done)}))
"""


def test_a_folder_exchanged_while_its_signature_is_read_changes_nothing(stage: Stage, run: Run) -> None:
    """What the signature vouches for are the bytes that are parsed, not those that stand there a moment later."""
    expected, model, other = stage.artifact, digests(stage.folder)["model.onnx"], other_artifact(stage)
    done = run("-c", EXCHANGE, stage.folder, other, stage.keys / "release.pub")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"digest": expected, "model": model, "exchanged": True}


def test_without_a_signature_nothing_of_signing_is_loaded(stage: Stage, run: Run) -> None:
    """`verify` and `verify --expect` load neither `model_signing` nor what it brings."""
    code = "import sys\nfrom artifact_pipeline.cli import main\nassert main(sys.argv[1:]) == 0\nprint(*sys.modules)"
    done = run("-c", code, "verify", stage.folder, "--expect", stage.artifact, "--quiet")
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"model_signing", "sigstore", "cryptography", "pydantic", "numpy"}


# The page

PAGE = (ROOT / "docs" / "trust.md").read_text()


def test_each_test_that_the_page_names_exists() -> None:
    """The threat model names, for each promise, tests that there are."""
    named = set(re.findall(r"`(?:(test_\w+)\.py::)?(test_\w+)`", PAGE))
    assert len(named) >= 12
    for module, name in named:
        assert module, f"{name}: of which file?"
        assert f"def {name}(" in (ROOT / "tests" / f"{module}.py").read_text(), f"{module}.py::{name}"


def test_the_page_describes_each_key_of_a_policy() -> None:
    """The page has a row for each key of a policy, and its example is one."""
    rows = re.findall(r"^\| `(\w+)`(?:, `\w+`)* \|", PAGE.split("## The policy")[1].split("\n## ")[0], re.MULTILINE)
    assert set(rows) == set(Policy.__struct_fields__)
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert isinstance(Policy.read(example.encode(), "trust.json"), Policy)


def test_the_page_explains_each_rule() -> None:
    """Each rule by which trust is refused stands on the page."""
    package = ROOT / "src" / "artifact_pipeline" / "trust"
    source = "".join((package / f"{name}.py").read_text() for name in ("policy", "signing", "keys"))
    rules = set(re.findall(r'"((?:policy|signature|provenance|key|sigstore|name|figures|too)-[a-z-]+)"', source))
    told = set(re.findall(r"`([a-z-]+)`", PAGE))
    assert {rule for _, rule, _ in ATTACKS.values()} | rules <= told


def test_errors_of_trust_are_ours() -> None:
    """Whatever a policy or a key breaks is one of our errors, with its place."""
    with pytest.raises(PipelineError) as caught:
        Trust.load(policy=Path("/dev/full"))
    assert caught.value.problems[0].place == "/dev/full"
    assert sys.modules["artifact_pipeline.errors"].ConfigError is type(caught.value)
