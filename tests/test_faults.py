"""A publication under faults: killed, failed, interrupted, disk full, read-only, two at once, read meanwhile.

Whatever happens, the pointer leads to a whole artifact, the old or the new (before the first publication: to nothing),
and the next publication succeeds and clears away what was left.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from artifact_pipeline.artifact import store
from artifact_pipeline.artifact.store import Store
from artifact_pipeline.verification import export_state, verify
from tools import hexadecimal, mount, mounted, publish, renamed, require_tool, scraps

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.training.sealed import Candidate

    Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.slow

PUBLISHER = Path(__file__).with_name("publisher.py")
CALLS = (
    "write writev pwrite64 pwritev pwritev2 sendfile copy_file_range truncate ftruncate fallocate fsync fdatasync sync "
    "syncfs sync_file_range open creat openat openat2 mknod mknodat link linkat symlink symlinkat mkdir mkdirat rename "
    "renameat renameat2 unlink unlinkat rmdir utime utimes utimensat futimesat chmod fchmod fchmodat chown fchown "
    "fchownat lchown setxattr lsetxattr fsetxattr"
)
"""Every system call that changes a file system; `open` and its kin only where they create."""
FAULTS = {"killed": "signal=KILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC", "interrupted": "signal=INT"}
REFUSAL = r"error: cannot write .*\nhint: free some space or name another place; .*\n"
SITUATIONS = ("the first", "another", "the same again", "a damaged one again")


@dataclass(frozen=True)
class World:
    """The two artifacts of these tests, and where the publisher finds the files of each.

    Attributes:
        old: what stands in charge before.
        new: what is published under a fault.
        folder: holds `old/` and `new/`, and the children's byte code.
    """

    old: Candidate
    new: Candidate
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """A child's environment: its system calls are the same in each run."""
        cached = str(self.folder / "bytecode")
        return {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPYCACHEPREFIX": cached, "PYTHONDONTWRITEBYTECODE": "1"}

    def command(self, root: Path, *names: str, times: int = 1) -> list[str | Path]:
        """The publisher's command line."""
        folders = [self.folder / name for name in names]
        return [sys.executable, PUBLISHER, root / "artifact", str(times), *folders]


@pytest.fixture(scope="module")
def world(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two artifacts, laid out for the publisher, whose byte code is compiled."""
    world = World(renamed(candidate, "old"), candidate, tmp_path_factory.mktemp("world"))
    lay_out(world.folder / "old", world.old)
    lay_out(world.folder / "new", world.new)
    compiling = {key: value for key, value in world.environment.items() if key != "PYTHONDONTWRITEBYTECODE"}
    (world.folder / "first").mkdir()
    subprocess.run(world.command(world.folder / "first", "new"), env=compiling, check=True)
    return world


def lay_out(folder: Path, candidate: Candidate) -> None:
    """Write a candidate's files where the publisher reads them."""
    folder.mkdir()
    files = {**candidate.members, "manifest.json": candidate.manifest.canonical(), "model_train.pkl": candidate.export}
    for name, data in files.items():
        (folder / name).write_bytes(data)


def prepare(root: Path, situation: str, world: World) -> None:
    """Make `root` what it is before the publication that meets a fault."""
    root.mkdir()
    if situation == "the same again":
        publish(root, world.new)
    if situation == "another":  # so many that the oldest is removed
        for index in range(store.KEEP - 1):
            folder = publish(root, renamed(world.old, f"run-{index}"))
            os.utime(folder, ns=(index, index))
            for end in (".provenance.json", ".sig"):
                folder.with_name(folder.name + end).write_bytes(b"{}")
    if situation == "a damaged one again":
        (publish(root, world.new) / "split.bin").write_bytes(b"damaged")
    if situation in {"another", "a damaged one again"}:
        publish(root, world.old)


def check_standing(root: Path, situation: str, world: World) -> str | None:
    """Check what stands after a fault, before anything mends it.

    Returns:
        The digest of the artifact in charge, or None before the first publication.
    """
    if situation == "the first" and not os.path.lexists(root / "artifact"):
        return None
    for name in ("old", "run-1", "run-8") if situation == "another" else ():
        folder = root / "artifacts" / hexadecimal(world.old if name == "old" else renamed(world.old, name))
        assert verify(folder).folder == folder
    new = root / "artifacts" / hexadecimal(world.new)
    if new.exists() and situation != "a damaged one again":
        assert verify(new).digest == world.new.digest
    found = verify(root / "artifact").digest
    assert found in {world.old.digest, world.new.digest}
    assert found == world.new.digest or situation in {"another", "a damaged one again"}
    export = root / "model_train.pkl"  # written after the pointer, so that a first one may be missing
    assert export.read_bytes() in {world.old.export, world.new.export} if export.exists() else situation == "the first"
    return found


def check_mended(root: Path, world: World) -> None:
    """Check that the next publication succeeds and leaves nothing but what belongs there."""
    publish(root, world.new)
    verified = verify(root / "artifact")
    assert verified.digest == world.new.digest
    assert export_state(verified.manifest, root / "model_train.pkl") == "matches"
    assert scraps(root) == []


def strace(world: World, root: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Publish `new` under strace: the finished process, and each traced call as a line."""
    log = root.with_suffix(".strace")
    tracer = [require_tool("strace"), "-f", "-qq", "-e", "signal=none", "-o", log, *options]
    done = subprocess.run(
        [*tracer, *world.command(root, "new")], env=world.environment, capture_output=True, text=True, check=False
    )
    return done, log.read_text().splitlines()


def moments(world: World, root: Path) -> list[tuple[str, int]]:
    """Publish once, and list each call that changed something: its name, and which one of that name it was."""
    done, lines = strace(world, root, "-e", "trace=?" + CALLS.replace(" ", ",?"))
    assert done.returncode == 0, done.stderr
    found, counts = [], Counter[str]()
    for line in lines:
        call = re.sub(r"^\d+ +", "", line).partition("(")[0]
        counts[call] += 1
        if not call.startswith("open") or "O_CREAT" in line:
            found.append((call, counts[call]))
    return found


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("fault", FAULTS)
def test_every_call_that_changes_a_file_may_fail(situation: str, fault: str, world: World, tmp_path: Path) -> None:
    """Killed, failed or interrupted at each such call, a publication loses nothing, and the next one succeeds."""
    prepare(tmp_path / "before", situation, world)
    shutil.copytree(tmp_path / "before", tmp_path / "counted", symlinks=True)

    def suffer(moment: tuple[str, int]) -> None:
        call, index = moment
        root = tmp_path / f"{call}-{index}"
        shutil.copytree(tmp_path / "before", root, symlinks=True)
        injection = f"inject={call}:{FAULTS[fault]}:when={index}"
        done, lines = strace(world, root, "-e", f"trace={call}", "-e", injection)
        hit = [line for line in lines if not call.startswith("open") or "O_CREAT" in line]
        found = check_standing(root, situation, world)
        if fault == "killed":
            assert done.returncode == -9
            assert hit[-1].endswith("= ?")
        elif fault == "interrupted":
            assert done.returncode == 130
        else:
            assert [line for line in hit if line.endswith("(INJECTED)")]
            assert done.returncode in {0, 8}, done.stderr
            # What may fail without harm: a symbolic link (a file then takes its place), making a store that stands.
            assert done.returncode == 8 or (found == world.new.digest and call.startswith(("symlink", "mkdir")))
            assert done.returncode == 0 or re.fullmatch(REFUSAL, done.stderr)
            assert scraps(root) == [] or call in {"unlink", "unlinkat", "rmdir"}  # a removal that failed
        check_mended(root, world)
        shutil.rmtree(root)

    with ThreadPoolExecutor(2) as pool:
        running = {moment: pool.submit(suffer, moment) for moment in moments(world, tmp_path / "counted")}
    assert {moment: error for moment, each in running.items() if (error := each.exception())} == {}
    assert {"openat", "write", "fsync"} <= {call for call, _ in running} or situation == "the same again"


@pytest.mark.parametrize("situation", ["the first", "the same again"])
def test_the_disk_has_the_artifact_before_the_pointer_moves(situation: str, world: World, tmp_path: Path) -> None:
    """Every file and folder is forced to the disk before the rename that relies on it, against a loss of power."""
    root, name = tmp_path / "root", hexadecimal(world.new)
    prepare(root, situation, world)
    done, lines = strace(world, root, "-y", "-e", "trace=fsync,?rename,?renameat,?renameat2")
    assert done.returncode == 0, done.stderr
    told = []
    for line in lines:  # fsync(4</root/file>), or rename("/root/old", "/root/new")
        path = Path(re.findall(r'[<"](/[^>"]*)[>"]', line)[-1]).relative_to(root)
        told.append(("fsync " if "fsync(" in line else "rename ") + re.sub("[0-9a-f]{16}.tmp", "tmp", str(path)))
    staging, members = "artifacts/.staging", []
    if situation == "the first":
        members = sorted(f"fsync {staging}/{member}" for member in (*world.new.members, "manifest.json"))
        told[: len(members)] = sorted(told[: len(members)])  # in any order
        members += [f"fsync {staging}", f"rename artifacts/{name}"]
    said = f"artifacts/{name}.provenance.json"
    beside = [f"fsync artifacts/.{name}.provenance.json.tmp", f"rename {said}", "fsync artifacts"]
    pointed = ["fsync artifacts", *beside, "rename artifact", "fsync ."]
    assert told == [*members, *pointed, "fsync .model_train.pkl.tmp", "rename model_train.pkl", "fsync ."]


def test_a_file_system_without_links_gets_a_pointer_file(world: World, tmp_path: Path) -> None:
    """Where no symbolic link can be made, a one-line file leads to the artifact."""
    root = tmp_path / "root"
    prepare(root, "another", world)
    done, _ = strace(world, root, "-e", "trace=?symlink,?symlinkat", "-e", "inject=?symlink,?symlinkat:error=EPERM")
    assert done.returncode == 0, done.stderr
    assert not (root / "artifact").is_symlink()
    assert (root / "artifact").read_text() == f"artifacts/{hexadecimal(world.new)}\n"
    assert verify(root / "artifact").digest == world.new.digest
    check_mended(root, world)


def test_a_full_disk_loses_nothing(world: World, tmp_path: Path) -> None:
    """However little space is left, a publication that finds too little is refused, and the old artifact stands."""
    root, page, room = tmp_path / "small", os.sysconf("SC_PAGE_SIZE"), 0
    root.mkdir()
    with mounted(root, "-t", "tmpfs", "-o", "size=1m", "tmpfs"):
        publish(root, world.old)
        statuses = []
        while statuses[-1:] != [0]:
            disk = os.statvfs(root)
            used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
            mount("-o", f"remount,size={used + room * page}", root)
            command = world.command(root, "new")
            done = subprocess.run(command, env=world.environment, capture_output=True, text=True, check=False)
            statuses.append(done.returncode)
            if done.returncode:
                assert re.fullmatch(REFUSAL, done.stderr)
                assert "no space left on device" in done.stderr
                assert scraps(root) == []
                assert verify(root / "artifact").digest in {world.old.digest, world.new.digest}
            room += 1
        assert len(statuses) > 10
        assert set(statuses[:-1]) == {8}
        check_mended(root, world)


def test_a_read_only_folder_is_refused(world: World, checkout: Path, run: Run) -> None:
    """In a read-only folder a training ends with status 8 and a hint; what stands there still verifies."""
    for situation in ("the first", "another"):
        root = checkout / situation
        prepare(root, situation, world)
        with mounted(root, "--bind", root):
            mount("-o", "remount,bind,ro", root)
            done = run(*training(checkout, root)[1:])
            assert done.returncode == 8
            error, hint = done.stderr.splitlines()  # before anything is read
            assert error.startswith("error: cannot write ")
            assert error.endswith(" is read-only or closed to you")
            assert hint.startswith("hint: name another place")
            assert check_standing(root, situation, world) == (world.old.digest if situation == "another" else None)


def training(checkout: Path, root: Path, *, C: float = 1.0) -> list[str | Path]:
    """The command line of a training that publishes into `root`."""
    places = ["--artifact", root / "artifact", "--export", root / "model_train.pkl"]
    return [sys.executable, checkout / "src" / "train.py", *places, "-S", f"C={C}"]


def test_a_training_may_be_killed_at_any_moment(world: World, checkout: Path) -> None:
    """After each of 50 trainings killed at a random moment, what is in charge verifies, and the next one succeeds."""
    dice, killed, root = random.Random(8), 0, checkout / "killed"
    root.mkdir()
    for C in (2.0, 3.0):  # the second one finds the byte code of the first
        begun = time.monotonic()
        subprocess.run(training(checkout, root, C=C), capture_output=True, check=True)
        duration = time.monotonic() - begun
    for index in range(50):
        C, allowed = 1 + (index + 1) / 100, {1.0}
        if index % 5 == 0:  # a first training
            shutil.rmtree(root)
            root.mkdir()
            allowed = {None}
        process = subprocess.Popen(training(checkout, root, C=C), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=dice.uniform(0, duration))
        except subprocess.TimeoutExpired:
            process.kill()
            killed += process.wait() == -9
        else:
            assert process.returncode == 0
        stands = os.path.lexists(root / "artifact")
        found = verify(root / "artifact").manifest.recipe["C"] if stands else None
        assert found in {*allowed, C}
        check_mended(root, world)
    assert killed >= 10


def test_two_trainings_at_once_both_succeed(checkout: Path) -> None:
    """Two trainings into one folder both end well; pointer and export are of one of them, and both are kept."""
    root = checkout / "shared"
    root.mkdir()
    for pair in ((1.0, 1.0), (0.5, 2.0), (0.7, 0.7), (3.0, 0.5), (0.5, 3.0)):
        running = [
            subprocess.Popen(training(checkout, root, C=C), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for C in pair
        ]
        told = [process.communicate()[0] for process in running]
        assert [process.returncode for process in running] == [0, 0], told
        verified = verify(root / "artifact")
        assert verified.manifest.recipe["C"] in pair
        assert export_state(verified.manifest, root / "model_train.pkl") == "matches"
        assert scraps(root) == []
        kept = [run.manifest.recipe["C"] for run in Store(root / "artifact").runs() if run.manifest]
        assert sorted(set(pair)) == sorted(kept[: len(set(pair))])


def test_a_reader_never_sees_a_half(world: World, tmp_path: Path) -> None:
    """While a writer flips the pointer 200 times between two artifacts, every reading verifies as one of them."""
    publish(tmp_path, world.old)
    readings = []
    with subprocess.Popen(world.command(tmp_path, "new", "old", times=100), env=world.environment) as writer:
        while writer.poll() is None:
            readings.append(verify(tmp_path / "artifact").digest)
    assert writer.returncode == 0
    assert set(readings) == {world.old.digest, world.new.digest}


def test_runs_are_listed_while_the_oldest_are_removed(world: World, tmp_path: Path) -> None:
    """While a writer publishes more artifacts than are kept, every listing of the store succeeds."""
    names = [f"run-{index}" for index in range(store.KEEP + 2)]
    for name in names:  # so small that listing them, and not reading them, is what takes the time
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(name)
        (tmp_path / name / "model_train.pkl").touch()
    root = tmp_path / "root"
    root.mkdir()
    tiny = World(world.old, world.new, tmp_path)
    most = 0
    with subprocess.Popen(tiny.command(root, *names, times=20), env=world.environment) as writer:
        while writer.poll() is None:
            most = max(most, len(Store(root / "artifact").runs()))
    assert writer.returncode == 0
    assert most >= store.KEEP
