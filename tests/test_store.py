"""The store and its pointer: what is published is found again, whole; what stood before still stands."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from artifact_pipeline.artifact import store
from artifact_pipeline.artifact.pointer import resolve
from artifact_pipeline.artifact.store import Store
from artifact_pipeline.config import load_config
from artifact_pipeline.errors import ArtifactRejected, GateFailed, StorageError
from artifact_pipeline.files import try_lock
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.publication import check_places, rollback
from artifact_pipeline.verification import export_state, verify
from tools import hexadecimal, publish, renamed, scraps

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.training.sealed import Candidate

CONFIG = Path(__file__).resolve().parents[1] / "config" / "config.json"


@pytest.fixture(scope="module")
def rejected() -> Candidate:
    """A candidate whose gate asks for more than the model reaches."""
    config = load_config(CONFIG, ["gate.min_accuracy=0.99"])
    return train(config, progress=lambda _: None)


@pytest.fixture
def other(candidate: Candidate) -> Candidate:
    """A second artifact, as whole as the first."""
    return renamed(candidate, "other")


@pytest.fixture
def later(candidate: Candidate) -> Candidate:
    """A second artifact of the same name."""
    return renamed(candidate, candidate.manifest.name)


def stored(root: Path) -> set[str]:
    """The names of the artifacts that stand in the store."""
    return {path.name for path in (root / "artifacts").iterdir()} - {".lock"}


def standing(path: Path) -> tuple[int, int, int, int, int]:
    """What changes if a path is replaced or written; the time of the last access is none of it, reading moves that."""
    found = path.lstat()
    return found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def age(root: Path, *candidates: Candidate) -> None:
    """Let the candidates have been published in this order, long ago: the system's clock ticks too slowly to tell."""
    for index, candidate in enumerate(candidates):
        os.utime(root / "artifacts" / hexadecimal(candidate), ns=(index, index))


def test_what_is_published_is_found(published: Path, candidate: Candidate) -> None:
    """The pointer is a relative link to the folder that the digest names, and what stands there verifies."""
    pointer = published / "artifact"
    assert os.readlink(pointer) == f"artifacts/{hexadecimal(candidate)}"  # noqa: PTH115 - the bytes of the link
    assert resolve(pointer) == published / "artifacts" / hexadecimal(candidate)
    verified = verify(pointer)
    assert verified.digest == candidate.digest
    assert verified.members == candidate.members
    assert export_state(verified.manifest, published / "model_train.pkl") == "matches"
    assert scraps(published) == []


