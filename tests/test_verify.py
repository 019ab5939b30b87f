"""Verification: what is accepted, what is read, and what is never waited for."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from artifact_pipeline.artifact.pointer import follow
from artifact_pipeline.canonical import digest
from artifact_pipeline.errors import ArtifactRejected, ConfigError
from artifact_pipeline.model.predictor import open_predictor
from artifact_pipeline.verification import MAX_ENTRIES, export_state, verify
from forging import FILES, MANIFEST, MEMBERS, reseal, unpack
from pickles import MALICIOUS
from tools import lay_out, renamed

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from artifact_pipeline.training.sealed import Candidate

    Run = Callable[..., subprocess.CompletedProcess[str]]

WATCHED = """
import json, os, sys
from pathlib import Path
from artifact_pipeline.verification import verify
from artifact_pipeline.errors import ArtifactRejected

folder, other, moment = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
opened = []

def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and watch.on:
        opened.append(arguments[0])
        if arguments[0] == moment:
            aside = folder.with_name("aside")
            folder.rename(aside)
            other.rename(folder)

watch.on = False
sys.addaudithook(watch)
verify(folder)  # whatever module it needs is loaded
watch.on = True
try:
    verified = verify(folder)
    told = {"digest": verified.digest, "model": verified.manifest.model.digest}
except ArtifactRejected as error:
    told = {"rules": sorted(error.rules)}
watch.on = False
print(json.dumps({**told, "opened": opened}))
"""
MODULES = """
import json, sys
before = set(sys.modules)  # what measures coverage, for one
from artifact_pipeline.cli import main
status = main(["verify", sys.argv[1], "--quiet"])
print(json.dumps({"status": status, "modules": sorted(set(sys.modules) - before)}))
"""


@pytest.fixture
def folder(candidate: Candidate, tmp_path: Path) -> Path:
    """An artifact outside of any store."""
    return unpack(candidate, tmp_path / "folder")


def rules(path: Path, **options: object) -> frozenset[str]:
    """The rules that `verify` names."""
    with pytest.raises(ArtifactRejected) as caught:
        verify(path, **options)
    assert caught.value.exit_status == 4
    return caught.value.rules


# What is accepted


def test_what_is_verified_is_what_was_published(published: Path, candidate: Candidate) -> None:
    """By the pointer, the digest, the manifest and every byte are those that the training gave."""
    verified = verify(published / "artifact")
    assert verified.digest == candidate.digest
    assert verified.manifest == candidate.manifest
    assert verified.members == candidate.members
    assert verified.folder == published / "artifacts" / candidate.digest.removeprefix("sha256:")
    assert verified.role("model") == candidate.members["model.onnx"]


def test_an_artifact_is_verified_by_pointer_by_folder_and_from_anywhere(
    published: Path, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pointer, its folder, a relative path, a link to either, a copy elsewhere: it is the same artifact."""
    stored = published / "artifacts" / candidate.digest.removeprefix("sha256:")
    shutil.copytree(stored, published / "copy")
    (published / "link").symlink_to(stored)
    (published / "written").write_text(f"artifacts/{stored.name}\n")
    monkeypatch.chdir(published / "artifacts")
    for path in ("artifact", stored, "copy", "link", "written", f"artifacts/{stored.name}/"):
        assert verify(published / path).digest == candidate.digest
    for path in ("../artifact", stored.name, "../copy"):
        assert verify(Path(path)).digest == candidate.digest


