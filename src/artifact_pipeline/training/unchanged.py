"""Whether there is anything to train: found without scikit-learn, SciPy and onnx.

The key holds all that decides the bytes of a training, and the provenance of an artifact keeps the key that it was made
from. With the same key, and with artifact and export as they were, a training would change nothing.

Where a config's file alone decides the recipe, its fingerprint stands beside the key: with the same one the recipe is
the same, and the config is not parsed, which would cost more than all the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from artifact_pipeline import __version__
from artifact_pipeline.artifact import provenance
from artifact_pipeline.artifact.environment import PACKAGES, libc
from artifact_pipeline.artifact.pointer import resolve
from artifact_pipeline.canonical import PREFIX, digest, dotted
from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.plugins import data_set
from artifact_pipeline.runtime import KERNEL_VARIABLE
from artifact_pipeline.verification import export_state, verify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.config import Config
    from artifact_pipeline.rows.matrix import Rows

_NONE = "none"
_COMPARISON = ("champion", "gate.margin", "gate.on_inconclusive")
"""The parts of the key that say what the model was compared with; they decide where it goes, not what it is."""
_PACKAGE = Path(__file__).parents[1]
_SOURCES = (".py", ".gz")
_PARSER = "pydantic"
"""What parses a config beside this package itself."""


@dataclass(frozen=True, slots=True)
class Look:
    """What has changed since the artifact in charge was made.

    Attributes:
        standing: that artifact, verified; None where a change was found before, or it does not verify.
        changes: the parts of the key that have changed.
        reason: what else asks for a training, in words; None where nothing does.
    """

    @dataclass(frozen=True, slots=True)
    class Change:
        """A part of the key that has changed; None where it was, or is, missing."""

        part: str
        old: str | None
        new: str | None

    standing: Verified | None = None
    changes: tuple[Change, ...] = ()
    reason: str | None = None

    @property
    def unchanged(self) -> bool:
        """Whether a training would change nothing."""
        return self.standing is not None and self.reason is None


def key_of(config: Config, rows: Rows | None, champion: Verified | None = None) -> dict[str, str]:
    """Return all that decides what a training gives and where it goes, part by part.

    Args:
        config: the resolved config.
        rows: the rows that it names; None for a built-in data set, whose digest is known.
        champion: the model that the candidate is compared with.
    """
    from artifact_pipeline.config import recipe

    key = {f"recipe.{name}": json.dumps(value) for name, value in dotted(recipe(config)).items()}
    key |= {f"packages.{name}": _version(name) for name in PACKAGES}
    key |= {"champion": champion.digest if champion else _NONE, "data": _data_digest(config, rows), **_platform()}
    if rows is not None and rows.split_by:
        key["split.columns"] = _split_digest(rows)
    if rows is not None and rows.feedback:
        key["feedback"] = " ".join(rows.digests()[-len(rows.feedback) :])
    if champion is not None:
        key |= {"gate.margin": json.dumps(config.gate.margin), "gate.on_inconclusive": config.gate.on_inconclusive}
    return key


def fingerprint_of(config: bytes, installed: Mapping[str, str | None] | None = None) -> str | None:
    """Return the digest of a config file's bytes and of its parser's version; None where that is not known."""
    parser = (_installed() if installed is None else installed).get(_PARSER)
    return digest(f"{_PARSER} {parser}\n".encode() + config) if parser else None


def look_by_fingerprint(artifact: Path, export: Path | None, config: bytes) -> Look | None:
    """Return what `look` returns for the config of a file, where that can be known without parsing it; None elsewhere.

    A built-in data set, no option that wins over the file and no champion are the caller's to see to; they are what
    the artifact in charge was trained with, where its provenance has a fingerprint.
    """
    try:
        statement = provenance.Statement.read(resolve(artifact))
    except ArtifactRejected:
        return None
    if statement is None or statement.internal.fingerprint is None:
        return None
    installed = _installed()
    if statement.internal.fingerprint != fingerprint_of(config, installed):
        return None
    # The recipe follows from the file by parser and source, and the digest of built-in data from both.
    key = statement.internal.key
    here = {"champion": _NONE, **{f"packages.{name}": installed.get(name) for name in PACKAGES}, **_platform()}
    return look(artifact, export, key) if key | here == key else None


def look(artifact: Path, export: Path | None, key: Mapping[str, str]) -> Look:
    """Compare the artifact in charge, and its export where one is asked for, with what `key_of` returned."""
    try:
        folder = resolve(artifact)
    except ArtifactRejected:
        return Look(reason="nothing is in charge yet")
    statement = provenance.Statement.read(folder)
    if statement is None:
        return Look(reason="the artifact in charge has no provenance that says what it was made from")
    changes = _changes(statement.internal.key, key, standing=statement.about)
    if changes:
        return Look(changes=changes)
    try:
        standing = verify(folder)
    except ArtifactRejected as error:
        return Look(reason=error.message)
    if export is None:
        return Look(standing)
    state = export_state(standing.manifest, export)
    return Look(standing, reason=None if state == "matches" else f"{export.name} {_STATES[state]}")


_STATES = {"missing": "is missing", "differs": "is not the one of the artifact in charge"}


def _changes(old: Mapping[str, str], new: Mapping[str, str], *, standing: str) -> tuple[Look.Change, ...]:
    # A model that is compared with itself would be identical, whatever it was compared with when it was trained.
    left_out = _COMPARISON if new.get("champion") == standing else ()
    parts = sorted({*old, *new} - set(left_out))
    return tuple(Look.Change(part, old.get(part), new.get(part)) for part in parts if old.get(part) != new.get(part))


def _data_digest(config: Config, rows: Rows | None) -> str:
    if rows is not None:
        return " ".join(rows.split.digests())
    assert isinstance(config.dataset, str)
    return data_set(config.dataset).digest


def _split_digest(rows: Rows) -> str:
    """The digest of the columns by which the rows are split: the data's digest does not hold what is not learned."""
    hashed = hashlib.sha256()
    for name, values in sorted(rows.split_by.items()):
        hashed.update(json.dumps([name, values.tolist()]).encode())
    return PREFIX + hashed.hexdigest()


