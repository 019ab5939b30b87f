"""What GitHub Actions reads: the log with its commands, step outputs and the step summary.

A runner obeys a line of the log that begins with `::name::`, after blanks, and `##[name]` anywhere in a line
(`ActionCommand.cs` of actions/runner). What is printed may hold labels and file names: they must not be commands.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

from artifact_pipeline.errors import ConfigError, DataRejected, Problem
from artifact_pipeline.files import storage_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from artifact_pipeline.errors import PipelineError

MAX_SUMMARY_BYTES = (1 << 20) - 1024
"""GitHub refuses a step's summary of more than 1 MiB, whole; a little is left for what others append."""
_MAX_ANNOTATIONS = 10
"""GitHub shows ten errors a step."""
_PLACE = re.compile(r"(?P<file>.+):(?P<line>[0-9]+):(?P<column>[0-9]+)", re.DOTALL)

# Anywhere in a line: where both streams go to one pipe, half a line of the one may end with a line of the other.
_MARK = re.compile(r"(:):|(##)\[")
_COMMAND = re.compile(r"::[A-Za-z-]+(?: [^\r\n]*)?::|##\[[A-Za-z-]+(?: [^\r\n]*)?\]")


def guard_streams() -> Callable[[], None]:
    """Wrap standard output and standard error in a `Log`; return the function that unwraps them."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", Log(each)) if each is not None else each for each in before)

    def restore() -> None:
        sys.stdout, sys.stderr = before

    return restore


class Log:
    r"""A stream of text that a runner reads: no terminal, and each mark of a command in the text is broken.

    The last letter of a mark becomes its escape (`:\u003aerror:\u003a`, `##\u005berror]`): in JSON the same text.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._last = stream, ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def buffer(self) -> Any:
        """The stream for rows, which are written as they are or refused."""
        raw = self._stream.buffer
        return raw if _is_file(raw) else _Rows(raw)

    def isatty(self) -> bool:
        """Return False: even on a terminal it is a log."""
        return False

    def write(self, text: str) -> int:
        """Write text, the marks in it broken up."""
        # Only the last letter of a mark is changed, so nothing that has been written before.
        whole = _MARK.sub(_broken, self._last + text)
        self._stream.write(whole[len(self._last) :])
        self._last = whole[-2:]
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of them."""
        for line in lines:
            self.write(line)

    def command(self, line: str) -> None:
        """Write a command of our own as a line of its own."""
        self._stream.write(f"{line}\n")


def _broken(mark: re.Match[str]) -> str:
    return rf"{mark[1]}\u003a" if mark[1] else rf"{mark[2]}\u005b"


def _is_file(raw: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
    except OSError:
        return False


class _Rows:
    """A stream of rows that a runner or another program reads: they cannot be changed, but refused."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def write(self, data: bytes) -> int:
        """Write whole lines; refuse one that a runner could take for a command."""
        found = _COMMAND.search(data.decode("utf-8", "replace"))
        if found:
            message = f"{found[0].strip()!r:.80} would be a command to the runner that reads this log"
            problem = Problem("standard output", "workflow-command", message)
            raise DataRejected("the rows cannot be printed here", problems=[problem], hint="name a file: -o FILE")
        return self._raw.write(data)


def error_annotations(error: PipelineError) -> list[str]:
    """Return the workflow commands that show the config's errors at their lines."""
    if not isinstance(error, ConfigError):
        return []
    return [_annotation(each.place, each.message) for each in error.problems[:_MAX_ANNOTATIONS]]


def _annotation(place: str, message: str) -> str:
    found = _PLACE.fullmatch(place)
    if not found:
        return f"::error::{_data(f'{place}: {message}')}"
    file, line, column = _property(found["file"]), found["line"], found["column"]
    return f"::error file={file},line={line},col={column}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def append_outputs(file: Path, outputs: Mapping[str, str]) -> None:
    """Append `key=value` lines, as GITHUB_OUTPUT wants them.

    Raises:
        ConfigError: a value holds a line break, which would begin another output.
        StorageError: the file cannot be written.
    """
    for key, value in outputs.items():
        if "\n" in value or "\r" in value:
            raise ConfigError(f"--outputs: {key} holds a line break")
    with _appending(file) as opened:
        opened.write("".join(f"{key}={value}\n" for key, value in outputs.items()).encode())


def append_summary(file: Path, page: str) -> None:
    """Append a page, as GITHUB_STEP_SUMMARY wants it, cut at a line where it would grow too large.

    Raises:
        StorageError: the file cannot be written.
    """
    data = page.encode()
    with _appending(file) as opened:
        room = MAX_SUMMARY_BYTES - os.fstat(opened.fileno()).st_size
        if len(data) > room:
            data = data[: max(room, 0)].rpartition(b"\n")[0] + b"\n\nThe rest is left out: GitHub shows 1 MiB.\n"
        opened.write(data)


@contextmanager
def _appending(file: Path) -> Iterator[BinaryIO]:
    try:
        with file.open("ab") as opened:
            yield opened
    except OSError as error:
        raise storage_error(file, error) from error
