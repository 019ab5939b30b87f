"""Provenance: what is said about an artifact, beside it, and never more than said."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from artifact_pipeline import __version__
from artifact_pipeline.artifact import provenance
from artifact_pipeline.artifact.pointer import resolve
from artifact_pipeline.artifact.store import KEEP, Store
from artifact_pipeline.canonical import canonical_json, digest
from artifact_pipeline.config import load_config
from artifact_pipeline.errors import GateFailed
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.publication import publish
from artifact_pipeline.training.statement import TrainingOrigin, count_looks, make_statement
from artifact_pipeline.verification import verify
from tools import hexadecimal, renamed, require_tool, scraps

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.artifact.provenance import Statement
    from artifact_pipeline.training.sealed import Candidate

    Run = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config" / "config.json"
NOWHERE = TrainingOrigin(CONFIG, Path("nowhere"), "2026-11-01T00:00:00Z")
KEY = {"recipe.C": "1.0"}


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests say themselves what a CI tells."""
    for name in [name for name in os.environ if name.startswith("GITHUB_")]:
        monkeypatch.delenv(name)


def put(root: Path, candidate: Candidate, *, origin: TrainingOrigin = NOWHERE, looks: int = 1) -> Statement:
    """Publish with provenance, and read it back."""
    statement = make_statement(candidate, origin, key=KEY, looks=looks)
    artifact, export = root / "artifact", root / "model_train.pkl"
    folder = publish(candidate, artifact=artifact, export=export, statement=statement)
    told = provenance.Statement.read(folder)
    assert told == statement
    return statement


def plain(root: Path, candidate: Candidate) -> dict[str, Any]:
    """The statement as it stands on the disk."""
    value: dict[str, Any] = json.loads((root / "artifacts" / f"{hexadecimal(candidate)}.provenance.json").read_bytes())
    return value


