"""Labelled drawings: each with the label that a person gave, appended to a file of JSON Lines that `train` reads."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from artifact_pipeline.files import reason_of, storage_error, sync_folder
from artifact_pipeline.plugins import data_set_with
from artifact_pipeline.serving.http import Refusal, json_response

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from artifact_pipeline.plugins import PictureRecipe
    from artifact_pipeline.serving.http import Response
    from artifact_pipeline.serving.model import Served

MAX_BYTES = 64 << 20
"""Of the file: a hundred thousand drawings."""
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
_RETRY_AFTER = (b"retry-after", b"60")

_Pixel = Annotated[float, Meta(ge=0, le=16)]
_PIXELS = 64


class _Labelled(Struct, frozen=True, forbid_unknown_fields=True):
    pixels: Annotated[list[_Pixel], Meta(min_length=_PIXELS, max_length=_PIXELS)]
    label: int | str


_decode = msgspec.json.Decoder(_Labelled).decode


def recipe_of(served: Served) -> PictureRecipe | None:
    """Return what makes a row of the model from a picture; None where its rows are no pictures."""
    known = data_set_with([feature.name for feature in served.verified.manifest.model.inputs])
    return known.row_of_picture if known is not None else None


class Feedback:
    """The file that labelled drawings are appended to; any number of threads and processes may do so at once."""

    def __init__(self, path: Path) -> None:
        """Check that the file can be appended to; it is made if it is not there.

        Raises:
            StorageError: it cannot.
        """
        self._path = path
        try:
            with self._locked():
                pass
            sync_folder(path.parent)
        except OSError as error:
            raise storage_error(path, error) from error

    def append(self, served: Served, body: bytes) -> Response:
        """Append a labelled drawing as one line: each pixel by its name, and the label by the target's.

        Args:
            served: the model that the drawing was shown to.
            body: JSON, `{"pixels": [64 numbers from 0 to 16], "label": one of the model's}`.

        Raises:
            Refusal: the drawing is not one, the file has reached its bound, or it cannot be written.
        """
        if recipe_of(served) is None:
            raise Refusal(400, "this model takes no drawings")
        try:
            labelled = _decode(body)
        except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            raise Refusal(400, f"no labelled drawing: {str(error)[:200]}") from None
        if not any(label == labelled.label and type(label) is type(labelled.label) for label in served.labels):
            raise Refusal(400, f"no label of the model: {str(labelled.label)[:80]!a}")
        names = [feature.name for feature in served.verified.manifest.model.inputs]
        row = dict(zip(names, labelled.pixels, strict=True))
        line = msgspec.json.encode({**row, served.verified.manifest.data.target: labelled.label}) + b"\n"
        try:
            self._write(line)
        except OSError as error:
            raise Refusal(503, f"the drawing could not be written down: {reason_of(error)}", _RETRY_AFTER) from error
        return json_response({"label": labelled.label})

    def _write(self, line: bytes) -> None:
        """Append whole lines or nothing."""
        with self._locked() as descriptor:
            size = os.fstat(descriptor).st_size
            if size + len(line) > MAX_BYTES:
                raise Refusal(503, f"the file of drawings has reached its bound of {MAX_BYTES:,} bytes", _RETRY_AFTER)
            if size and os.pread(descriptor, 1, size - 1) != b"\n":  # half a line, or one of another program
                line = b"\n" + line
            if os.write(descriptor, line) < len(line):  # the disk is full
                os.ftruncate(descriptor, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Open the file and lock it. It is opened each time: workers would share a lock that they inherit."""
        descriptor = os.open(self._path, _FLAGS, 0o666)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)
