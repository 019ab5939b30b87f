"""A held-out file: read as a model of the training rows' columns will read one, and put behind those rows."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.batches import UNLABELLED, Wanted
from artifact_pipeline.rows.features import Features
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.limits import MAX_LISTED
from artifact_pipeline.rows.mends import HINTS
from artifact_pipeline.rows.sources import find_sources
from artifact_pipeline.storage import places as storage

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.matrix import Rows
    from artifact_pipeline.rows.sources import Source

_REFUSED = "the held-out file cannot be used"
_HINTS = {
    "label-unknown": "learn that label, too: give the training file rows of it; or leave these rows out",
    "missing": "no training row lacks a value there, so the model takes none: fill it in, or leave the row out",
}
"""What to do about a row, by the rule that it breaks."""


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
    with _about_held_out():
        sources = find_sources([path])
        _refuse_same_file(path, sources, find_sources([beside]))
        classes = np.unique(rows.y)
        wanted = _wanted(rows, tuple(classes.tolist()))
        found = [each for source in sources for each in _labelled(source, wanted, leave_out=leave_out)]
    y = classes[np.concatenate([np.empty(0, np.int64), *(actual for _, actual in found)])]
    if not len(y):
        raise _refused(path, "no-rows", "holds no rows")
    features = Features.concatenate([rows.features, *(features for features, _ in found)])
    both = replace(
        rows,
        X=features.X,
        y=np.concatenate([rows.y, y]),
        S=None if rows.S is None else features.S,
        held_out=len(y),
    )
    first, second = both.digests()
    if first == second:
        raise _refused(path, "held-out-same", "holds just the rows of the training file", hint=_hint_same(path))
    return both


@contextmanager
def _about_held_out() -> Iterator[None]:
    """Let the readers' refusals say that the file is to be measured on."""
    try:
        yield
    except DataRejected as error:
        raise DataRejected(_REFUSED, problems=error.problems, hint=error.hint) from error


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


def _wanted(rows: Rows, classes: tuple[int | str, ...]) -> Wanted:
    import numpy as np

    bounds = np.zeros(len(rows.columns))
    names = tuple(each.name for each in rows.columns)
    return Wanted(
        names, "float64", rows.target, classes, (), low=bounds, high=bounds, out_of_range="ignore", columns=rows.columns
    )


def _labelled(source: Source, wanted: Wanted, *, leave_out: bool) -> Iterator[tuple[Features, NDArray[np.int64]]]:
    """The rows of a file that have a label, and its position in the classes.

    Raises:
        DataRejected: a row is bad, or has no label and is not to be left out.
    """
    with open_rows(source, wanted, digest=False) as rows:
        for batch in rows.batches(0):
            if batch.rejected:
                bad = batch.rejected[:MAX_LISTED]
                hint = next((_HINTS[each.rule] for each in bad if each.rule in _HINTS), None)
                raise DataRejected(
                    _REFUSED,
                    problems=[Problem(f"{source.place}, {each.place}", each.rule, each.message) for each in bad],
                    hint=hint or "mend these rows, or leave them out",
                )
            if batch.actual is None:
                message = f"no column {wanted.target!r}, which has the labels"
                raise _refused(source.place, "column-missing", message, hint=f"it has: {', '.join(rows.names)}")
            missing = (batch.actual == UNLABELLED).nonzero()[0]
            if len(missing) and not leave_out:
                place = f"{source.place}, row {batch.numbers[missing[0]]}, column {wanted.target!r}"
                raise _refused(place, "label-missing", "the label is missing", hint=HINTS["label-missing"])
            there = batch.actual != UNLABELLED
            yield batch.features.take(there), batch.actual[there]