def materials(value: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What it was made from, by name."""
    return {each["name"]: each for each in value["predicate"]["buildDefinition"]["resolvedDependencies"]}


# --- the form


def test_statement_is_in_totos_with_slsas_predicate(tmp_path: Path, candidate: Candidate) -> None:
    """It is an in-toto statement v1 about manifest.json by its SHA-256, with every field that SLSA v1 requires."""
    put(tmp_path, candidate)
    value = plain(tmp_path, candidate)
    assert value["_type"] == "https://in-toto.io/Statement/v1"
    assert value["predicateType"] == "https://slsa.dev/provenance/v1"
    manifest = (tmp_path / "artifact" / "manifest.json").read_bytes()
    assert value["subject"] == [
        {"name": "manifest.json", "digest": {"sha256": digest(manifest).removeprefix("sha256:")}}
    ]
    definition, details = value["predicate"]["buildDefinition"], value["predicate"]["runDetails"]
    assert definition["buildType"] == provenance.BUILD
    assert definition["externalParameters"] == {"recipe": candidate.manifest.recipe}
    assert definition["internalParameters"] == {
        "key": KEY,
        "heldOut": candidate.manifest.data.split.digest,
        "looks": 1,
    }
    assert details["builder"] == {"id": provenance.LOCAL, "version": {"artifact-pipeline": __version__}}
    assert details["metadata"].keys() == {"startedOn", "finishedOn"}


def test_times_are_utc_as_rfc_3339_writes_them(tmp_path: Path, candidate: Candidate) -> None:
    """Start and end are UTC to the second, the end not before the start."""
    origin = TrainingOrigin(CONFIG, Path("nowhere"))
    put(tmp_path, candidate, origin=origin)
    told = plain(tmp_path, candidate)["predicate"]["runDetails"]["metadata"]
    times = [datetime.strptime(told[name], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) for name in told]
    assert told["startedOn"] == origin.began
    assert told["startedOn"] <= told["finishedOn"]
    assert all(abs((datetime.now(UTC) - each).total_seconds()) < 600 for each in times)


def test_materials_are_named_by_their_digests(tmp_path: Path, candidate: Candidate) -> None:
    """Config, lock and data stand in it with their digests; a lock that is not there does not."""
    lock = tmp_path / "requirements.txt"
    lock.write_text("numpy==2.4.6\n")
    put(tmp_path, candidate, origin=TrainingOrigin(CONFIG, lock))
    found = materials(plain(tmp_path, candidate))
    assert "sha256:" + found["config"]["digest"]["sha256"] == digest(CONFIG.read_bytes())
    assert "sha256:" + found["requirements.txt"]["digest"]["sha256"] == digest(lock.read_bytes())
    (source,) = candidate.manifest.data.sources
    assert found["data:digits"] == {
        "name": "data:digits",
        "digest": {"rows-1": source.digest.removeprefix("sha256:")},
        "annotations": {"rows": 1797},
    }
    put(tmp_path, candidate)
    assert "requirements.txt" not in materials(plain(tmp_path, candidate))


def test_the_config_that_was_read_is_recorded(tmp_path: Path, candidate: Candidate) -> None:
    """What is recorded of a config's file is what was parsed, whatever is written into the file meanwhile."""
    config = tmp_path / "config.json"
    config.write_text("before")
    origin = TrainingOrigin(config, Path("nowhere"))
    config.write_text("after")
    put(tmp_path, candidate, origin=origin)
    assert materials(plain(tmp_path, candidate))["config"]["digest"] == {
        "sha256": digest(b"before").removeprefix("sha256:")
    }


def git(folder: Path, *arguments: str) -> str:
    command = [require_tool("git"), "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_commit_and_whether_it_is_dirty(tmp_path: Path, candidate: Candidate) -> None:
    """The commit around the config is named, and whether a tracked file differs from it; what is untracked does not."""
    config = tmp_path / "config.json"
    config.write_bytes(CONFIG.read_bytes())
    git(tmp_path, "init", "-q")
    origin = TrainingOrigin(config, Path("nowhere"))
    put(tmp_path, candidate, origin=origin)
    assert "source" not in materials(plain(tmp_path, candidate))  # no commit yet
    git(tmp_path, "add", "config.json")
    git(tmp_path, "commit", "-q", "-m", "first")
    for dirty in (False, True):
        if dirty:
            config.write_text(config.read_text() + "\n")
        put(tmp_path, candidate, origin=origin)
        assert materials(plain(tmp_path, candidate))["source"] == {
            "name": "source",
            "digest": {"gitCommit": git(tmp_path, "rev-parse", "HEAD")},
            "annotations": {"dirty": dirty},
        }


def test_ci_names_builder_run_and_commit(tmp_path: Path, candidate: Candidate, monkeypatch: pytest.MonkeyPatch) -> None:
    """In GitHub Actions builder and run are the workflow's; without a clone the commit is the event's."""
    for name, value in {
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_REPOSITORY": "owner/name",
        "GITHUB_WORKFLOW_REF": "owner/name/.github/workflows/train.yml@refs/heads/main",
        "GITHUB_RUN_ID": "12",
        "GITHUB_RUN_ATTEMPT": "3",
        "GITHUB_SHA": "a" * 40,
    }.items():
        monkeypatch.setenv(name, value)
    put(tmp_path, candidate, origin=TrainingOrigin(tmp_path / "config.json", Path("nowhere")))
    value = plain(tmp_path, candidate)
    details = value["predicate"]["runDetails"]
    assert details["builder"]["id"] == "https://github.example/owner/name/.github/workflows/train.yml@refs/heads/main"
    assert details["metadata"]["invocationId"] == "https://github.example/owner/name/actions/runs/12/attempts/3"
    assert materials(value)["source"] == {
        "name": "source",
        "uri": "git+https://github.example/owner/name",
        "digest": {"gitCommit": "a" * 40},
        "annotations": {"dirty": "unknown", "reason": "there is no clone to compare with"},
    }


def test_a_commit_that_cannot_be_known_is_called_unknown(
    tmp_path: Path, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where `.git` leads elsewhere, `source` has no digest but a reason, or the commit that the CI names."""
    (tmp_path / ".git").write_text(f"gitdir: {ROOT / '.git'}\n")
    origin = TrainingOrigin(tmp_path / "config.json", Path("nowhere"))
    put(tmp_path, candidate, origin=origin)
    reason = "its .git file leads to a place that does not lead back, which is not followed"
    assert materials(plain(tmp_path, candidate))["source"] == {
        "name": "source",
        "uri": "urn:artifact-pipeline:source:unknown",
        "annotations": {"commit": "unknown", "dirty": "unknown", "reason": reason},
    }
    monkeypatch.setenv("GITHUB_SHA", "a" * 40)
    put(tmp_path, candidate, origin=origin)
    assert materials(plain(tmp_path, candidate))["source"] == {
        "name": "source",
        "digest": {"gitCommit": "a" * 40},
        "annotations": {"dirty": "unknown", "reason": reason},
    }


def test_statements_of_earlier_versions_are_read(tmp_path: Path, candidate: Candidate) -> None:
    """A `source` that only says true or false, or nothing of `dirty`, is read as it stands."""
    told = put(tmp_path, candidate)
    value = plain(tmp_path, candidate)
    others = [each for each in materials(value).values() if each["name"] != "source"]
    for said in ({"dirty": True}, {}):
        source = {"name": "source", "digest": {"gitCommit": "a" * 40}, "annotations": said}
        value["predicate"]["buildDefinition"]["resolvedDependencies"] = [*others, source]
        read = provenance.Statement.parse(canonical_json(value)).source
        assert read == provenance.Resource(name="source", digest={"gitCommit": "a" * 40}, annotations=said)
    assert provenance.Statement.parse(told.encode()) == told


# --- beside the artifact, and never in it


def test_artifact_is_what_it_is_without_provenance(tmp_path: Path, candidate: Candidate) -> None:
    """Provenance adds one file beside the artifact, and changes no byte of it."""
    put(tmp_path, candidate)
    assert verify(tmp_path / "artifact", expect=candidate.digest).members == candidate.members
    name = hexadecimal(candidate)
    assert {path.name for path in (tmp_path / "artifacts").iterdir()} == {name, f"{name}.provenance.json", ".lock"}
    assert scraps(tmp_path) == []


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda place: place.unlink(),
    "empty": lambda place: place.write_bytes(b""),
    "no JSON": lambda place: place.write_bytes(b"\xff"),
    "another form": lambda place: place.write_bytes(b"{}"),
    "nested": lambda place: place.write_bytes(b"[" * 100_000),
    "about another": lambda place: place.write_bytes(place.read_bytes().replace(place.name[:64].encode(), b"0" * 64)),
    "too large": lambda place: place.write_bytes(place.read_bytes() + b" " * (1 << 20)),
    "a folder": lambda place: (place.unlink(), place.mkdir()),
    "a pipe": lambda place: (place.unlink(), os.mkfifo(place)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_provenance_breaks_nothing(
    tmp_path: Path, candidate: Candidate, damage: Callable[[Path], object]
) -> None:
    """Provenance that is missing, damaged or about another artifact is none; the artifact verifies and is listed."""
    put(tmp_path, candidate)
    damage(tmp_path / "artifacts" / f"{hexadecimal(candidate)}.provenance.json")
    assert provenance.Statement.read(tmp_path / "artifacts" / hexadecimal(candidate)) is None
    assert verify(tmp_path / "artifact").digest == candidate.digest
    (run,) = Store(tmp_path / "artifact").runs()
    assert (run.passed, run.statement) == (True, None)


def test_fields_that_are_not_known_are_allowed(tmp_path: Path, candidate: Candidate) -> None:
    """A statement with fields that this version does not know is read, as in-toto asks of its readers."""
    told = put(tmp_path, candidate)
    value = plain(tmp_path, candidate)
    value["predicate"]["runDetails"]["byproducts"] = [{"name": "log"}]
    assert provenance.Statement.parse(canonical_json(value)) == told


def test_the_latest_training_replaces_what_was_said(tmp_path: Path, candidate: Candidate) -> None:
    """The same bytes trained again are one artifact, whose provenance is the latest training's."""
    put(tmp_path, candidate)
    put(tmp_path, candidate, origin=TrainingOrigin(CONFIG, Path("nowhere"), "2026-11-02T00:00:00Z"))
    assert plain(tmp_path, candidate)["predicate"]["runDetails"]["metadata"]["startedOn"] == "2026-11-02T00:00:00Z"
    assert len(Store(tmp_path / "artifact").runs()) == 1


def test_a_failed_gate_has_its_provenance(tmp_path: Path) -> None:
    """A candidate whose gate fails is kept with its provenance."""
    config = load_config(CONFIG, ["gate.min_accuracy=0.99"])
    failing = train(config, progress=lambda _: None)
    with pytest.raises(GateFailed):
        put(tmp_path, failing)
    told = provenance.Statement.read(tmp_path / "artifacts" / hexadecimal(failing))
    assert told is not None
    assert told.about == failing.digest


def test_what_stands_beside_goes_with_its_artifact(tmp_path: Path, candidate: Candidate) -> None:
    """Provenance and signatures of an artifact that is removed as the oldest go too, and nothing else does."""
    old = renamed(candidate, "old")
    put(tmp_path, old)
    folder, stores = tmp_path / "artifacts" / hexadecimal(old), tmp_path / "artifacts"
    for end in (".sig", ".provenance.json.sig", ".tar.gz"):
        folder.with_name(folder.name + end).write_bytes(b"beside")
    (stores / f".{'0' * 64}.provenance.json.{'1' * 16}.tmp").write_bytes(b"of a writer that died")
    os.utime(folder, ns=(0, 0))
    for index in range(KEEP):
        put(tmp_path, renamed(candidate, f"run-{index}"))
        os.utime(stores / hexadecimal(renamed(candidate, f"run-{index}")), ns=(index + 1, index + 1))
    assert [path.name for path in stores.glob(f"*{hexadecimal(old)}*")] == [f"{hexadecimal(old)}.tar.gz"]
    assert len(list(stores.glob("*.provenance.json"))) == KEEP
    assert not list(stores.glob("*.tmp"))


# --- looks


def test_looks_are_counted_by_split(tmp_path: Path, candidate: Candidate) -> None:
    """A training that measures on the same held-out rows counts one more; other rows begin at one."""
    artifact, split = tmp_path / "artifact", candidate.manifest.data.split.digest
    assert count_looks(split, artifact) == 1
    put(tmp_path, candidate, looks=7)
    assert count_looks(split, artifact) == 8
    assert count_looks(f"sha256:{'0' * 64}", artifact) == 1


def test_a_champion_without_provenance_has_looked_once(published: Path, tmp_path_factory: Any) -> None:
    """A champion whose provenance is missing was measured on its held-out rows all the same."""
    champion = verify(published / "artifact")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "artifact"
    assert count_looks(champion.manifest.data.split.digest, elsewhere, champion) == 2


# --- by the command line


@pytest.mark.slow
def test_training_writes_its_provenance(run: Run, checkout: Path) -> None:
    """`python src/train.py` states config, lock, data and the key that it trained from, and says what is unknown."""
    (checkout / "requirements.txt").write_text("numpy\n")
    (checkout / ".git").symlink_to(ROOT)
    done = run("src/train.py", cwd=checkout)
    assert done.returncode == 0
    note = "note: the commit is unknown, as the provenance says, too: its .git is a link, which is not followed"
    assert note in done.stderr.splitlines()
    folder = resolve(checkout / "artifact")
    told = provenance.Statement.read(folder)
    assert told is not None
    assert {"champion", "data", "kernel", "packages.numpy", "recipe.C", "source"} <= told.internal.key.keys()
    value = json.loads(provenance.place(folder).read_bytes())
    assert materials(value).keys() == {"config", "requirements.txt", "data:digits", "source"}
    assert str(checkout) not in json.dumps(value)