def test_a_name_in_the_store_is_a_promise_from_wherever_it_is_said(
    published: Path, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of the store that was resealed in place is refused by its name, by pointer, path or from inside."""
    stored = published / "artifacts" / candidate.digest.removeprefix("sha256:")
    reseal(stored, {"name": "other"})
    monkeypatch.chdir(published / "artifacts")
    for path in (published / "artifact", stored, Path("../artifact"), Path(stored.name)):
        assert rules(path) == {"store-name"}


def test_an_untouched_folder_is_verified_by_any_path(
    published: Path, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From inside of it, and by links of every spelling, an artifact that was not changed is accepted."""
    stored = published / "artifacts" / candidate.digest.removeprefix("sha256:")
    (published / "absolute").symlink_to(stored)
    (published / "around").symlink_to(f"artifacts/../artifacts/{stored.name}/.")
    (published / "chain").symlink_to("around")
    (published / "words").write_text(f"artifacts/{stored.name}\n")
    (published / "to words").symlink_to("words")
    for path in ("absolute", "around", "chain", "to words", f"artifacts/{stored.name}/../{stored.name}/."):
        assert verify(published / path).folder == stored
    monkeypatch.chdir(stored)
    for path in (".", "./", "../" + stored.name, "../../artifact", stored):
        assert verify(Path(path)).folder == stored


def test_a_folder_that_is_exchanged_for_a_link_is_not_read(folder: Path, tmp_path: Path) -> None:
    """Where a link takes the folder's place after it was found, nothing behind the link is read."""
    way = follow(folder)
    folder.rename(tmp_path / "aside")
    folder.symlink_to(tmp_path / "aside")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("artifact_pipeline.verification.follow", lambda _: way)
        assert rules(folder) == {"artifact-missing"}


def test_the_expected_digest_is_accepted(folder: Path, candidate: Candidate) -> None:
    """The digest that the training printed is what a consumer asks for, and finds."""
    assert verify(folder, expect=candidate.digest).digest == candidate.digest


def test_a_mount_of_kubernetes_is_an_artifact(candidate: Candidate, tmp_path: Path) -> None:
    """A ConfigMap's or a Secret's mount is verified by the folder that its ..data leads to, after an update too."""
    mount, other = tmp_path / "mount", renamed(candidate, "other")
    for each, name in ((candidate, "..2026_01_01_12_00_00.1"), (other, "..2026_01_01_12_01_00.2")):
        lay_out(mount, each, name)
        (tmp_path / "pointer").unlink(missing_ok=True)
        (tmp_path / "pointer").symlink_to("mount")
        for path in (mount, mount / "..data", tmp_path / "pointer"):
            verified = verify(path)
            assert (verified.digest, verified.folder) == (each.digest, mount.resolve() / name)


def test_a_mount_is_verified_whole(candidate: Candidate, tmp_path: Path) -> None:
    """What stands in a mount beside its files is no part of it, and what its inner folder holds is checked as ever."""
    mount = tmp_path / "mount"
    lay_out(mount, candidate, "..1")
    (mount / "beside").write_text("the mount's own")
    assert verify(mount).digest == candidate.digest
    (mount / "..1" / "model.onnx").unlink()
    (mount / "..1" / "model.onnx").symlink_to(mount / "..1" / "manifest.json")
    (mount / "..1" / "unlisted").write_text("x")
    with pytest.raises(ArtifactRejected) as caught:
        verify(mount)
    assert caught.value.rules == {"file-link", "file-unlisted"}


@pytest.mark.parametrize(
    ("links", "rules"),
    [
        ({"..data": "../elsewhere"}, {"file-link"}),
        ({"..data": "/elsewhere"}, {"file-link"}),
        ({"..data": ".."}, {"file-link"}),
        ({"..data": "plain"}, {"file-link"}),
        ({"..data": "..1/inner"}, {"file-link"}),
        ({"..data": "..data"}, {"file-link"}),
        ({"..data": "..gone"}, {"artifact-missing"}),
        ({"..data": "..2", "..2": "../elsewhere"}, {"file-link"}),
        ({"manifest.json": "../elsewhere/manifest.json"}, {"file-link"}),
        ({"manifest.json": "..1/manifest.json"}, {"file-link"}),
        ({"..data": None}, {"file-link"}),
    ],
)
def test_what_leads_out_of_a_mount_is_not_followed(
    candidate: Candidate, tmp_path: Path, links: dict[str, str | None], rules: set[str]
) -> None:
    """A folder is taken for a mount only where its links are those of Kubernetes; else a link is refused as ever."""
    mount = tmp_path / "mount"
    lay_out(mount, candidate, "..1")
    for place in (tmp_path / "elsewhere", mount / "plain", mount / "..1" / "inner"):
        unpack(candidate, place)
    for name, target in links.items():
        (mount / name).unlink(missing_ok=True)
        if target is not None:
            (mount / name).symlink_to(target)
    with pytest.raises(ArtifactRejected) as caught:
        verify(mount)
    assert caught.value.rules == rules


def test_a_hard_link_is_a_file_like_any_other(folder: Path, candidate: Candidate) -> None:
    """A file that has a second name is accepted: it is opened once, and only the bytes that were checked are used."""
    for name in FILES:
        os.link(folder / name, folder.parent / f"second name of {name}")
    assert verify(folder).digest == candidate.digest


def test_an_accepted_gate_is_said_by_whoever_uses_it(folder: Path) -> None:
    """A model that was never judged is refused, and verified where its missing gate is accepted."""
    reseal(folder, {"gate": None})
    assert rules(folder) == {"gate-missing"}
    assert verify(folder, accept_failed_gate=True).manifest.gate is None


# What is expected


@pytest.mark.parametrize(
    "expect",
    [
        "",
        "sha256:",
        "a" * 64,
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 64 + "\n",
        " sha256:" + "a" * 64,
        "sha512:" + "a" * 64,
        "sha256:" + "\u0661" * 64,
        "sha256:\x1b[31m" + "a" * 64,
    ],
)
def test_a_malformed_expectation_is_refused_before_anything_is_read(tmp_path: Path, expect: str) -> None:
    """What is no digest is an error of the command line, status 2, even where there is no artifact at all."""
    with pytest.raises(ConfigError, match="must be sha256: and 64 hexadecimal digits") as caught:
        verify(tmp_path / "nothing", expect=expect)
    assert caught.value.exit_status == 2
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 100_000, b'{\n  "format": 3\n}\n', b"null\n"])
def test_a_manifest_of_another_digest_is_not_parsed(folder: Path, candidate: Candidate, data: bytes) -> None:
    """Bytes that would break another rule when parsed break only the one that they are not expected."""
    (folder / MANIFEST).write_bytes(data)
    assert rules(folder) <= {"manifest-not-canonical", "manifest-format"}
    assert rules(folder, expect=candidate.digest) == {"digest-unexpected"}


