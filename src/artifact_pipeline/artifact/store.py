"""The store: immutable folders named by their digest, and the pointer that leads to the one in charge.

    artifact -> artifacts/<hex>      the pointer, a relative symbolic link (a one-line file where links cannot be)
    artifacts/<hex>/                 an artifact
    artifacts/<hex>.provenance.json  what is said about it; `<hex>.sig` beside it is its signature
    artifacts/.lock                  held while the store changes
    artifacts/.staging/              an artifact that is being written; stale whenever the lock is free

Every change is staged, forced to the disk and renamed, so a reader that resolves the pointer once sees one whole
artifact, the old or the new, whatever happens to the writer.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.artifact import provenance, store_folders
from artifact_pipeline.artifact.manifest import parse_manifest
from artifact_pipeline.artifact.parts import MAX_MANIFEST_BYTES, NAME
from artifact_pipeline.artifact.pointer import HEX, STORE, follow, target_of
from artifact_pipeline.canonical import PREFIX, digest
from artifact_pipeline.errors import ArtifactRejected, StorageError
from artifact_pipeline.files import (
    mkdir_command,
    read_bounded,
    reason_of,
    storage_error,
    sync_folder,
    try_lock,
    write_atomic,
    write_new,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.artifact.provenance import Comparison, Statement

KEEP = 10
"""How many artifacts the store keeps beside those that a pointer leads to."""
PATIENCE = 60.0
"""Seconds to wait for another process that is changing the store; a change takes milliseconds."""


@dataclass(frozen=True, slots=True)
class Run:
    """One artifact of the store, as `runs` lists it; not verified.

    Attributes:
        digest: the artifact digest.
        manifest: None where it cannot be read.
        current: whether the pointer leads here.
        statement: its provenance; None where there is none that can be read.
    """

    digest: str
    manifest: Manifest | None
    current: bool
    statement: Statement | None = None

    @property
    def passed(self) -> bool:
        """Whether the model passed its gate, and its comparison with the champion if there was one."""
        gate = self.manifest.gate if self.manifest else None
        accepted = self.comparison is None or self.comparison.accepted
        return gate is not None and gate.verdict == "passed" and accepted

    @property
    def comparison(self) -> Comparison | None:
        """How it compares with its champion, by its provenance."""
        return self.statement.internal.comparison if self.statement else None


class Store:
    """The store beside one pointer.

    Attributes:
        pointer: the path of the pointer.
        folder: the store, `artifacts/` beside it.
    """

    def __init__(self, pointer: Path) -> None:
        self.pointer = pointer
        self.folder = pointer.parent / STORE
        self._staged = pointer.parent / f".{pointer.name}.pointer"  # `.` and `/` have no name to be replaced

    def place(self, artifact_digest: str) -> Path:
        """Where an artifact stands in the store, or would stand."""
        return self.folder / artifact_digest.removeprefix(PREFIX)

    def folders(self) -> list[Path]:
        """The artifacts' folders, the latest training first; none where the store cannot be read."""
        try:
            return self._newest_first()
        except OSError:
            return []

    def _newest_first(self) -> list[Path]:
        """The artifacts' folders by the time of their publication: no clock is inside them."""
        found = []
        with suppress(FileNotFoundError):
            for path in self.folder.iterdir():
                with suppress(FileNotFoundError):  # another process removes the oldest ones meanwhile
                    if HEX.fullmatch(path.name) and path.is_dir():
                        found.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(found, reverse=True)]

    def runs(self) -> list[Run]:
        """List the artifacts, the latest training first.

        Raises:
            ArtifactRejected: the store cannot be read.
        """
        current = self._name_of(self.pointer)
        try:
            folders = self._newest_first()
        except OSError as error:
            raise ArtifactRejected(f"cannot read {self.folder}: {reason_of(error)}") from error
        found = []
        for folder in folders:
            try:
                manifest = parse_manifest(read_bounded(folder / NAME, MAX_MANIFEST_BYTES))
            except (OSError, ValueError, ArtifactRejected):
                manifest = None
            statement = provenance.Statement.read(folder)
            found.append(Run(PREFIX + folder.name, manifest, current=folder.name == current, statement=statement))
        return found

    def check(self) -> None:
        """Make sure that `publish` may write the pointer, before an expensive training.

        Raises:
            StorageError: something that is no pointer stands there, or its folder is missing or closed to us.
        """
        pointer = self.pointer
        try:
            if not (folder := pointer.parent).is_dir():
                raise StorageError(f"cannot write {pointer}: there is no folder {folder}", hint=mkdir_command(folder))
            pointer.lstat()
        except FileNotFoundError:
            return
        except OSError as error:  # its name is too long, or its folder may not be entered
            raise storage_error(pointer, error) from error
        if target_of(pointer) is None:
            raise StorageError(
                f"cannot write {pointer}: something stands there that is no pointer to an artifact",
                hint="move it away, or name another place with --artifact",
            )

    def publish(
        self,
        manifest: bytes,
        members: Mapping[str, bytes],
        *,
        in_charge: bool,
        export: tuple[Path, bytes] | None = None,
        statement: bytes | None = None,
    ) -> Path:
        """Put an artifact into the store, let the pointer lead to it, and write its export last.

        Args:
            manifest: the manifest's bytes; their digest names the folder.
            members: each listed file's bytes by name.
            in_charge: False keeps the artifact in the store and leaves pointer and export as they are.
            export: where the export is written, and its bytes; under the same lock, so that of two trainings at once
                the later one writes both.
            statement: the provenance, written beside the artifact before the pointer leads there; None leaves that of
                an earlier training of the same bytes.

        Returns:
            The artifact's folder.

        Raises:
            StorageError: the disk is full, the folder read-only, or the store busy; the pointer still leads to a whole
                artifact, the old or the new, or to nothing if there was none.
        """
        self.check()
        with self._locked(self.folder):
            name = digest(manifest).removeprefix(PREFIX)
            # Before anything is written: room is made while what stood before still stands.
            self._remove_oldest(coming=name)
            folder = self._stage({**members, NAME: manifest}, name)
            if statement is not None:
                write_atomic(provenance.place(folder), statement)
            if in_charge:
                self._write_pointer(name)
                if export is not None:
                    write_atomic(*export)
        return folder

    def adopt(self, folder: Path, files: Mapping[str, bytes], *, beside: Mapping[str, bytes], in_charge: bool) -> Path:
        """Move a verified folder into the store by one rename, and return its place there.

        Args:
            folder: on the store's file system, forced to the disk, named by its digest.
            files: its files, by name.
            beside: the files to write beside it, by the ends of their names.
            in_charge: whether the pointer leads to it then.

        Raises:
            StorageError: the disk is full, the folder read-only, or the store busy.
        """
        place = self.folder / folder.name
        with self._locked(self.folder):
            self._remove_oldest(coming=place.name)
            if not store_folders.holds(place, files):
                if place.exists():  # damaged
                    store_folders.remove(place)
                folder.rename(place)
            os.utime(place)
            sync_folder(self.folder)
            for suffix, data in beside.items():
                write_atomic(place.with_name(place.name + suffix), data)
            if in_charge:
                self._write_pointer(folder.name)
        return place

    def move_pointer(self, artifact_digest: str) -> None:
        """Let the pointer lead to an artifact that stands in the store; the caller has verified it.

        Raises:
            StorageError: the folder is read-only or full, or the store busy.
            ArtifactRejected: the store does not hold it, or no longer.
        """
        self.check()
        with self._locked(self.pointer):
            # Another process may have removed it, as the oldest one, since it was verified.
            if not self.place(artifact_digest).is_dir():
                raise ArtifactRejected(f"the store has no artifact {artifact_digest}")
            self._write_pointer(artifact_digest.removeprefix(PREFIX))

    def collect(self, *, keep: int, delete: bool) -> list[store_folders.Removable]:
        """Return what no pointer leads to: artifacts, the latest first, and what writers that died have left.

        The latest `keep` artifacts stay; with `delete` the others are removed, with the files beside them.

        Raises:
            StorageError: the folder is read-only, or the store busy.
        """
        if not self.folder.is_dir():
            return []
        with self._locked(self.folder):
            pointed = self._pointed_to()
            artifacts = [path for path in self._newest_first() if path.name not in pointed]
            found = store_folders.removable(self.folder, artifacts, keep=keep)
            if os.path.lexists(self._staged):
                found.append(store_folders.Removable(self._staged, 0, kept=False))
            if delete:
                store_folders.remove_artifacts(self.folder, artifacts[keep:])
                self._staged.unlink(missing_ok=True)
                sync_folder(self.folder)
        return found

    @contextmanager
    def _locked(self, changed: Path) -> Iterator[None]:
        """Hold the store's lock while `changed` is written; the system releases it when its holder dies.

        Raises:
            StorageError: the store is busy, or the system refuses a change inside.
        """
        try:
            self.folder.mkdir(exist_ok=True)
            descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                self._wait_for(descriptor)
                yield
            finally:
                os.close(descriptor)
        except OSError as error:
            raise storage_error(changed, error) from error

    def _wait_for(self, lock: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while not try_lock(lock):
            if time.monotonic() > deadline:
                raise StorageError(
                    f"{self.folder} is busy: another process has been changing it for {PATIENCE:.0f} seconds",
                    hint="look for a training that hangs, and end it",
                )
            time.sleep(0.02)

    def _stage(self, files: Mapping[str, bytes], name: str) -> Path:
        """Write a folder under another name and rename it, forced to the disk at each step."""
        staging, folder = self.folder / store_folders.STAGING, self.folder / name
        if store_folders.holds(folder, files):
            os.utime(folder)  # the same bytes again: the latest training, and nothing to write
            sync_folder(self.folder)  # its first writer may have died before it did
            return folder
        try:
            staging.mkdir()
            for member, data in files.items():
                write_new(staging / member, data)
            sync_folder(staging)
            if folder.exists():  # damaged: its bytes are not what its name promises
                store_folders.remove(folder)
            staging.rename(folder)
        except BaseException:
            store_folders.remove(staging, lenient=True)
            raise
        sync_folder(self.folder)
        return folder

    def _write_pointer(self, name: str) -> None:
        staged = self._staged
        staged.unlink(missing_ok=True)  # of a writer that died: the lock is ours
        try:
            staged.symlink_to(f"{STORE}/{name}")
        except OSError:  # a file system without links
            write_atomic(self.pointer, f"{STORE}/{name}\n".encode("ascii"))
            return
        try:
            staged.replace(self.pointer)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise
        sync_folder(self.pointer.parent)

    def _remove_oldest(self, *, coming: str) -> None:
        """Remove what a dead writer left, and the oldest artifacts so that with `coming` there are `KEEP`.

        One that a pointer leads to stays beside them.
        """
        pointed = self._pointed_to()
        old = [path for path in self._newest_first() if path.name != coming][KEEP - 1 :]
        store_folders.remove_artifacts(self.folder, [path for path in old if path.name not in pointed], coming=coming)

    def _pointed_to(self) -> set[str | None]:
        """The names of the artifacts that a pointer beside the store leads to."""
        return {self._name_of(path) for path in self.pointer.parent.iterdir() if path != self._staged}

    def _name_of(self, path: Path) -> str | None:
        """The name of this store's artifact that a path leads to through any links; None where it leads elsewhere."""
        if (target := target_of(path)) is not None:  # also where it is gone
            return target
        try:
            folder = follow(path).folder
            return folder.name if folder.parent == self.folder.resolve() and HEX.fullmatch(folder.name) else None
        except (ArtifactRejected, OSError, RuntimeError):
            return None
