"""A held-out file: read as a model of the training rows' columns will read it, and appended to those rows."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.labelled_files import read_beside, refusing
from artifact_pipeline.rows.sources import find_sources
from artifact_pipeline.storage import places as storage

if TYPE_CHECKING:
    from artifact_pipeline.rows.matrix import Rows

_REFUSED = "the held-out file cannot be used"


def with_held_out(rows: Rows, path: str, *, beside: str, leave_out: bool = False) -> Rows:
    """Return the rows to learn from, followed by those of a held-out file.

    Args:
        rows: the rows to learn from; they determine the kinds of the columns and the labels.
        path: the held-out file, or a folder of parts.
        beside: the training file, from which the held-out file must differ.
        leave_out: whether a row without a label is left out instead of refused.

    Raises:
        DataRejected: it cannot be read, does not have the columns, has a value or a label that the model cannot take,
            or is the training file.
    """
    hint = f'name a file of other rows, or hold a part of {path} out: -S \'split={{"by": "hash"}}\''
    with refusing(_REFUSED):
        sources = find_sources([path])
        training = {_identity(each.place) for each in find_sources([beside])}
        for each in sources:
            if _identity(each.place) in training:
                raise _refused(each.place, "held-out-same", "is the training file", hint=hint)
        found = read_beside(sources, rows, leave_out=leave_out)
    if not len(found.X):
        raise _refused(path, "no-rows", "holds no rows")
    both = replace(rows.followed_by([found]), held_out=len(found.X))
    first, second = both.digests()
    if first == second:
        raise _refused(path, "held-out-same", "holds just the rows of the training file", hint=hint)
    return both


def _refused(place: str, rule: str, message: str, *, hint: str | None = None) -> DataRejected:
    return DataRejected(_REFUSED, problems=[Problem(place, rule, message)], hint=hint)


def _identity(place: str) -> object:
    """Return a value that is equal for two names of the same file."""
    if storage.is_url(place):
        return place
    try:
        found = os.stat(place)  # noqa: PTH116 - a name may be too long for a path
    except OSError:
        return os.path.realpath(place)
    return found.st_dev, found.st_ino