def test_a_refusal_names_both_digests(folder: Path, candidate: Candidate) -> None:
    """A person who pinned a digest reads what was expected and what was found."""
    other = digest(b"")
    with pytest.raises(ArtifactRejected) as caught:
        verify(folder, expect=other)
    assert caught.value.problems[0].message == f"expected {other}, found {candidate.digest}"


def test_a_missing_manifest_is_one_problem(published: Path, candidate: Candidate) -> None:
    """Where there is no manifest, nothing is said of its digest."""
    stored = published / "artifacts" / candidate.digest.removeprefix("sha256:")
    (stored / MANIFEST).unlink()
    assert rules(published / "artifact", expect=digest(b"other")) == {"file-missing"}


# What is read


def test_each_file_is_opened_once_and_by_its_own_name(folder: Path, tmp_path: Path, run: Run) -> None:
    """Whatever a manifest says, only names found in the folder are opened, and each one time."""
    done = run("-c", WATCHED, folder, tmp_path, "never")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["opened"] == [str(folder), MANIFEST, *MEMBERS]


@pytest.mark.parametrize("moment", FILES)
def test_a_folder_exchanged_meanwhile_changes_nothing(
    folder: Path, tmp_path: Path, *, candidate: Candidate, run: Run, moment: str
) -> None:
    """If another artifact takes the folder's place while a file is opened, all bytes are still those of the first."""
    other = unpack(candidate, tmp_path / "other")
    reseal(other, {"name": "other"})
    done = run("-c", WATCHED, folder, other, moment)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["digest"], told["model"]) == (candidate.digest, candidate.manifest.model.digest)
    assert verify(folder).manifest.name == "other"


