"""A held-out file: read as a model of the training rows' columns will read one, and put behind those rows."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.features import Features
from artifact_pipeline.rows.labelled_files import read_beside, refusing
from artifact_pipeline.rows.sources import find_sources
from artifact_pipeline.storage import places as storage

if TYPE_CHECKING:
    from artifact_pipeline.rows.matrix import Rows
    from artifact_pipeline.rows.sources import Source

_REFUSED = "the held-out file cannot be used"


def with_held_out(rows: Rows, path: str, *, beside: str, leave_out: bool = False) -> Rows:
    """Return the rows to learn from, and behind them those of a held-out file.

    Args:
        rows: the rows to learn from; they say what each column holds, and which labels there are.
        path: the held-out file, or a folder of parts.
        beside: the training file, which the held-out file must not be.
        leave_out: whether a row without a label is left out, and not refused.

    Raises:
        DataRejected: it cannot be read, does not have the columns, has a value or a label that the model cannot take,
            or is the training file.
    """
    import numpy as np

    assert rows.y is not None
    with refusing(_REFUSED):
        sources = find_sources([path])
        _refuse_same_file(path, sources, find_sources([beside]))
        found = read_beside(sources, rows, leave_out=leave_out)
    if not len(found.y):
        raise _refused(path, "no-rows", "holds no rows")
    features = Features.concatenate([rows.features, found.features])
    both = replace(
        rows,
        X=features.X,
        y=np.concatenate([rows.y, found.y]),
        S=None if rows.S is None else features.S,
        held_out=len(found.y),
    )
    first, second = both.digests()
    if first == second:
        raise _refused(path, "held-out-same", "holds just the rows of the training file", hint=_hint_same(path))
    return both


def _refused(place: str, rule: str, message: str, *, hint: str | None = None) -> DataRejected:
    return DataRejected(_REFUSED, problems=[Problem(place, rule, message)], hint=hint)


def _hint_same(path: str) -> str:
    return f'name a file of other rows, or hold a part of {path} out: -S \'split={{"by": "hash"}}\''


def _refuse_same_file(path: str, held_out: list[Source], training: list[Source]) -> None:
    """Refuse a file that is read to be learned from, too, by whatever name."""
    known = {_identity(each.place) for each in training}
    for each in held_out:
        if _identity(each.place) in known:
            raise _refused(each.place, "held-out-same", "is the training file", hint=_hint_same(path))


def _identity(place: str) -> object:
    """What a file is: equal for two names of one file."""
    if storage.is_url(place):
        return place
    try:
        found = os.stat(place)  # noqa: PTH116 - a name may be too long for a path
    except OSError:
        return os.path.realpath(place)
    return found.st_dev, found.st_ino
