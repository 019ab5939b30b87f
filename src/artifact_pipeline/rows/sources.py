"""Finds the files that the inputs of a command name, each with its format."""

from __future__ import annotations

import glob
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from artifact_pipeline import plugins
from artifact_pipeline.errors import ConfigError, DataRejected, Problem
from artifact_pipeline.rows.mends import format_hint
from artifact_pipeline.storage import places as storage
from artifact_pipeline.storage.opened import HINTS, unreadable
from artifact_pipeline.storage.outputs import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from artifact_pipeline.storage.outputs import Kind

STDIN = "-"
_INPUT = "the input"
_SUFFIXES = {
    ".csv": "csv",
    ".csv.gz": "csv.gz",
    ".csv.zst": "csv.zst",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".arrows": "arrow",
    ".npz": "npz",
    ".npy": "npy",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".jsonl.gz": "jsonl.gz",
    ".jsonl.zst": "jsonl.zst",
    ".png": "image",
    ".jpg": "image",
    ".jpeg": "image",
}
"""The format of each suffix, in lower case."""
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""Hive's name for a missing value in the name of a folder."""
_FORMATS = tuple(dict.fromkeys(_SUFFIXES.values()))


@dataclass(frozen=True, slots=True)
class Source:
    """One file of rows, or all pictures of a command, each of which is a row.

    Attributes:
        place: a path, a URL, or `-` for standard input.
        name: its name in receipts and predictions: relative to the input that was named, never absolute.
        format: one of `_FORMATS`, or the name of a data set that comes with the package.
        members: the place and the name of each picture.
        partitions: columns and values in the names of folders, as in `year=2024/part-0.parquet` of Hive and Spark.
    """

    place: str
    name: str
    format: str
    members: tuple[tuple[str, str], ...] = ()
    partitions: tuple[tuple[str, str], ...] = ()

    @property
    def built_in(self) -> bool:
        """Whether it is a data set that comes with the package."""
        return self.format in plugins.NAMES


def built_in_source(features: Sequence[str]) -> Source:
    """Return the data set that comes with the package and has these columns.

    Raises:
        DataRejected: there is none.
    """
    found = plugins.data_set_with(features)
    if found is None:
        problem = Problem("rows", "rows-missing", "no rows were named, and no built-in data set fits this model")
        hint = "name a file: artifact-pipeline predict FILE"
        raise DataRejected("there are no rows to predict", problems=[problem], hint=hint)
    return Source(found.name, found.name, found.name)


def format_of(name: str) -> str | None:
    """Return the format of a name, by its suffix; None if that is unknown."""
    lower = name.lower()
    return next((form for suffix, form in _SUFFIXES.items() if lower.endswith(suffix)), None)


