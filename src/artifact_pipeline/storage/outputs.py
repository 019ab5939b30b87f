"""An output is never an input: the places that a command writes are compared with those that it reads.

Places are compared by what the file system has there, not by their names: another spelling, a symbolic link and the
other name of a hard link all lead to one file. This looks, and opens nothing.
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
from artifact_pipeline.storage.patterns import fits_or_parent, fixed_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Kind = Literal["file", "folder", "pattern", "append", "link", "stream"]
    Key = str | tuple[int, int]

_STANDARD = {"standard input": 0, "standard output": 1}
"""Places of the kind `stream`, and their descriptors: a shell may have opened any file for them."""
SAME, INSIDE, OUTPUTS = "output-is-input", "output-among-inputs", "outputs-overlap"
_MAX_TRIES = 20


class Place(NamedTuple):
    """A place that a command reads or writes.

    Attributes:
        role: how a message names it: `the input`, or the option that names an output, such as `--receipt`.
        place: a path, a URL, a pattern, or a name in `_STANDARD`.
        kind: a file; a folder with all that is in it; a pattern; a file that is appended to; a pointer, which is a link
            and itself replaced, wherever it leads; one of the standard streams.
        named: what the option names, where `place` follows from that.
    """

    role: str
    place: str
    kind: Kind = "file"
    named: str = ""


class _Identity(NamedTuple):
    """What a place is: the keys of its file, and those of all folders above it; equal keys, equal files."""

    own: frozenset[Key]
    above: frozenset[Key]


_NOTHING = _Identity(frozenset(), frozenset())


def check_outputs(inputs: Iterable[Place], outputs: Sequence[Place]) -> None:
    """Refuse outputs that would change an input or each other, or that cannot be written.

    Raises:
        ConfigError: an output is an input, lies in a folder or fits a pattern that is read, has an input in it, or is
            another output.
        StorageError: an output cannot be written, since its folder is missing, say.
    """
    refuse_overlap(inputs, outputs)
    for output in outputs:
        if output.kind not in {"file", "folder", "append"} or storage.is_url(output.place):
            continue
        path = Path(output.place)
        if not output.named or path.parent.exists():  # or else it is made with the folder that the option names
            check_writable(path, folder=output.kind == "folder", append=output.kind == "append")


def refuse_overlap(inputs: Iterable[Place], outputs: Sequence[Place]) -> None:
    """Refuse outputs that would change an input or each other; see `check_outputs`."""
    look, inputs = _Look(), list(dict.fromkeys(inputs))
    for output in outputs:
        for given in inputs:
            if words := look.overlap(given, output):
                rule, message = words
                problem = Problem(output.role, rule, message)
                hint = _hint(look, output, given, [*inputs, *outputs])
                raise ConfigError("an output cannot be an input", problems=[problem], hint=hint)
    for first, second in combinations(outputs, 2):
        if look.meet(first, second):
            same = f"{second.place} and {first.place} of {first.role} are one file"
            inside = f"{second.place} and {first.place} of {first.role} lie one in the other"
            one = look.of(first).own & look.of(second).own
            problem = Problem(second.role, OUTPUTS, same if one else inside)
            hint = _hint(look, second, first, [*inputs, *outputs])
            raise ConfigError("two outputs cannot be in one place", problems=[problem], hint=hint)


class _Look:
    """Looks at places; at each place and each folder once."""

    def __init__(self) -> None:
        self._places: dict[Place, _Identity] = {}
        self._real: dict[str, str] = {}
        self._folders: dict[str, frozenset[Key]] = {}

    def overlap(self, given: Place, output: Place) -> tuple[str, str] | None:
        """The rule that an input and an output break, and how, in words; None where they do not meet."""
        what = f"{given.role} {given.place}"
        if given.kind == output.kind == "link":  # a pointer that is read may be moved
            return None
        read, written = self.of(given), self.of(output)
        if given.kind == "pattern":
            if self._fits(output, given.place):
                return INSIDE, f"{output.place} fits {what}, and would be read as one of its files"
        elif read.own & written.own:
            return SAME, f"{output.place} and {what} are the same {'folder' if given.kind == 'folder' else 'file'}"
        if given.kind == "folder" and read.own & written.above:
            return INSIDE, f"{output.place} lies in {what}"
        if output.kind == "folder" and written.own & (read.above | read.own):
            return INSIDE, f"{what} lies in {output.place}"
        return None

    def meet(self, first: Place, second: Place) -> bool:
        """Whether two outputs are one, or one of them lies in the folder that is the other."""
        a, b = self.of(first), self.of(second)
        inside = (first.kind == "folder" and a.own & b.above) or (second.kind == "folder" and b.own & a.above)
        return bool(a.own & b.own or inside)

    def of(self, place: Place) -> _Identity:
        """What a place is; nothing where it is a device or a pipe, in which nothing can be lost."""
        if place not in self._places:
            self._places[place] = self._seen(place)
        return self._places[place]

    def _seen(self, place: Place) -> _Identity:
        if place.kind == "stream":
            return _stream(_STANDARD[place.place])
        name = _fixed(place.place) if place.kind == "pattern" else place.place
        if storage.is_url(name):
            *above, own = _levels(name)
            return _Identity(frozenset([own]), frozenset(above))
        try:
            return self._local(name, follow=place.kind != "link")
        except ValueError:  # a NUL in its name: nothing can be there
            return _NOTHING

    def _local(self, name: str, *, follow: bool) -> _Identity:
        path = self._entry(name)
        places = {path, os.path.realpath(path)} if follow and os.path.islink(path) else {path}  # noqa: PTH114
        above = frozenset(key for each in places for key in self._above(os.path.dirname(each)))  # noqa: PTH120
        try:
            about = os.stat(path, follow_symlinks=follow)  # noqa: PTH116 - as in `_above`
        except OSError:  # nothing is there yet
            return _Identity(frozenset(places), above)
        if stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode) or not follow:
            return _Identity(frozenset([(about.st_dev, about.st_ino)]), above)
        return _NOTHING

    def _entry(self, name: str) -> str:
        """The place in a folder that a name stands for, absolute; what a link there leads to is another place."""
        folder, last = os.path.split(name.rstrip("/") or "/")
        if last in {"", ".", ".."}:
            return os.path.realpath(name)
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder or ".")
        return f"{self._real[folder].rstrip('/')}/{last}"

    def _above(self, folder: str) -> frozenset[Key]:
        """The keys of a folder and of all folders above it."""
        if folder not in self._folders:
            parent = os.path.dirname(folder)  # noqa: PTH120 - a thousand times as fast as a Path for many files
            rest: frozenset[Key] = self._above(parent) if parent != folder else frozenset()
            key: Key
            try:
                about = os.stat(folder)  # noqa: PTH116 - as above
                key = about.st_dev, about.st_ino
            except OSError:
                key = folder
            self._folders[folder] = rest | {key}
        return self._folders[folder]

    def _fits(self, output: Place, pattern: str) -> bool:
        """Whether a pattern fits an output, or a folder above it."""
        if output.kind == "stream" or storage.is_url(output.place) != storage.is_url(pattern):
            return False
        if storage.is_url(pattern):
            (root, *wanted), (bucket, *name) = _parts(pattern), _parts(output.place)
            return root == bucket and fits_or_parent(name, wanted)
        fixed = _fixed(pattern)
        parts = Path(os.path.relpath(pattern, fixed)).parts
        folder = Path(os.path.realpath(fixed))
        written = {Path(self._entry(output.place)), Path(os.path.realpath(output.place))}
        return any(
            fits_or_parent(path.relative_to(folder).parts, parts, hidden=False)
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
    """A URL's bucket, and the parts of the name in it, without what a store's library would leave away."""
    scheme, _, rest = url.partition("://")
    bucket, _, path = rest.partition("/")
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    return [f"{scheme}://{bucket}", *parts]


def _levels(url: str) -> list[str]:
    """A URL in its one spelling, behind all that are above it."""
    parts = _parts(url)
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _fixed(pattern: str) -> str:
    """The folder of a pattern before its first magic character; a folder without one is its own."""
    return "/".join(fixed_parts(pattern.split("/"))) or ("/" if pattern.startswith("/") else ".")


def _hint(look: _Look, output: Place, other: Place, places: Sequence[Place]) -> str:
    """What to type instead: the option with a place where nothing is, and that nothing reads or writes."""
    if not output.role.startswith("-"):
        return "move one of them to another place"
    named = "predictions.csv" if output.kind == "stream" else output.named or output.place
    kind: Kind = "file" if output.kind == "stream" else output.kind
    behind = output.place.removeprefix(named) if output.named else ""
    rest = [each for each in places if each.role != output.role]
    inside = other.kind in {"folder", "pattern"} and not look.of(other).own & look.of(output).own
    for place in _candidates(named, _fixed(other.place) if inside else None, folder=kind == "folder"):
        wanted = Place(output.role, place + behind, kind)
        there = place == (output.named or output.place) or (not storage.is_url(place) and os.path.lexists(wanted.place))
        if not there and not any(look.overlap(each, wanted) or look.meet(each, wanted) for each in rest):
            return f"name another place: {output.role} {shlex.quote(place)}"
    return f"name another place with {output.role}"


def _candidates(named: str, inside: str | None, *, folder: bool) -> Iterator[str]:
    """Names like that of an output: beside it, or beside the folder that is read where it lies in one."""
    above, name = os.path.split(named.rstrip("/"))
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    if inside is not None:
        above = inside.rpartition("/")[0] if storage.is_url(inside) else os.path.normpath(f"{inside}/..")
    for new in ("", ".new", *(f".new-{number}" for number in range(2, _MAX_TRIES))):
        place = f"{stem}{new}{suffix}{'/' if folder else ''}"
        yield place if above in {"", "."} else f"{above.rstrip('/')}/{place}"