def _platform() -> dict[str, str]:
    """Return the parts of the key that are neither of the config nor of other packages."""
    return {
        "kernel": os.environ.get(KERNEL_VARIABLE, _NONE),
        "libc": libc(),
        "packages.artifact-pipeline": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "source": source_digest(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _installed() -> dict[str, str | None]:
    """Return the versions of all packages by the names of their folders, such as `numpy-2.4.6.dist-info`.

    `importlib.metadata` finds them so, too, and then parses a file in each folder, which costs as much as verifying the
    artifact. The first place on the path counts; None stands for what is not as an installer leaves it.
    """
    found: dict[str, str | None] = {}
    for place in sys.path:
        here: dict[str, str | None] = {}
        try:
            names = os.listdir(place or ".")  # noqa: PTH208 - bare names
        except FileNotFoundError:
            continue
        except OSError:  # an archive, say
            return {}
        for name in names:
            stem, _, kind = name.rpartition(".")
            if kind in {"dist-info", "egg-info"}:
                package, _, number = stem.partition("-")
                package = package.lower().replace("_", "-")
                here[package] = number if kind == "dist-info" and package not in here else None
        found = here | found
    return found


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:  # the training will say that it is missing, and how to get it
        return _NONE


def source_digest() -> str:
    """The digest of this package's own code, and of the data sets that come with it."""
    hashed, root = hashlib.sha256(), str(_PACKAGE)
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(name for name in names if name.endswith(_SOURCES)):
            place = f"{folder}/{name}"
            with open(place, "rb") as file:  # noqa: PTH123 - a `Path` for each of so many costs as much as to hash it
                data = file.read()
            hashed.update(f"{place.removeprefix(root)}\0{len(data)}\0".encode())
            hashed.update(data)
    return PREFIX + hashed.hexdigest()
