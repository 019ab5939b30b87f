"""The place of a pulled artifact: in a store, with its pointer, or a folder of its own."""

from __future__ import annotations

import glob
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.artifact.store import Store
from artifact_pipeline.artifact.store_folders import holds
from artifact_pipeline.errors import StorageError
from artifact_pipeline.files import check_writable, sync_folder, try_lock, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified


def check_place(path: Path, *, as_folder: bool) -> None:
    """Check that an artifact can be kept at `path`, a pointer or a folder of its own.

    Raises:
        StorageError: it cannot be written, or something else stands there.
    """
    if not as_folder:
        Store(path).check()
        return
    check_writable(path, folder=True)
    if not path.parent.is_dir():
        check_writable(path)  # names the folder that is missing
    if os.path.lexists(path) and (path.is_symlink() or not (path / NAME).is_file()):
        raise StorageError(
            f"cannot write {path}: something stands there that is no artifact", hint="name another folder"
        )


def keep_in_store(path: Path, verified: Verified, beside: Mapping[str, bytes]) -> tuple[Path, bool]:
    """Put an artifact into the store beside the pointer `path`, and let that lead to it if its gate passed.

    Returns:
        Where it stands, and whether the pointer leads there.

    Raises:
        StorageError: the disk is full, the folder read-only, or the store busy.
    """
    gate = verified.manifest.gate
    passed = gate is not None and gate.verdict == "passed"
    return Store(path).adopt(verified.folder, _files(verified), beside=beside, in_charge=passed), passed


def keep_as_folder(path: Path, verified: Verified, beside: Mapping[str, bytes]) -> Path:
    """Make an artifact the folder `path` by one rename; signatures and provenance get that name and an end.

    Raises:
        StorageError: another artifact stands there, or another file beside it.
        OSError: as the system says.
    """
    stands = os.path.lexists(path)
    if stands and not holds(path, _files(verified)):
        raise StorageError(f"cannot write {path}: another artifact stands there", hint="name another folder")
    places = {path.with_name(path.name + suffix): data for suffix, data in beside.items()}
    for place in places:
        if not stands and os.path.lexists(place):
            raise StorageError(
                f"cannot write {place}: something stands there that is not this artifact's", hint="move it away"
            )
    for place, data in places.items():
        write_atomic(place, data)
    if not stands:
        verified.folder.rename(path)
        sync_folder(path.parent)
    return path


def _files(verified: Verified) -> dict[str, bytes]:
    return {**verified.members, NAME: verified.manifest.canonical()}


@contextmanager
def staging(path: Path) -> Iterator[Path]:
    """A hidden folder beside `path`, gone afterwards; one that a dead process has left is removed, too.

    Raises:
        OSError: as the system says.
    """
    _sweep(path)
    folder = path.with_name(f".{path.name}.{os.urandom(8).hex()}.pull")
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # NFS locks no folder
            try_lock(descriptor)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _sweep(path: Path) -> None:
    for left in path.parent.glob(f".{glob.escape(path.name)}.????????????????.pull"):
        try:
            descriptor = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # gone meanwhile, or another user's
            continue
        try:
            with suppress(OSError):
                if try_lock(descriptor):
                    shutil.rmtree(left, ignore_errors=True)
        finally:
            os.close(descriptor)
