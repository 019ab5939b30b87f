"""An output is never an input: the files that a command writes are compared with those that it reads.

Files are compared by device and inode, not by name: another spelling, a symbolic link and a hard link all lead to the
same file. No file is opened.
"""

from __future__ import annotations

import os
import shlex
import stat
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from artifact_pipeline.errors import ConfigError, Problem
from artifact_pipeline.files import check_writable
from artifact_pipeline.storage import places as storage
from artifact_pipeline.storage.patterns import fixed_parts, matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Kind = Literal["file", "folder", "pattern", "append", "link", "stream"]
    Key = str | tuple[int, int]

_STANDARD = {"standard input": 0, "standard output": 1}
"""Places of the kind `stream`, and their descriptors: a shell may have redirected them to any file."""
_SAME, _INSIDE = "output-is-input", "output-among-inputs"
_MAX_TRIES = 20


class Place(NamedTuple):
    """A place that a command reads or writes.

    Attributes:
        role: its name in messages: `the input`, or the option that names an output, such as `--receipt`.
        place: a path, a URL, a pattern, or a name in `_STANDARD`.
        kind: a file; a folder with all its files; a pattern; a file that is appended to; a pointer, which is a link
            that is itself replaced; a standard stream.
        named: the value of the option, if `place` is derived from it.
    """

    role: str
    place: str
    kind: Kind = "file"
    named: str = ""


class _Identity(NamedTuple):
    """The keys of a place's own file, and those of all folders above it; equal keys mean equal files."""

    own: frozenset[Key]
    above: frozenset[Key]


_NOTHING = _Identity(frozenset(), frozenset())


def check_outputs(inputs: Iterable[Place], outputs: Sequence[Place]) -> None:
    """Refuse outputs that would change an input or each other, or that cannot be written.

    Raises:
        ConfigError: an output is an input, lies in a folder that is read, matches a pattern that is read, contains an
            input, or is another output.
        StorageError: an output cannot be written, for example because its folder is missing.
    """
    refuse_overlap(inputs, outputs)
    for output in outputs:
        if output.kind not in {"file", "folder", "append"} or storage.is_url(output.place):
            continue
        path = Path(output.place)
        if not output.named or path.parent.exists():  # otherwise it is created with the folder that the option names
            check_writable(path, folder=output.kind == "folder", append=output.kind == "append")


def refuse_overlap(inputs: Iterable[Place], outputs: Sequence[Place]) -> None:
    """Refuse outputs that would change an input or each other; see `check_outputs`."""
    identities, inputs = _Identities(), list(dict.fromkeys(inputs))
    for output in outputs:
        for given in inputs:
            if words := identities.overlap(given, output):
                rule, message = words
                problem = Problem(output.role, rule, message)
                hint = _hint(identities, output, given, [*inputs, *outputs])
                raise ConfigError("an output cannot be an input", problems=[problem], hint=hint)
    for first, second in combinations(outputs, 2):
        if identities.collide(first, second):
            same = f"{second.place} and {first.place} of {first.role} are one file"
            inside = f"{second.place} and {first.place} of {first.role} lie one in the other"
            one = identities.of(first).own & identities.of(second).own
            problem = Problem(second.role, "outputs-overlap", same if one else inside)
            hint = _hint(identities, second, first, [*inputs, *outputs])
            raise ConfigError("two outputs cannot be in one place", problems=[problem], hint=hint)