def test_nothing_stays_open(folder: Path) -> None:
    """After acceptance and after each kind of refusal, no descriptor is left behind."""
    before = len(list(Path("/dev/fd").iterdir()))
    verify(folder)
    for name, make in zip(MEMBERS, (os.mkfifo, os.mkdir, Path.touch, lambda path: path.symlink_to("x")), strict=True):
        (folder / name).unlink()
        make(folder / name)
        rules(folder)
    (folder / "model.onnx").unlink()
    rules(folder)
    (folder / MANIFEST).unlink()
    rules(folder)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_the_verb_needs_no_numpy_and_no_runtime(folder: Path, run: Run) -> None:
    """`artifact-pipeline verify` runs on the standard library, click and msgspec."""
    done = run("-c", MODULES, folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["status"] == 0
    heavy = {"numpy", "onnxruntime", "onnx", "sklearn", "scipy", "pandas", "pyarrow", "pydantic", "pickle", "rich"}
    assert not heavy & set(told["modules"])


def test_a_folder_of_many_entries_is_walked_up_to_a_bound(folder: Path) -> None:
    """256 entries are each named; with one more the folder is no artifact, and its names are not told."""
    for index in range(MAX_ENTRIES - len(FILES)):
        (folder / f"{index:03}").touch()
    with pytest.raises(ArtifactRejected) as caught:
        verify(folder)
    assert [problem.rule for problem in caught.value.problems] == ["file-unlisted"] * (MAX_ENTRIES - len(FILES))
    (folder / "one more").touch()
    assert rules(folder) == {"too-many-entries"}


def test_every_problem_is_named_in_one_go(folder: Path) -> None:
    """Two wrong files, one missing and one too many are four problems, in the order of their names."""
    (folder / "model.onnx").write_bytes(b"")
    (folder / "more").touch()
    (folder / "reference.json").unlink()
    (folder / "split.bin").write_bytes(bytes(225))
    with pytest.raises(ArtifactRejected) as caught:
        verify(folder)
    assert [(problem.place, problem.rule) for problem in caught.value.problems] == [
        ("model.onnx", "file-size"),
        ("'more'", "file-unlisted"),
        ("reference.json", "file-missing"),
        ("split.bin", "file-digest"),
    ]
    assert caught.value.message == f"{folder} is not what it claims to be: 4 problems"


@pytest.mark.parametrize("name", ["nothing", "x" * 5000, "a\0b", "file/artifact"])
def test_where_there_is_nothing_the_mend_is_said(tmp_path: Path, name: str) -> None:
    """A path that leads nowhere is status 4 and the hint to train first, whatever the system thinks of it."""
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactRejected) as caught:
        verify(tmp_path / name)
    assert caught.value.rules == {"artifact-missing"}
    assert caught.value.hint == "run artifact-pipeline train first"


# The export beside it


def test_an_export_is_known_by_its_digest_alone(published: Path, candidate: Candidate) -> None:
    """The export that the manifest binds matches; one byte more, and it does not; without it, it is missing."""
    export = published / "model_train.pkl"
    assert export_state(candidate.manifest, export) == "matches"
    export.write_bytes(export.read_bytes() + b".")
    assert export_state(candidate.manifest, export) == "differs"
    export.unlink()
    assert export_state(candidate.manifest, export) == "missing"


def test_an_export_that_is_no_file_differs(candidate: Candidate, tmp_path: Path) -> None:
    """A folder, a FIFO or a terabyte of holes in the export's place differs, and nothing waits or fills up."""
    for name, make in {"folder": os.mkdir, "fifo": os.mkfifo, "holes": Path.touch}.items():
        make(tmp_path / name)
    os.truncate(tmp_path / "holes", 1 << 40)
    assert {export_state(candidate.manifest, path) for path in tmp_path.iterdir()} == {"differs"}


@pytest.mark.parametrize("of", ["candidate", "candidate_1"])
def test_no_malicious_pickle_does_anything(request: pytest.FixtureRequest, tmp_path: Path, of: str) -> None:
    """As an export, as an extra file, and resealed in the place of each file, a pickle is bytes and no more."""
    candidate, canary = request.getfixturevalue(of), tmp_path / "canary"
    roles = {each.role for each in candidate.manifest.files}
    for index, build in enumerate(MALICIOUS.values()):
        folder, data = unpack(candidate, tmp_path / str(index) / "folder"), build(canary)
        (tmp_path / "model_train.pkl").write_bytes(data)
        assert export_state(candidate.manifest, tmp_path / "model_train.pkl") == "differs"
        (folder / "model.pkl").write_bytes(data)
        assert rules(folder) == {"file-unlisted"}
        (folder / "model.pkl").unlink()
        reseal(folder, **dict.fromkeys(roles, data))
        kinds = {rule.partition("-")[0] for rule in rules(folder)}
        assert kinds == roles - {"model"} | {"onnx"}
    assert not canary.exists()


def test_the_golden_artifact_of_format_1_verifies_for_ever() -> None:
    """What an earlier release has published is still verified, and still gives its golden answers here."""
    open_predictor(verify(Path(__file__).parent / "golden" / "v1"))
