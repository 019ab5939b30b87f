"""What GitHub Actions reads: annotations, step outputs and the step summary."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from artifact_pipeline.errors import ConfigError
from artifact_pipeline.files import storage_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from artifact_pipeline.errors import PipelineError

MAX_SUMMARY_BYTES = (1 << 20) - 1024
"""GitHub refuses a step's summary of more than 1 MiB, whole; a little is left for what others append."""
MAX_ANNOTATIONS = 10
"""GitHub shows ten errors a step."""
_PLACE = re.compile(r"(?P<file>.+):(?P<line>[0-9]+):(?P<column>[0-9]+)", re.DOTALL)


def error_annotations(error: PipelineError) -> list[str]:
    """The workflow commands that put the config's errors at their lines."""
    if not isinstance(error, ConfigError):
        return []
    return [_annotation(each.place, each.message) for each in error.problems[:MAX_ANNOTATIONS]]


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
    _append(file, "".join(f"{key}={value}\n" for key, value in outputs.items()).encode())


def append_summary(file: Path, page: str) -> None:
    """Append a page, as GITHUB_STEP_SUMMARY wants it, cut at a line where it would grow too large.

    Raises:
        StorageError: the file cannot be written.
    """
    data = page.encode()
    room = MAX_SUMMARY_BYTES - (file.stat().st_size if file.exists() else 0)
    if len(data) > room:
        data = data[: max(room, 0)].rpartition(b"\n")[0] + b"\n\nThe rest is left out: GitHub shows 1 MiB.\n"
    _append(file, data)


def _append(file: Path, data: bytes) -> None:
    try:
        with file.open("ab") as opened:
            opened.write(data)
    except OSError as error:
        raise storage_error(file, error) from error
