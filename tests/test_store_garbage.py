"""`artifact-pipeline gc` of a store: what no pointer leads to is listed, and deleted where that is asked for."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from artifact_pipeline.artifact import store
from artifact_pipeline.artifact.store import Store
from artifact_pipeline.cli import main
from artifact_pipeline.cli.app import app
from artifact_pipeline.errors import StorageError
from artifact_pipeline.files import try_lock
from artifact_pipeline.verification import verify
from tools import hexadecimal, publish, renamed, scraps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from artifact_pipeline.training.sealed import Candidate

    Cli = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def candidates(published: Path, candidate: Candidate) -> list[Candidate]:
    """Four artifacts in a store, published in this order, with what is said about each; the last one is in charge."""
    found = [candidate, *(renamed(candidate, f"run-{index}") for index in range(3))]
    for index, each in enumerate(found):
        publish(published, each)
        folder = published / "artifacts" / hexadecimal(each)
        folder.with_name(f"{folder.name}.sig").write_bytes(b"signature")
        os.utime(folder, ns=(index, index))
    return found


@pytest.fixture
def cli(published: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a verb in the folder of the store with `--json`: its status, and what it says."""
    monkeypatch.chdir(published)

    def call(*arguments: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        status = main([*arguments, "--json"])
        return status, json.loads(capsys.readouterr().out)

    return call


def tree(root: Path) -> dict[Path, int]:
    """Everything in a folder, with the time of its last change."""
    return {path: path.lstat().st_mtime_ns for path in root.rglob("*")}


def names(found: list[Candidate]) -> list[str]:
    return [each.digest for each in found]


def test_what_no_pointer_leads_to_is_listed_and_left(cli: Cli, published: Path, candidates: list[Candidate]) -> None:
    """Without `--yes` the latest ones are listed as kept, the others with their bytes, and nothing is changed."""
    before = tree(published)
    status, said = cli("gc", "--keep", "1")
    assert (status, said["deleted"]) == (0, False)
    assert [each["digest"] for each in said["spare"]] == names(candidates[2::-1])
    assert [each["kept"] for each in said["spare"]] == [True, False, False]
    sizes = [sum(map(len, (*each.members.values(), each.manifest.canonical(), b"signature"))) for each in candidates]
    assert [each["bytes"] for each in said["spare"]] == sizes[2::-1]
    assert said["bytes"] == sizes[0] + sizes[1]
    assert not any(each["kept"] is False for each in cli("gc")[1]["spare"])
    assert tree(published) == before


def test_deleted_is_what_was_listed(cli: Cli, published: Path, candidates: list[Candidate]) -> None:
    """With `--yes` just that goes, with what stood beside it; what a pointer leads to, and what is not ours, stays."""
    (published / "production").symlink_to(f"artifacts/{hexadecimal(candidates[0])}")
    (published / "artifacts" / "notes.txt").write_text("mine")
    _, listed = cli("gc", "--keep", "0")
    assert [each["digest"] for each in listed["spare"]] == names(candidates[2:0:-1])
    status, said = cli("gc", "--keep", "0", "--yes")
    assert (status, said) == (0, {**listed, "deleted": True})
    stays = {hexadecimal(candidates[0]), hexadecimal(candidates[3])}
    assert {path.name for path in (published / "artifacts").iterdir()} == {
        *stays, *(f"{name}.sig" for name in stays), "notes.txt", ".lock",
    }  # fmt: skip
    assert verify(published / "artifact").digest == candidates[3].digest
    assert verify(published / "production").digest == candidates[0].digest
    assert cli("gc", "--keep", "0", "--yes")[1]["spare"] == []


def test_what_dead_writers_left_goes(cli: Cli, published: Path, candidates: list[Candidate]) -> None:
    """What a writer that died has staged, and what stands beside nothing, is listed whatever is kept, and deleted."""
    left = [f"artifacts/{'0' * 64}.sig", f"artifacts/.{'1' * 64}.provenance.json.{'2' * 16}.tmp", ".artifact.pointer"]
    (published / "artifacts" / ".staging" / "folder").mkdir(parents=True)
    (published / "artifacts" / ".staging" / "model.onnx").write_bytes(b"half")
    for name in left[:2]:
        (published / name).write_bytes(b"half")
    (published / left[2]).symlink_to(f"artifacts/{hexadecimal(candidates[0])}")
    _, said = cli("gc", "--yes")
    gone = [each for each in said["spare"] if not each["kept"]]
    assert {each["path"] for each in gone} == {"artifacts/.staging", *left}
    assert said["bytes"] == 12
    assert scraps(published) == []
    assert names(candidates[2::-1]) == [each["digest"] for each in said["spare"] if each["kept"]]


def test_as_many_stay_as_a_publication_keeps() -> None:
    """Unless another number is given, the verb keeps as many artifacts as the store does by itself."""
    assert {each.name: each.default for each in app.commands["gc"].params}["keep"] == store.KEEP


def test_no_store_is_no_garbage(cli: Cli, tmp_path: Path) -> None:
    """Where there is no store there is nothing to delete, and none is made."""
    before = tree(tmp_path)
    assert cli("gc", "--artifact", "other/artifact", "--yes") == (0, {"spare": [], "bytes": 0, "deleted": True})
    assert tree(tmp_path) == before


def test_a_busy_store_is_left_alone(
    published: Path, candidates: list[Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process changes the store nothing is listed or deleted: what it has staged is not garbage."""
    monkeypatch.setattr(store, "PATIENCE", 0.05)
    before = tree(published)
    with (published / "artifacts" / ".lock").open("rb") as lock:
        assert try_lock(lock.fileno())
        with pytest.raises(StorageError, match="is busy"):
            Store(published / "artifact").collect(keep=0, delete=True)
    assert tree(published) == before


def test_a_pointer_leads_to_a_whole_artifact_while_others_delete(published: Path, candidate: Candidate) -> None:
    """While everything that can be deleted is deleted over and over, what is published is there, whole, each time."""
    done = threading.Event()
    failures: list[Exception] = []

    def delete() -> None:
        try:
            while not done.is_set():
                Store(published / "artifact").collect(keep=0, delete=True)
        except StorageError as error:
            failures.append(error)

    thread = threading.Thread(target=delete)
    thread.start()
    try:
        for index in range(8):
            later = renamed(candidate, f"run-{index % 3}")
            publish(published, later)
            assert verify(published / "artifact").digest == later.digest
    finally:
        done.set()
        thread.join()
    assert failures == []
    assert scraps(published) == []


def test_people_read_what_goes_and_how(
    published: Path, candidates: list[Candidate], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line says whether it stays; the last one is the command that deletes, and then one that lists the rest."""
    monkeypatch.chdir(published)
    capsys.readouterr()
    assert main(["gc", "--keep", "2"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out[1:4]] == [hexadecimal(each)[:12] for each in candidates[2::-1]]
    assert [line.split(maxsplit=2)[2] for line in out[1:4]] == [*["stays, one of the latest"] * 2, "can be deleted"]
    assert out[4].startswith("can be deleted: 1 of 3, ")
    assert out[5] == "next: artifact-pipeline gc --keep 2 --yes"
    assert main(["gc", "--keep", "2", "--yes"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "next: artifact-pipeline runs"