def find_sources(inputs: Sequence[str], form: str | None = None) -> list[Source]:
    """List the files that the inputs name, in a stable order.

    Args:
        inputs: files, folders, glob patterns, URLs, or `-`.
        form: the format of all files; None takes it from each name.

    Raises:
        DataRejected: a file does not exist, or its format is unknown.
        ConfigError: standard input has no format or is named with files, or a file is named twice.
    """
    if STDIN in inputs and len(inputs) > 1:
        raise ConfigError("standard input cannot be read together with files", hint="name either - or files")
    found = [(place, name) for each in inputs for place, name in _expand(each)]
    places = [place if storage.is_url(place) or place == STDIN else os.path.realpath(place) for place, _ in found]
    twice = next((place for place, times in Counter(places).items() if times > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice} is named twice", hint="its rows would be answered twice; name it once")
    names = [name for _, name in found]
    if len(set(names)) < len(names):  # two folders with equal names of files: the folders' names are needed, too
        found = [(place, place.lstrip("/")) for place, _ in found]
    sources = [
        Source(place, readable(name), form or _format_or_refuse(place), partitions=_partitions(readable(name)))
        for place, name in found
    ]
    pictures = tuple((source.place, source.name) for source in sources if source.format == "image")
    tables = [source for source in sources if source.format != "image"]
    return [*([Source(pictures[0][0], "pictures", "image", pictures)] if pictures else []), *tables]


def _partitions(name: str) -> tuple[tuple[str, str], ...]:
    """Return the columns in the names of a file's folders, each with its value; a missing value is empty."""
    pairs = [folder.partition("=") for folder in name.split("/")[:-1] if "=" in folder]
    found = {unquote(column): unquote(value) for column, _, value in pairs if column}
    return tuple((column, "" if value == _NO_VALUE else value) for column, value in found.items())


def places_of(inputs: Sequence[str], sources: Sequence[Source], *, role: str = _INPUT) -> Iterator[Place]:
    """Yield the places that are read: the inputs, and the files that they name."""
    for each in inputs:
        if each == STDIN:
            yield Place(role, "standard input", "stream")
        elif storage.is_url(each):
            kind: Kind = "file" if format_of(each) is not None else "folder"
            yield Place(role, each, "pattern" if glob.has_magic(each) else kind)
        elif os.path.isdir(each):  # noqa: PTH112 - as in `_expand`
            yield Place(role, each, "folder")
        else:
            yield Place(role, each, "file" if os.path.lexists(each) or not glob.has_magic(each) else "pattern")
    for source in sources:
        if source.place != STDIN and not source.built_in:
            yield from (Place(role, place) for place, _ in source.members or ((source.place, ""),))


def _format_or_refuse(place: str) -> str:
    if place == STDIN:
        raise ConfigError("--from is needed for standard input", hint=f"--from takes {', '.join(_FORMATS)}")
    form = format_of(place)
    if form is None:
        problem = Problem(place, "unknown-suffix", f"its name must end with one of {', '.join(_SUFFIXES)}")
        raise DataRejected(
            "the rows cannot be read", problems=[problem], hint=format_hint(place, otherwise="or say it with --from")
        )
    return form


def _expand(named: str) -> Iterator[tuple[str, str]]:
    if named == STDIN:
        yield named, "standard input"
    elif storage.is_url(named):
        yield from _remote(named)
    elif os.path.isdir(named):  # noqa: PTH112 - a name that is too long is no folder, and no error yet
        yield from _folder(named)
    elif os.path.lexists(named) or not glob.has_magic(named):
        yield named, Path(named).name
    else:
        places = sorted(glob.glob(named, recursive=True))  # noqa: PTH207 - absolute or relative, as the pattern
        asked = Path(named).name.startswith((".", "_"))
        places = [place for place in places if asked or not _hidden((Path(place).name,))]
        if not places:
            raise _nothing(named, "no file fits this pattern")
        for place in places:
            yield from _folder(place) if Path(place).is_dir() else [(place, Path(place).name)]


def _folder(folder: str) -> Iterator[tuple[str, str]]:
    """Yield all files of a folder that are not hidden."""
    files = []
    for root, folders, names in os.walk(folder, onerror=_refuse_folder):
        folders[:] = [name for name in folders if not _hidden((name,))]
        linked = next((path for name in folders if (path := Path(root, name)).is_symlink()), None)
        if linked is not None:
            raise unreadable(str(linked), "is a link to a folder; name the folder itself")
        files += [Path(root, name) for name in names if not _hidden((name,))]
    if not files:
        raise _nothing(folder, "there is no file in this folder")
    for path in sorted(files):
        yield str(path), path.relative_to(folder).as_posix()


def _refuse_folder(error: OSError) -> None:
    raise unreadable(str(error.filename), (error.strerror or "cannot be read").lower()) from error


def readable(name: str) -> str:
    """Return a name as text, with backslash escapes for bytes that are no UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _remote(url: str) -> Iterator[tuple[str, str]]:
    if format_of(url) is not None and not glob.has_magic(url):
        yield url, url.rsplit("/", 1)[-1]
        return
    files = [each for each in storage.list_files(url) if not _hidden(tuple(each.name.split("/")))]
    if not files:
        raise _nothing(url, "there is nothing under this URL")
    for each in files:
        yield each.url, each.name


def _hidden(parts: tuple[str, ...]) -> bool:
    """Whether a file is one that Spark, Dask and pyarrow leave out, too: `_SUCCESS`, `_metadata`, dot files."""
    return any(part.startswith((".", "_")) for part in parts)


def _nothing(named: str, message: str) -> DataRejected:
    problem = Problem(named, "missing-file", message)
    return DataRejected("there are no rows to predict", problems=[problem], hint=HINTS["missing-file"])
