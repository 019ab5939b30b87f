"""The results of a search while it runs: each is a line that is forced to the disk, so that a killed run goes on.

    artifacts/.search/<hex>.jsonl    named by the digest of all that decides a result

How many trials there are, their rounds and how one is chosen decide no single result: a search with more trials takes
up those that are there. The file is no proof, and none is made from its existence; `search.jsonl` in the artifact is
what is published, and a search that is forced reads nothing here.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from artifact_pipeline.artifact.trials import SearchResults
from artifact_pipeline.canonical import PREFIX, canonical_json, digest
from artifact_pipeline.errors import StorageError
from artifact_pipeline.files import storage_error, sync_folder, try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from artifact_pipeline.training.search.bench import TrialKey

FOLDER = ".search"
KEPT = 10
"""Files of other searches that stay."""
_NOT_OF_A_RESULT = (
    "champion",
    "gate.",
    "recipe.about.",
    "recipe.gate.",
    "recipe.name",
    "recipe.range_margin",
    *(f"recipe.search.{key}" for key in ("trials", "rounds", "select", "stop")),
)
"""The parts of a training's key that decide no result of a trial."""


@dataclass(frozen=True, slots=True)
class Records:
    """The file of one search, held by this process.

    Attributes:
        found: the results that it held when it was opened.
    """

    found: dict[TrialKey, SearchResults.Trial]
    _file: IO[bytes]
    _path: Path

    def append(self, trial: SearchResults.Trial) -> None:
        """Write a result, and force it to the disk.

        Raises:
            StorageError: the disk is full, say.
        """
        try:
            self._file.write(trial.line())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise storage_error(self._path, error) from error


@contextmanager
def records(store: Path, key: Mapping[str, str], *, resume: bool) -> Iterator[Records]:
    """Open the file of a search; a line that is torn, and what follows it, is dropped.

    Args:
        store: the folder of the store.
        key: `unchanged.key_of`.
        resume: False drops what stands there.

    Raises:
        StorageError: it cannot be written, or another process runs the same search.
    """
    kept = {part: value for part, value in key.items() if not part.startswith(_NOT_OF_A_RESULT)}
    path = store / FOLDER / f"{digest(canonical_json(kept)).removeprefix(PREFIX)}.jsonl"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise storage_error(path, error) from error
    with file:
        yield Records(_lock_and_read(path, file, resume=resume), file, path)


def _lock_and_read(path: Path, file: IO[bytes], *, resume: bool) -> dict[TrialKey, SearchResults.Trial]:
    """Lock an open file, and return the results in it; the rest of it is cut off."""
    try:
        if not try_lock(file.fileno()):
            message = f"{path} is busy: another training runs the same search"
            raise StorageError(message, hint="wait for it, or end it; what it has found is taken up")
        _remove_others(path)
        file.seek(0)
        found, good = _read(file.read() if resume else b"")
        file.truncate(good)
        sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error
    return found


def _read(data: bytes) -> tuple[dict[TrialKey, SearchResults.Trial], int]:
    """Return the results up to the first invalid line, and how many bytes they take."""
    found: dict[TrialKey, SearchResults.Trial] = {}
    good = 0
    for line in data.splitlines(keepends=True):
        try:
            trial = SearchResults.Trial.of_line(line)
        except (ValueError, RecursionError):
            break
        found[trial.trial, trial.rows] = trial
        good += len(line)
    return found, good


def _remove_others(own: Path) -> None:
    """Remove the files of other searches beyond the latest ones."""
    others = [path for path in own.parent.glob("*.jsonl") if path != own]
    for path in sorted(others, key=_modified, reverse=True)[KEPT:]:
        with suppress(OSError):  # gone meanwhile, or not ours to remove
            path.unlink()


def _modified(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0