def test_the_store_can_be_moved(
    published: Path, candidate: Candidate, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No path is written down: the folder that holds pointer and store verifies wherever it is moved."""
    moved = tmp_path_factory.mktemp("elsewhere") / "there"
    published.rename(moved)
    assert verify(moved / "artifact").digest == candidate.digest


def test_the_same_bytes_twice_are_one_folder(published: Path, candidate: Candidate) -> None:
    """Publishing the same artifact again adds nothing to the store, and rewrites no file of it."""
    before = {path: path.stat().st_ino for path in (published / "artifact").iterdir()}
    assert publish(published, candidate) == published / "artifacts" / hexadecimal(candidate)
    assert stored(published) == {hexadecimal(candidate)}
    assert {path: path.stat().st_ino for path in (published / "artifact").iterdir()} == before


def test_a_second_artifact_moves_the_pointer(published: Path, candidate: Candidate, other: Candidate) -> None:
    """The pointer leads to the later artifact, and the earlier one still stands and verifies."""
    publish(published, other)
    assert verify(published / "artifact").digest == other.digest
    assert verify(published / "artifacts" / hexadecimal(candidate)).digest == candidate.digest
    assert stored(published) == {hexadecimal(candidate), hexadecimal(other)}


def test_a_rejected_candidate_is_kept_and_not_in_charge(
    published: Path, candidate: Candidate, rejected: Candidate
) -> None:
    """A candidate whose gate fails stands in the store with its verdict; pointer and export are what they were."""
    before = standing(published / "artifact"), standing(published / "model_train.pkl")
    with pytest.raises(GateFailed) as caught:
        publish(published, rejected)
    assert caught.value.rules == {"gate-accuracy"}
    assert (standing(published / "artifact"), standing(published / "model_train.pkl")) == before
    assert verify(published / "artifact").digest == candidate.digest
    kept = verify(published / "artifacts" / hexadecimal(rejected), accept_failed_gate=True)
    assert kept.manifest.gate is not None
    assert kept.manifest.gate.verdict == "failed"


def test_a_first_candidate_that_is_rejected_leaves_no_pointer(tmp_path: Path, rejected: Candidate) -> None:
    """Where nothing stood before, a failed gate leaves neither pointer nor export."""
    with pytest.raises(GateFailed):
        publish(tmp_path, rejected)
    assert {path.name for path in tmp_path.iterdir()} == {"artifacts"}
    with pytest.raises(ArtifactRejected) as caught:
        verify(tmp_path / "artifact")
    assert caught.value.rules == {"artifact-missing"}


def flip(folder: Path) -> None:
    data = bytearray((folder / "model.onnx").read_bytes())
    data[100] ^= 1
    (folder / "model.onnx").write_bytes(data)


def link(folder: Path) -> None:
    (folder / "split.bin").rename(folder.parents[1] / "split.bin")
    (folder / "split.bin").symlink_to("../../split.bin")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a flipped bit": flip,
    "a missing file": lambda folder: (folder / "selftest.json").unlink(),
    "a file too many": lambda folder: (folder / "notes.txt").write_bytes(b""),
    "a longer file": lambda folder: (folder / "split.bin").write_bytes(bytes(1000)),
    "a link": link,
    "a folder in a file's place": lambda folder: ((folder / "split.bin").unlink(), (folder / "split.bin").mkdir()),
    "an empty folder": lambda folder: (shutil.rmtree(folder), folder.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_artifact_is_mended_by_its_own_bytes(
    published: Path, candidate: Candidate, damage: Callable[[Path], object]
) -> None:
    """A stored folder that is no longer what its name promises is refused, and whole after the next training."""
    damage(published / "artifacts" / hexadecimal(candidate))
    with pytest.raises(ArtifactRejected):
        verify(published / "artifact")
    publish(published, candidate)
    assert verify(published / "artifact").members == candidate.members


def test_a_pointer_may_be_a_file(published: Path, candidate: Candidate, other: Candidate) -> None:
    """A one-line file leads where the link of the same words leads, and the next publication may replace it."""
    pointer = published / "artifact"
    pointer.unlink()
    pointer.write_text(f"artifacts/{hexadecimal(candidate)}\n")
    assert verify(pointer).digest == candidate.digest
    assert [run.current for run in Store(pointer).runs()] == [True]
    publish(published, other)
    assert verify(pointer).digest == other.digest


FOREIGN: dict[str, Callable[[Path], object]] = {
    "a folder": lambda place: (place.mkdir(), (place / "precious").write_bytes(b"data")),
    "a file": lambda place: place.write_bytes(b"precious"),
    "a long file": lambda place: place.write_bytes(bytes(1000)),
    "an empty file": lambda place: place.touch(),
    "a link elsewhere": lambda place: place.symlink_to("precious"),
    "a link out of the store": lambda place: place.symlink_to(f"../artifacts/{'0' * 64}"),
    "a link into an artifact": lambda place: place.symlink_to(f"artifacts/{'0' * 64}/model.onnx"),
}


@pytest.mark.parametrize("put", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_pointer_is_never_replaced(
    tmp_path: Path, candidate: Candidate, put: Callable[[Path], object]
) -> None:
    """A place that holds anything but a pointer is refused before a training and before a publication, untouched."""
    put(tmp_path / "artifact")
    before = standing(tmp_path / "artifact")
    with pytest.raises(StorageError, match="no pointer to an artifact") as caught:
        check_places(tmp_path / "artifact", tmp_path / "model_train.pkl")
    assert caught.value.hint == "move it away, or name another place with --artifact"
    with pytest.raises(StorageError, match="no pointer to an artifact"):
        publish(tmp_path, candidate)
    assert standing(tmp_path / "artifact") == before
    assert {path.name for path in tmp_path.iterdir()} == {"artifact"}


@pytest.mark.parametrize("name", ["missing/artifact", "file/artifact", "a" * 300])
def test_a_place_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    """A folder that is missing or is none, and a name that is too long, are refused before a training."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write "):
        check_places(tmp_path / name, tmp_path / "model_train.pkl")
    with pytest.raises(ArtifactRejected) as caught:
        verify(tmp_path / name)
    assert caught.value.rules == {"artifact-missing"}


