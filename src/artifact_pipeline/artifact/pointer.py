"""The way from a path to an artifact's folder, and the digests that names on it promise.

A store names each folder by its artifact digest. So `artifacts/<hex>` promises a digest wherever it stands on the way:
in the path that was given, in a link, in a one-line file, or as the real name of the folder that is read in the end.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from artifact_pipeline.artifact import provenance
from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.errors import ArtifactRejected, Problem
from artifact_pipeline.files import read_bounded, reason_of, shown
from artifact_pipeline.storage.outputs import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

STORE = "artifacts"
SIGNATURE = ".sig"
"""How the name of a signature ends."""
BESIDE = (provenance.SUFFIX, SIGNATURE, provenance.SUFFIX + SIGNATURE)
"""The ends of the names of provenance and signatures beside an artifact's folder."""
_DATA = "..data"
HINT_TRAIN = "run artifact-pipeline train first"
HEX = re.compile(r"[0-9a-f]{64}")
_TARGET = re.compile(rf"{STORE}/([0-9a-f]{{64}})")
_LINE = re.compile(rf"{STORE}/([0-9a-f]{{64}})\n?".encode("ascii"))
MAX_POINTER_BYTES = 128
"""Of a pointer that is a file of one line."""
_MAX_LINKS = 40
"""As many as Linux follows."""


class _Followed(NamedTuple):
    """Where a path leads.

    Attributes:
        folder: the real path of the folder, without a link in it.
        promised: the names on the way, in hexadecimal, that must be its manifest's digest; none outside of a store.
    """

    folder: Path
    promised: frozenset[str]


def follow(path: Path) -> _Followed:
    """Follow a path once, link by link, to the folder that it leads to.

    Raises:
        ArtifactRejected: nothing is there, or the links lead in a ring.
    """
    promised: set[str] = set()
    place = path
    try:
        for _ in range(_MAX_LINKS):
            given = place.absolute()
            real = _real(given)
            promised |= {each.name for each in (given, real) if is_stored(each)}
            target = _next(real)
            if target is None:
                real.lstat()
                return _Followed(real, frozenset(promised))
            place = real.parent / target
        message = "the links lead in a ring"
    except (FileNotFoundError, ValueError):  # ValueError: a name that holds a null
        message = "no such file or folder"
    except OSError as error:  # a name is too long, or a folder is closed to us
        message = reason_of(error)
    raise ArtifactRejected(
        "there is no artifact", problems=[Problem(str(path), "artifact-missing", message)], hint=HINT_TRAIN
    )


def resolve(path: Path) -> Path:
    """The real path of the folder that a pointer, or a folder's own path, leads to.

    Raises:
        ArtifactRejected: nothing is there.
    """
    return follow(path).folder


def is_fixed(path: Path) -> bool:
    """Whether a path leads to a folder without any link, and so always to the same one."""
    try:
        return resolve(path) == Path(os.path.normpath(path.absolute()))
    except ArtifactRejected:
        return False


def is_stored(folder: Path) -> bool:
    """Whether a folder stands in a store, where its name is a promise."""
    return folder.parent.name == STORE and HEX.fullmatch(folder.name) is not None


def artifact_places(artifact: Path | str, role: str = "the artifact") -> Iterator[Place]:
    """Yield what is read of an artifact: its pointer, its folder, and its provenance; nothing of a remote one.

    `artifact` is a pointer, or an artifact's folder; there may be none. `role` names it in a message.
    """
    if isinstance(artifact, str):
        return
    yield Place(role, str(artifact), "link")
    try:
        folder = resolve(artifact)
    except ArtifactRejected:  # there is none, as verifying says later
        return
    yield Place(role, shown(folder), "folder")
    yield Place("the provenance", str(provenance.place(folder)))


def target_of(pointer: Path) -> str | None:
    """The hexadecimal name that a pointer leads to; None where there is none that `publish` writes."""
    try:
        if pointer.is_symlink():
            target = _TARGET.fullmatch(str(pointer.readlink()))
            return target[1] if target else None
        return target_in(read_bounded(pointer, MAX_POINTER_BYTES)) if pointer.is_file() else None
    except (OSError, ValueError):
        return None


def target_in(data: bytes) -> str | None:
    """The hexadecimal name in the one line of a pointer's file; None where that is something else."""
    target = _LINE.fullmatch(data)
    return target[1].decode("ascii") if target else None


def _real(path: Path) -> Path:
    """The path with the links of all folders above it resolved; a link in the last place stays."""
    if path.name in {"", ".."}:
        return Path(os.path.realpath(path))
    return Path(os.path.realpath(path.parent), path.name)


def _next(path: Path) -> Path | str | None:
    """The target of a link, a one-line file or a mount of Kubernetes; None where the path is none of them."""
    if path.is_symlink():
        return path.readlink()
    target = target_of(path)
    if target is not None:
        return f"{STORE}/{target}"
    return f"{path.name}/{_DATA}" if _is_mount(path) else None


def _is_mount(folder: Path) -> bool:
    """Whether Kubernetes has laid out this folder, from a ConfigMap or a Secret.

    Then each file is a link into `..data`, and that a link to the folder beside it that holds the files; one rename of
    `..data` changes all of them at once. What leads out of the mount is not taken for it.
    """
    try:
        manifest, data = str((folder / NAME).readlink()), str((folder / _DATA).readlink())
    except OSError:
        return False
    inside = re.fullmatch(r"\.\.[^/]+", data) is not None and not (folder / data).is_symlink()
    return manifest == f"{_DATA}/{NAME}" and inside


def beside(folder: Path, suffix: str = SIGNATURE) -> Path:
    """The place of a file about an artifact's folder: beside it, under its name."""
    whole = folder.resolve()
    return whole.parent / f"{whole.name}{suffix}"
