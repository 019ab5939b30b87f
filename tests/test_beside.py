"""What stands beside a stored artifact: `verify` finds what is neither provenance nor a signature."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from artifact_pipeline.canonical import digest
from artifact_pipeline.cli import main
from artifact_pipeline.trust.beside import MAX_BESIDE_BYTES
from artifact_pipeline.verification import verify
from pickles import MALICIOUS
from signatures import MANIFEST, digests, provenance, seal, write_keys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from artifact_pipeline.training.sealed import Candidate

WHEN = "2026-06-01T12:00:00Z"
SUFFIXES = (".provenance.json", ".sig", ".provenance.json.sig")


@pytest.fixture
def stored(published: Path, candidate: Candidate) -> Path:
    """The folder of the published artifact."""
    return published / "artifacts" / candidate.digest.removeprefix("sha256:")


def rules(path: Path, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The rules that `artifact-pipeline verify` names; none where it accepts."""
    status = main(["verify", str(path), "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert status == (4 if "error" in answer else 0)
    return {problem["rule"] for problem in answer.get("error", {}).get("problems", [])}


def place(stored: Path, suffix: str) -> Path:
    """Where a file about an artifact stands."""
    return stored.with_name(stored.name + suffix)


@pytest.mark.needs("model_signing")
def test_provenance_and_signatures_of_the_artifact_are_accepted(
    stored: Path, candidate: Candidate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Provenance and signatures that are about the artifact change nothing, an outdated seal of provenance neither."""
    write_keys(tmp_path, "key")
    statement = provenance(candidate.digest, WHEN)
    place(stored, ".provenance.json").write_bytes(statement)
    seal(place(stored, ".sig"), digests(stored), tmp_path / "key.pem")
    seal(place(stored, ".provenance.json.sig"), {".": digest(b"of an earlier training")}, tmp_path / "key.pem")
    assert rules(stored, capsys) == set()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_pickle_beside_the_artifact_is_refused(
    suffix: str, stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pickle under the name of provenance or of a signature is found, by pointer and by folder, and never run."""
    what = "provenance" if suffix == ".provenance.json" else "signature"
    for build in MALICIOUS.values():
        place(stored, suffix).write_bytes(build(tmp_path / "canary"))
        wanted = {
            f"{what}-invalid" if place(stored, suffix).stat().st_size <= MAX_BESIDE_BYTES else f"{what}-unreadable"
        }
        assert rules(stored, capsys) == rules(stored.parents[1] / "artifact", capsys) == wanted
    assert not (tmp_path / "canary").exists()


def holes(path: Path) -> None:
    """A terabyte that takes no room on the disk."""
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "put",
    [os.mkfifo, os.mkdir, holes, lambda path: path.symlink_to(path)],
    ids=["fifo", "folder", "holes", "link"],
)
def test_what_cannot_be_read_beside_the_artifact_is_refused(
    suffix: str, put: Callable[[Path], object], stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A FIFO, a folder, a file without end or a link to nowhere is named, and nothing waits for it."""
    put(place(stored, suffix))
    what = "provenance" if suffix == ".provenance.json" else "signature"
    assert rules(stored, capsys) == {f"{what}-unreadable"}


@pytest.mark.needs("model_signing")
def test_what_is_about_another_artifact_is_refused(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Provenance and a signature of another artifact do not stand beside this one unnoticed."""
    write_keys(tmp_path, "key")
    place(stored, ".provenance.json").write_bytes(provenance(digest(b"another"), WHEN))
    seal(place(stored, ".sig"), {MANIFEST: digest(b"another")}, tmp_path / "key.pem")
    assert rules(stored, capsys) == {"provenance-artifact", "signature-artifact"}


def test_outside_of_a_store_such_names_are_not_ours(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside a folder elsewhere a file of another program may have any form; and no other verb asks for it."""
    folder = tmp_path / "model"
    stored.rename(folder)
    (tmp_path / "model.sig").write_bytes(b"-----BEGIN PGP SIGNATURE-----")
    assert rules(folder, capsys) == set()
    folder.rename(stored)
    place(stored, ".sig").write_bytes(b"")
    assert verify(stored).folder == stored
