"""The folders of a store: what one holds, what can be removed, and what a writer that died has left.

A caller that removes holds the store's lock: then nothing that is staged there belongs to a writer that lives.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from artifact_pipeline.artifact import provenance
from artifact_pipeline.files import read_bounded

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from pathlib import Path

STAGING = ".staging"
_BESIDE = re.compile(r"\.?([0-9a-f]{64})\.(?:provenance\.json|sig|provenance\.json\.sig)(?:\.[0-9a-f]{16}\.tmp)?")
"""Files beside an artifact, or being written there, that are removed with it; anything else is not ours."""
_STAGED = re.compile(rf"\.[0-9a-f]{{64}}{re.escape(provenance.SUFFIX)}\.[0-9a-f]{{16}}\.tmp")
"""Provenance that is being written, under the lock."""


class Removable(NamedTuple):
    """An artifact's folder that no pointer leads to, or what a writer that died has left.

    Attributes:
        size: the bytes of its files, and of the files beside an artifact.
        kept: whether it stays, as one of the latest artifacts.
    """

    path: Path
    size: int
    kept: bool


def holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Whether a folder holds just these files with just these bytes."""
    try:
        return {entry.name for entry in os.scandir(folder)} == set(files) and all(
            not (folder / name).is_symlink() and read_bounded(folder / name, len(data)) == data
            for name, data in files.items()
        )
    except (OSError, ValueError):
        return False


def remove(folder: Path, *, lenient: bool = False) -> None:
    """Remove a folder with all that is in it; `lenient` where there may be none."""
    import shutil  # only a writer needs it; a reader starts without it

    shutil.rmtree(folder, ignore_errors=lenient)


def remove_artifacts(store: Path, artifacts: Iterable[Path], *, coming: str = "") -> None:
    """Remove artifacts, the files beside them, and what a writer that died has left.

    `coming` is the name of an artifact that will be published next: files beside it stay.
    """
    staging = store / STAGING
    remove(staging, lenient=True)
    for folder in artifacts:
        folder.rename(staging)  # out of the way first: a reader finds the artifact whole or not at all
        remove(staging)
    for path in orphaned_files(store, there={coming}):
        path.unlink()


def orphaned_files(store: Path, *, there: Container[str] = ()) -> Iterator[Path]:
    """The files beside artifacts that are gone, and staged ones; artifacts named in `there` count as present."""
    for path in list(store.iterdir()):
        match = _BESIDE.fullmatch(path.name)
        if match is None or path.is_dir():
            continue
        if _STAGED.fullmatch(path.name) or not (match[1] in there or (store / match[1]).exists()):
            yield path


def removable(store: Path, artifacts: Iterable[Path], *, keep: int) -> list[Removable]:
    """Describe what can be removed: of the artifacts that no pointer leads to, the latest first, `keep` stay."""
    found = [
        Removable(folder, sum(map(_size, (folder, *store.glob(f"{folder.name}.*")))), place < keep)
        for place, folder in enumerate(artifacts)
    ]
    left = [path for path in (store / STAGING, *orphaned_files(store)) if os.path.lexists(path)]
    return found + [Removable(path, _size(path), kept=False) for path in left]


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else (path,)
    return sum(each.lstat().st_size for each in files if each.is_symlink() or not each.is_dir())
