"""Where a pulled artifact is kept: in a store, with its pointer, or as a folder of its own."""

from __future__ import annotations

import glob
import os
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class KeptInStore:
    """The store beside a pointer, and the pointer.

    Attributes:
        path: of the pointer.
    """

    path: Path

    def check(self) -> None:
        """See that the pointer can be written.

        Raises:
            StorageError: it cannot.
        """
        Store(self.path).check()

    def keep(self, verified: Verified, beside: Mapping[str, bytes]) -> tuple[Path, bool]:
        """Put an artifact into the store, and let the pointer lead to it if its gate passed.

        Args:
            verified: the artifact, in the folder that is taken in.
            beside: what stands beside it.

        Returns:
            Where it stands, and whether the pointer leads there.

        Raises:
            StorageError: the disk is full, the folder read-only, or the store busy.
        """
        gate = verified.manifest.gate
        passed = gate is not None and gate.verdict == "passed"
        folder = Store(self.path).adopt(verified.folder, _files(verified), beside=beside, in_charge=passed)
        return folder, passed


@dataclass(frozen=True, slots=True)
class KeptAsFolder:
    """A folder of its own, with no store and no pointer.

    Attributes:
        path: of the folder; what stands beside an artifact gets its name and an end.
    """

    path: Path

    def check(self) -> None:
        """See that the folder can be written.

        Raises:
            StorageError: something else stands there.
        """
        check_writable(self.path, folder=True)
        if not self.path.parent.is_dir():
            check_writable(self.path)  # names the folder that is missing
        if os.path.lexists(self.path) and (self.path.is_symlink() or not (self.path / NAME).is_file()):
            raise StorageError(
                f"cannot write {self.path}: something stands there that is no artifact", hint="name another folder"
            )

    def keep(self, verified: Verified, beside: Mapping[str, bytes]) -> tuple[Path, bool]:
        """Put an artifact in its place by one rename; as `KeptInStore.keep`, and no pointer leads there.

        Raises:
            StorageError: another artifact stands there, or another file beside it.
            OSError: as the system says.
        """
        stands = os.path.lexists(self.path)
        if stands and not holds(self.path, _files(verified)):
            raise StorageError(f"cannot write {self.path}: another artifact stands there", hint="name another folder")
        places = {self.path.with_name(self.path.name + suffix): data for suffix, data in beside.items()}
        for place in places:
            if not stands and os.path.lexists(place):
                raise StorageError(
                    f"cannot write {place}: something stands there that is not this artifact's", hint="move it away"
                )
        for place, data in places.items():
            write_atomic(place, data)
        if not stands:
            verified.folder.rename(self.path)
            sync_folder(self.path.parent)
        return self.path, False


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