class _Identities:
    """The identities of places; each place and each folder is looked up once."""

    def __init__(self) -> None:
        self._places: dict[Place, _Identity] = {}
        self._real: dict[str, str] = {}
        self._folders: dict[str, frozenset[Key]] = {}

    def overlap(self, given: Place, output: Place) -> tuple[str, str] | None:
        """Return the rule that an input and an output break, and a message; None if they do not overlap."""
        what = f"{given.role} {given.place}"
        if given.kind == output.kind == "link":  # a pointer that is read may be replaced
            return None
        read, written = self.of(given), self.of(output)
        if given.kind == "pattern":
            if self._matches(output, given.place):
                return _INSIDE, f"{output.place} fits {what}, and would be read as one of its files"
        elif read.own & written.own:
            return _SAME, f"{output.place} and {what} are the same {'folder' if given.kind == 'folder' else 'file'}"
        if given.kind == "folder" and read.own & written.above:
            return _INSIDE, f"{output.place} lies in {what}"
        if output.kind == "folder" and written.own & (read.above | read.own):
            return _INSIDE, f"{what} lies in {output.place}"
        return None

    def collide(self, first: Place, second: Place) -> bool:
        """Whether two outputs are the same file, or one lies in the other."""
        a, b = self.of(first), self.of(second)
        inside = (first.kind == "folder" and a.own & b.above) or (second.kind == "folder" and b.own & a.above)
        return bool(a.own & b.own or inside)

    def of(self, place: Place) -> _Identity:
        """Return the identity of a place; an empty one for a device or a pipe, which loses nothing when written."""
        if place not in self._places:
            self._places[place] = self._look_up(place)
        return self._places[place]

    def _look_up(self, place: Place) -> _Identity:
        if place.kind == "stream":
            return _stream(_STANDARD[place.place])
        name = _base_folder(place.place) if place.kind == "pattern" else place.place
        if storage.is_url(name):
            *above, own = _prefixes(name)
            return _Identity(frozenset([own]), frozenset(above))
        try:
            return self._local(name, follow=place.kind != "link")
        except ValueError:  # a null character in its name: no such file can exist
            return _NOTHING

    def _local(self, name: str, *, follow: bool) -> _Identity:
        path = self._entry(name)
        places = {path, os.path.realpath(path)} if follow and os.path.islink(path) else {path}  # noqa: PTH114
        above = frozenset(key for each in places for key in self._ancestors(os.path.dirname(each)))  # noqa: PTH120
        try:
            about = os.stat(path, follow_symlinks=follow)  # noqa: PTH116 - as in `_ancestors`
        except OSError:  # it does not exist yet
            return _Identity(frozenset(places), above)
        if stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode) or not follow:
            return _Identity(frozenset([(about.st_dev, about.st_ino)]), above)
        return _NOTHING

    def _entry(self, name: str) -> str:
        """Return the absolute path of a name; links of its folder are resolved, a link at its end is not."""
        folder, last = os.path.split(name.rstrip("/") or "/")
        if last in {"", ".", ".."}:
            return os.path.realpath(name)
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder or ".")
        return f"{self._real[folder].rstrip('/')}/{last}"

    def _ancestors(self, folder: str) -> frozenset[Key]:
        """Return the keys of a folder and of all folders above it."""
        if folder not in self._folders:
            parent = os.path.dirname(folder)  # noqa: PTH120 - a thousand times as fast as a Path for many files
            rest: frozenset[Key] = self._ancestors(parent) if parent != folder else frozenset()
            key: Key
            try:
                about = os.stat(folder)  # noqa: PTH116 - as above
                key = about.st_dev, about.st_ino
            except OSError:
                key = folder
            self._folders[folder] = rest | {key}
        return self._folders[folder]

    def _matches(self, output: Place, pattern: str) -> bool:
        """Whether a pattern matches an output, or a folder above it."""
        if output.kind == "stream" or storage.is_url(output.place) != storage.is_url(pattern):
            return False
        if storage.is_url(pattern):
            (root, *wanted), (bucket, *name) = _parts(pattern), _parts(output.place)
            return root == bucket and matches(name, wanted)
        fixed = _base_folder(pattern)
        parts = Path(os.path.relpath(pattern, fixed)).parts
        folder = Path(os.path.realpath(fixed))
        written = {Path(self._entry(output.place)), Path(os.path.realpath(output.place))}
        return any(
            matches(path.relative_to(folder).parts, parts, hidden=False)
            for path in written
            if path.is_relative_to(folder)
        )


def _stream(descriptor: int) -> _Identity:
    try:
        about = os.fstat(descriptor)
    except OSError:  # closed
        return _NOTHING
    if not stat.S_ISREG(about.st_mode):
        return _NOTHING
    return _Identity(frozenset([(about.st_dev, about.st_ino)]), frozenset())


def _parts(url: str) -> list[str]:
    """Return a URL's bucket and the parts of the name in it, normalised as a store's library does."""
    scheme, _, rest = url.partition("://")
    bucket, _, path = rest.partition("/")
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    return [f"{scheme}://{bucket}", *parts]


def _prefixes(url: str) -> list[str]:
    """Return the normalised URL, and before it all URLs above it."""
    parts = _parts(url)
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _base_folder(pattern: str) -> str:
    """Return the folder of a pattern before its first magic character; a name without one is returned as it is."""
    return "/".join(fixed_parts(pattern.split("/"))) or ("/" if pattern.startswith("/") else ".")


def _hint(identities: _Identities, output: Place, other: Place, places: Sequence[Place]) -> str:
    """Return what to type instead: the option with a place that does not exist, and that is not read or written."""
    if not output.role.startswith("-"):
        return "move one of them to another place"
    named = "predictions.csv" if output.kind == "stream" else output.named or output.place
    kind: Kind = "file" if output.kind == "stream" else output.kind
    behind = output.place.removeprefix(named) if output.named else ""
    rest = [each for each in places if each.role != output.role]
    inside = other.kind in {"folder", "pattern"} and not identities.of(other).own & identities.of(output).own
    for place in _candidates(named, _base_folder(other.place) if inside else None, folder=kind == "folder"):
        wanted = Place(output.role, place + behind, kind)
        there = place == (output.named or output.place) or (not storage.is_url(place) and os.path.lexists(wanted.place))
        if not there and not any(identities.overlap(each, wanted) or identities.collide(each, wanted) for each in rest):
            return f"name another place: {output.role} {shlex.quote(place)}"
    return f"name another place with {output.role}"


def _candidates(named: str, inside: str | None, *, folder: bool) -> Iterator[str]:
    """Yield names like that of an output: beside it, or beside the folder `inside` that is read."""
    above, name = os.path.split(named.rstrip("/"))
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    if inside is not None:
        above = inside.rpartition("/")[0] if storage.is_url(inside) else os.path.normpath(f"{inside}/..")
    for new in ("", ".new", *(f".new-{number}" for number in range(2, _MAX_TRIES))):
        place = f"{stem}{new}{suffix}{'/' if folder else ''}"
        yield place if above in {"", "."} else f"{above.rstrip('/')}/{place}"