def test_a_store_that_is_a_file_is_refused(tmp_path: Path, candidate: Candidate) -> None:
    """Where `artifacts` is a file, nothing is published, and `runs` says that it cannot be read."""
    (tmp_path / "artifacts").write_bytes(b"precious")
    with pytest.raises(StorageError, match="artifacts: file exists"):
        publish(tmp_path, candidate)
    with pytest.raises(ArtifactRejected, match=r"cannot read .*artifacts: not a directory"):
        Store(tmp_path / "artifact").runs()
    assert {path.name for path in tmp_path.iterdir()} == {"artifacts"}


def test_a_busy_store_is_refused_when_patience_ends(
    published: Path, candidate: Candidate, other: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publication and a rollback that another process keeps waiting end as StorageError, and change nothing."""
    monkeypatch.setattr(store, "PATIENCE", 0.05)
    with (published / "artifacts" / ".lock").open("rb") as lock:
        assert try_lock(lock.fileno())
        with pytest.raises(StorageError, match="is busy"):
            publish(published, other)
        with pytest.raises(StorageError, match="is busy"):
            Store(published / "artifact").move_pointer(candidate.digest)
    assert stored(published) == {hexadecimal(candidate)}
    assert verify(published / "artifact").digest == candidate.digest
    publish(published, other)
    assert verify(published / "artifact").digest == other.digest


def test_what_a_dead_writer_left_is_removed(published: Path, other: Candidate) -> None:
    """A staging folder, a staged pointer and a staged export of a writer that died are gone after a publication."""
    (published / "artifacts" / ".staging" / "folder").mkdir(parents=True)
    (published / "artifacts" / ".staging" / "model.onnx").write_bytes(b"half")
    (published / ".artifact.pointer").symlink_to("nowhere")
    (published / f".model_train.pkl.{'0' * 16}.tmp").write_bytes(b"half")
    assert len(scraps(published)) == 3
    publish(published, other)
    assert scraps(published) == []
    assert verify(published / "artifact").digest == other.digest


def test_the_newest_are_kept_and_whatever_a_pointer_leads_to(published: Path, candidate: Candidate) -> None:
    """The store keeps the newest `KEEP`, and besides them every artifact that a pointer beside it leads to."""
    pinned, filed, linked, old = (renamed(candidate, name) for name in ("pinned", "filed", "linked", "old"))
    (published / "production").symlink_to(f"artifacts/{hexadecimal(pinned)}")
    (published / "staging").write_text(f"artifacts/{hexadecimal(filed)}\n")
    (published / "absolute").symlink_to(published / "artifacts" / hexadecimal(linked))
    (published / "chain").symlink_to("absolute")
    os.utime(published / "artifacts" / hexadecimal(candidate), ns=(0, 0))
    newest = [renamed(candidate, f"run-{index}") for index in range(store.KEEP)]
    for index, each in enumerate((pinned, filed, linked, old, *newest), start=1):
        publish(published, each)
        os.utime(published / "artifacts" / hexadecimal(each), ns=(index, index))
    assert stored(published) == {hexadecimal(each) for each in (pinned, filed, linked, *newest)}
    assert verify(published / "production").digest == pinned.digest
    assert verify(published / "staging").digest == filed.digest
    assert verify(published / "artifact").digest == newest[-1].digest


def test_a_clock_that_was_set_back_costs_nothing(published: Path, candidate: Candidate, rejected: Candidate) -> None:
    """The candidate that was just written is kept even where every other artifact is dated later."""
    for index in range(store.KEEP):
        publish(published, renamed(candidate, f"run-{index}"))
    for name in stored(published):
        os.utime(published / "artifacts" / name, (1e10, 1e10))
    with pytest.raises(GateFailed):
        publish(published, rejected)
    assert hexadecimal(rejected) in stored(published)


def test_runs_are_listed_newest_first(
    published: Path, candidate: Candidate, other: Candidate, rejected: Candidate
) -> None:
    """Each run tells its digest, whether it passed and whether it is in charge; a broken one is listed, unreadable."""
    publish(published, other)
    with pytest.raises(GateFailed):
        publish(published, rejected)
    broken = published / "artifacts" / ("0" * 64)
    broken.mkdir()
    (broken / "manifest.json").write_bytes(b"{}")
    (published / "artifacts" / "notes").mkdir()
    age(published, candidate, other, rejected)
    os.utime(broken, ns=(10, 10))
    assert [(run.digest, run.passed, run.current, run.manifest) for run in Store(published / "artifact").runs()] == [
        (f"sha256:{'0' * 64}", False, False, None),
        (rejected.digest, False, False, rejected.manifest),
        (other.digest, True, True, other.manifest),
        (candidate.digest, True, False, candidate.manifest),
    ]


def test_the_run_in_charge_is_known_by_any_link(published: Path, candidate: Candidate, other: Candidate) -> None:
    """A pointer that a person made by hand, an absolute link, marks the run that it leads to; none is written over."""
    publish(published, other)
    (published / "artifact").unlink()
    (published / "artifact").symlink_to(published / "artifacts" / hexadecimal(candidate))
    current = [run.digest for run in Store(published / "artifact").runs() if run.current]
    assert current == [candidate.digest]
    with pytest.raises(StorageError, match="no pointer"):
        publish(published, other)


def test_a_training_again_is_the_newest_run(published: Path, candidate: Candidate, other: Candidate) -> None:
    """The same artifact published again is the latest run, although no byte of it was written."""
    publish(published, other)
    age(published, candidate, other)
    publish(published, candidate)
    assert [run.digest for run in Store(published / "artifact").runs()] == [candidate.digest, other.digest]


def test_no_store_has_no_runs(tmp_path: Path) -> None:
    """Before the first training the list is empty."""
    assert Store(tmp_path / "artifact").runs() == []


def test_rollback_goes_to_the_one_that_passed_before(
    published: Path, candidate: Candidate, later: Candidate, rejected: Candidate
) -> None:
    """Rollback leads to the latest one before that in charge whose gate passed, and is refused where there is none."""
    with pytest.raises(GateFailed):
        publish(published, rejected)
    publish(published, later)
    age(published, candidate, rejected, later)
    assert rollback(published / "artifact").digest == candidate.digest
    assert verify(published / "artifact").digest == candidate.digest
    assert scraps(published) == []
    with pytest.raises(ArtifactRejected, match="no earlier artifact of this name whose gate passed"):
        rollback(published / "artifact")
    assert verify(published / "artifact").digest == candidate.digest


def test_rollback_stays_with_the_name_of_the_model(
    published: Path, candidate: Candidate, other: Candidate, later: Candidate
) -> None:
    """In a store of several models, rollback passes over those of another name, unless a digest names one."""
    publish(published, other)
    publish(published, later)
    age(published, candidate, other, later)
    assert rollback(published / "artifact").digest == candidate.digest
    assert rollback(published / "artifact", to=other.digest).digest == other.digest
    with pytest.raises(ArtifactRejected, match="no earlier artifact of this name"):
        rollback(published / "artifact")


def test_rollback_to_a_failed_gate_says_so(published: Path, candidate: Candidate, rejected: Candidate) -> None:
    """An artifact that is whole and failed its gate is refused for that, with its figures; the pointer stays."""
    with pytest.raises(GateFailed):
        publish(published, rejected)
    with pytest.raises(ArtifactRejected) as caught:
        rollback(published / "artifact", to=rejected.digest)
    assert caught.value.message == f"{rejected.digest} did not pass its gate, and rollback puts nothing else in charge"
    assert [str(problem) for problem in caught.value.problems] == [
        "manifest.json: the gate failed: accuracy 0.975 is below 0.99"
    ]
    assert verify(published / "artifact").digest == candidate.digest
    with pytest.raises(ArtifactRejected, match="is whole, and did not pass its gate") as caught:
        verify(published / "artifacts" / hexadecimal(rejected))
    assert "--accept-failed-gate" in caught.value.hint
    (published / "artifacts" / hexadecimal(rejected) / "model.onnx").write_bytes(b"")
    with pytest.raises(ArtifactRejected, match="is not what it claims to be"):
        rollback(published / "artifact", to=rejected.digest)


def test_rollback_goes_to_a_digest(published: Path, candidate: Candidate, other: Candidate) -> None:
    """A whole digest, its hexadecimal part and its first digits each name the artifact to go to."""
    publish(published, other)
    for to in (candidate.digest, hexadecimal(other), candidate.digest[:15], hexadecimal(other)[:8]):
        chosen = other if to in other.digest else candidate
        assert rollback(published / "artifact", to=to).digest == chosen.digest
        assert verify(published / "artifact").digest == chosen.digest


def test_rollback_refuses_what_is_not_one_artifact(published: Path, candidate: Candidate, other: Candidate) -> None:
    """A prefix of two artifacts, or of none, is refused, and the pointer stays."""
    publish(published, other)
    twin = hexadecimal(candidate)[:10] + "0" * 54
    shutil.copytree(published / "artifacts" / hexadecimal(candidate), published / "artifacts" / twin)
    with pytest.raises(ArtifactRejected, match="2 artifacts whose digest begins with"):
        rollback(published / "artifact", to=twin[:10])
    with pytest.raises(ArtifactRejected, match="no artifacts whose digest begins with sha256:xyz"):
        rollback(published / "artifact", to="sha256:xyz")
    for empty in ("", "sha256:"):
        with pytest.raises(ArtifactRejected, match="no artifacts whose digest begins with"):
            rollback(published / "artifact", to=empty)
    assert verify(published / "artifact").digest == other.digest


def test_rollback_refuses_what_is_tampered_with(published: Path, candidate: Candidate, later: Candidate) -> None:
    """An artifact that no longer verifies is refused by name, and the pointer stays."""
    publish(published, later)
    age(published, candidate, later)
    flip(published / "artifacts" / hexadecimal(candidate))
    with pytest.raises(ArtifactRejected) as caught:
        rollback(published / "artifact")
    assert caught.value.rules == {"file-digest"}
    assert verify(published / "artifact").digest == later.digest


def test_rollback_refuses_a_failed_gate(published: Path, candidate: Candidate, rejected: Candidate) -> None:
    """An artifact whose gate failed is put in charge by no rollback."""
    with pytest.raises(GateFailed):
        publish(published, rejected)
    with pytest.raises(ArtifactRejected) as caught:
        rollback(published / "artifact", to=rejected.digest)
    assert caught.value.rules == {"gate-failed"}
    assert verify(published / "artifact").digest == candidate.digest


def test_a_pointer_never_leads_to_what_was_removed_meanwhile(published: Path, candidate: Candidate) -> None:
    """An artifact that is gone when the pointer should move to it is refused, and the pointer stays."""
    with pytest.raises(ArtifactRejected, match="the store has no artifact sha256:0000"):
        Store(published / "artifact").move_pointer(f"sha256:{'0' * 64}")
    assert verify(published / "artifact").digest == candidate.digest
