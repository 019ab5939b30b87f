"""Files: read within a bound, written whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_pipeline.errors import StorageError
from artifact_pipeline.files import read_bounded, staged, write_all, write_atomic, write_new

if TYPE_CHECKING:
    from collections.abc import Iterator

SRC = Path(__file__).resolve().parents[1] / "src"
KILLED = """
import os, signal, sys
from pathlib import Path
from artifact_pipeline.files import staged
with staged(Path(sys.argv[1])) as descriptor:
    os.write(descriptor, b"half of it")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder: Path) -> list[str]:
    """What a folder holds."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def small_files() -> Iterator[int]:
    """Let no file grow beyond 64 KiB: the system takes a part of a larger write and refuses the rest."""
    limit = 1 << 16
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@given(before=st.none() | st.binary(), data=st.binary())
def test_what_is_written_is_read_and_nothing_else_is_left(
    before: bytes | None, data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever stood there, write_atomic leaves one file with exactly the given bytes."""
    path = tmp_path_factory.mktemp("files") / "file"
    if before is not None:
        path.write_bytes(before)
    write_atomic(path, data)
    assert read_bounded(path, len(data)) == data
    assert names(path.parent) == ["file"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """write_atomic puts a file in a symbolic link's place and leaves the link's target alone."""
    (tmp_path / "target").write_bytes(b"precious")
    (tmp_path / "link").symlink_to("target")
    write_atomic(tmp_path / "link", b"new")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").read_bytes() == b"new"
    assert (tmp_path / "target").read_bytes() == b"precious"


def test_a_written_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    """write_atomic gives the mode that any other new file would get, not a temporary file's 0600."""
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "file", b"data")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_write_that_fails_midway_keeps_the_old_file(tmp_path: Path, small_files: int) -> None:
    """A file that can be written only in part is refused as StorageError, and the old one stands alone."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(StorageError, match="file too large") as caught:
        write_atomic(path, bytes(small_files + 1))
    assert caught.value.exit_status == 8
    assert caught.value.hint is not None
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_block_that_raises_keeps_the_old_file(tmp_path: Path) -> None:
    """A block that ends with an exception leaves the old file, and nothing beside it."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(TypeError, match="bytes-like"), staged(path) as descriptor:
        write_all(descriptor, "no bytes")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A folder in the file's place and a folder that is missing are each a StorageError that names the place."""
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "folder", tmp_path / "missing" / "file"):
        with pytest.raises(StorageError, match=f"cannot write {place}: "):
            write_atomic(place, b"data")
    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == []


def test_a_killed_writers_file_is_swept(tmp_path: Path) -> None:
    """What a writer that was killed left beside its file is gone after the next write, and the old bytes with it."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    child = [sys.executable, "-c", KILLED, path]
    killed = subprocess.run(child, env={**os.environ, "PYTHONPATH": str(SRC)}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(names(tmp_path)) == 2
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


def test_a_living_writers_file_is_not_swept(tmp_path: Path) -> None:
    """Two writers of one file at once both succeed, and the later one's bytes stand."""
    path = tmp_path / "file"
    with staged(path) as descriptor:
        os.write(descriptor, b"slow")
        write_atomic(path, b"quick")
        assert path.read_bytes() == b"quick"
    assert path.read_bytes() == b"slow"
    assert names(tmp_path) == ["file"]


def test_what_cannot_be_swept_is_in_nobodys_way(tmp_path: Path) -> None:
    """A folder, a dangling link or another file's scrap under a staged file's name stops no writer."""
    (tmp_path / f".file.{'0' * 16}.tmp").mkdir()
    (tmp_path / f".file.{'1' * 16}.tmp").symlink_to("nowhere")
    (tmp_path / f".other.{'2' * 16}.tmp").write_bytes(b"another's")
    before = set(names(tmp_path))
    write_atomic(tmp_path / "file", b"data")
    assert set(names(tmp_path)) == before | {"file"}


def test_a_name_with_wildcards_sweeps_only_its_own(tmp_path: Path) -> None:
    """A file named `*` is a file like any other: writing it removes nothing of its neighbours'."""
    (tmp_path / f".file.{'0' * 16}.tmp").write_bytes(b"a neighbour's")
    write_atomic(tmp_path / "*", b"data")
    assert len(names(tmp_path)) == 2


def test_write_new_refuses_what_exists(tmp_path: Path) -> None:
    """write_new writes no second time, not even through a dangling link."""
    (tmp_path / "link").symlink_to("target")
    write_new(tmp_path / "file", b"first")
    for name in ("file", "link"):
        with pytest.raises(FileExistsError):
            write_new(tmp_path / name, b"second")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert not (tmp_path / "target").exists()


def test_a_bound_is_exact(tmp_path: Path) -> None:
    """A file of just the bound is read, one of a byte more is refused."""
    (tmp_path / "file").write_bytes(bytes(1000))
    assert read_bounded(tmp_path / "file", 1000) == bytes(1000)
    with pytest.raises(ValueError, match=r"^larger than 999 bytes$"):
        read_bounded(tmp_path / "file", 999)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A FIFO, a folder and an endless device are refused at once, and no descriptor is left open."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "missing").symlink_to("nowhere")
    before = len(names(Path("/dev/fd")))
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        with pytest.raises(ValueError, match=r"^not a regular file$"):
            read_bounded(path, 1000)
    with pytest.raises(FileNotFoundError):
        read_bounded(tmp_path / "missing", 1000)
    assert len(names(Path("/dev/fd"))) == before
