"""Each tampering is refused by name, before anything of the artifact is used."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from artifact_pipeline.canonical import digest
from artifact_pipeline.cli import main
from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.model.predictor import open_predictor
from artifact_pipeline.verification import verify
from attacks import ATTACKS, FILES_1, MANIFEST, Attack, unpack

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from artifact_pipeline.training.sealed import Candidate

    Laid = dict[str, Path]

BY_VERIFY = [name for name, attack in ATTACKS.items() if attack.by == "verify"]
BY_REPLAY = [name for name, attack in ATTACKS.items() if attack.by == "replay"]
MEMORY = 256 << 20
"""Of address space, the interpreter's own included; the hungriest tampering asks for a terabyte."""
GATE_ALONE = {"gate-missing", "gate-failed"}

VERIFY_ALL = """
import json, resource, sys
from pathlib import Path

before = set(sys.modules)  # what measures coverage, for one

resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
from artifact_pipeline.verification import verify
from artifact_pipeline.errors import ArtifactRejected

refused = {}
for name, path in json.loads(Path(sys.argv[1]).read_text()).items():
    try:
        verify(Path(path))
    except ArtifactRejected as error:
        refused[name] = sorted(error.rules)
print(json.dumps({"refused": refused, "modules": sorted(set(sys.modules) - before)}))
"""


@pytest.fixture(scope="module")
def laid(candidate_1: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Laid:
    """Every attacked artifact, by the attack's name; only read afterwards."""
    root = tmp_path_factory.mktemp("attacks")
    return {name: lay(attack, candidate_1, root / str(index)) for index, (name, attack) in enumerate(ATTACKS.items())}


def lay(attack: Attack, candidate_1: Candidate, place: Path) -> Path:
    """Write an artifact under `place` and attack it; what `verify` is then asked about."""
    if attack.on == "folder":
        folder = unpack(candidate_1, place / "folder")
        attack.tamper(folder)
        return folder
    pointer, stored = stored_artifact(candidate_1, place)
    attack.tamper(stored.parent.parent)
    return pointer


def stored_artifact(candidate_1: Candidate, place: Path) -> tuple[Path, Path]:
    """Write an artifact into a store, as a publication leaves it: its pointer and its folder."""
    folder = unpack(candidate_1, place / "artifacts" / candidate_1.digest.removeprefix("sha256:"))
    pointer = place / "artifact"
    pointer.symlink_to(f"artifacts/{folder.name}")
    return pointer, folder


def rules(path: Path, **options: object) -> frozenset[str]:
    """The rules that `verify` names; none if it accepts."""
    try:
        verify(path, **options)
    except ArtifactRejected as error:
        return error.rules
    return frozenset()


@pytest.mark.parametrize("name", BY_VERIFY)
def test_each_tampering_is_refused_by_name(
    name: str, laid: Laid, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`verify` ends with 4, names just the rules that are broken, and prints nothing that a terminal would obey."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # `main` sets its own; put back afterwards
    assert main(["verify", str(laid[name]), "--json"]) == 4
    printed = capsys.readouterr()
    answer = json.loads(printed.out)["error"]
    assert answer["status"] == 4
    assert {problem["rule"] for problem in answer["problems"]} == ATTACKS[name].rules
    assert all(each.isprintable() for each in (printed.out + printed.err).replace("\n", ""))
    assert printed.err.startswith("error: ")
    assert len(printed.err) < 4000


@pytest.mark.parametrize("name", BY_REPLAY)
def test_a_resealed_model_that_answers_otherwise_is_refused(name: str, laid: Laid) -> None:
    """Where every digest and every shape fits, the golden rows still find another model, before the first row."""
    verified = verify(laid[name])
    with pytest.raises(ArtifactRejected) as caught:
        open_predictor(verified)
    assert caught.value.rules == ATTACKS[name].rules
    assert caught.value.exit_status == 4


def test_nothing_is_loaded_to_refuse(
    laid: Laid, tmp_path: Path, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """One process refuses every tampering without NumPy or a runtime, and within little memory."""
    places = tmp_path / "places.json"
    places.write_text(json.dumps({name: str(laid[name]) for name in BY_VERIFY}))
    done = run("-c", VERIFY_ALL, places, str(MEMORY))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["refused"] == {name: sorted(ATTACKS[name].rules) for name in BY_VERIFY}
    assert not {"numpy", "onnxruntime", "onnx", "sklearn", "pyarrow", "pickle"} & set(answer["modules"])


@pytest.mark.slow
def test_the_store_finds_every_change_of_a_manifest(candidate_1: Candidate, tmp_path: Path) -> None:
    """In a store a changed manifest contradicts its folder's name, so that resealing does not help."""
    for index, (name, attack) in enumerate(ATTACKS.items()):
        if attack.on == "folder":
            pointer, folder = stored_artifact(candidate_1, tmp_path / str(index))
            attack.tamper(folder)
            assert rules(pointer) == told_without_parsing(folder, candidate_1, attack, "store-name"), name


def test_an_expected_digest_refuses_a_manifest_unread(laid: Laid, candidate_1: Candidate) -> None:
    """With the digest known from elsewhere a changed manifest breaks no other rule: it is not even parsed."""
    for name, attack in ATTACKS.items():
        if attack.on == "folder":
            wanted = told_without_parsing(laid[name], candidate_1, attack, "digest-unexpected")
            assert rules(laid[name], expect=candidate_1.digest) == wanted, name


def told_without_parsing(folder: Path, candidate_1: Candidate, attack: Attack, rule: str) -> frozenset[str]:
    """What is told of an artifact whose digest is known: `rule` for another manifest, else what the attack breaks."""
    manifest = folder / MANIFEST
    readable = manifest.is_file() and not manifest.is_symlink() and manifest.stat().st_size <= 1 << 20
    if not readable or attack.rules == {"too-many-entries"} or digest(manifest.read_bytes()) == candidate_1.digest:
        return attack.rules
    return frozenset({rule})


def test_accepting_a_failed_gate_accepts_nothing_else(laid: Laid) -> None:
    """`--accept-failed-gate` lets a missing or failed gate pass, and none that contradicts itself."""
    for name in BY_VERIFY:
        assert rules(laid[name], accept_failed_gate=True) == ATTACKS[name].rules - GATE_ALONE, name


def test_the_attacks_reach_every_file(laid: Laid) -> None:
    """The registry holds the promised number of tamperings, and each file of an artifact is among their targets."""
    assert len(ATTACKS) >= 30
    for name in FILES_1:
        assert f"without {name}" in laid
