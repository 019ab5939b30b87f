"""Files of labelled rows beside the rows to learn from, read as a model of their columns will read them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.batches import UNLABELLED, Wanted
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.limits import MAX_LISTED
from artifact_pipeline.rows.mends import HINTS
from artifact_pipeline.rows.split_columns import key_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Batch
    from artifact_pipeline.rows.formats.opening import Reader
    from artifact_pipeline.rows.matrix import Rows
    from artifact_pipeline.rows.sources import Source

_HINTS = {
    "label-unknown": "learn that label, too: give the training file rows of it; or leave these rows out",
    "missing": "no training row lacks a value there, so the model takes none: fill it in, or leave the row out",
}
"""What to do about a row, by the rule that it breaks."""


def read_beside(sources: Sequence[Source], rows: Rows, *, leave_out: bool) -> Rows:
    """Read files whole, each row with its label.

    Args:
        sources: the files.
        rows: the rows to learn from; they determine the kinds of the columns, the labels and the columns of the split.
        leave_out: whether a row without a label is left out instead of refused.

    Raises:
        DataRejected: one cannot be read, lacks a column, or has a value or a label that the model cannot take.
    """
    import numpy as np

    assert rows.y is not None
    classes, names, keys = np.unique(rows.y), tuple(each.name for each in rows.columns), tuple(rows.split_by)
    wanted = Wanted(names, "float64", rows.target, tuple(classes.tolist()), columns=rows.columns, keys=keys)
    mend = HINTS["label-missing"] if rows.source == "table" else "give the row its label, or leave it out"
    mend = "" if leave_out else mend
    nothing = replace(rows.take(slice(0)), held_out=0, feedback=())
    pieces = []
    for source in sources:
        with open_rows(source, wanted, digest=False) as opened:
            batches = opened.batches(0)
            pieces += [_labelled(opened, batch, nothing, classes, mend=mend) for batch in batches]
    return nothing.followed_by(pieces)


@contextmanager
def refusing(message: str) -> Iterator[None]:
    """Replace the message of the readers' errors by `message`, which tells what the files are for."""
    try:
        yield
    except DataRejected as error:
        raise DataRejected(message, problems=error.problems, hint=error.hint) from error


def _labelled(opened: Reader, batch: Batch, rows: Rows, classes: NDArray[Any], *, mend: str) -> Rows:
    """Return the rows of a batch that have a label, with the columns of `rows`.

    Raises:
        DataRejected: a row is bad; or it has no label, and `mend` says what to do about that.
    """
    place, target = opened.place, rows.target
    if batch.rejected:
        bad = batch.rejected[:MAX_LISTED]
        problems = [Problem(f"{place}, {each.place}", each.rule, each.message) for each in bad]
        hint = next((_HINTS[each.rule] for each in bad if each.rule in _HINTS), "mend these rows, or leave them out")
        raise DataRejected("", problems=problems, hint=hint)
    if batch.actual is None:
        raise _lacks(place, target, "has the labels", opened.names)
    missing = (batch.actual == UNLABELLED).nonzero()[0]
    if len(missing) and mend:
        where = f"{place}, row {batch.numbers[missing[0]]}, column {target!r}"
        raise _refused(where, "label-missing", "the label is missing", hint=mend)
    there = batch.actual != UNLABELLED
    features = batch.features.take(there)
    return replace(
        rows,
        X=features.X,
        y=classes[batch.actual[there]],
        S=None if rows.S is None else features.S,
        split_by={name: _keys(opened, batch, name)[there] for name in rows.split_by},
    )


def _keys(opened: Reader, batch: Batch, name: str) -> NDArray[Any]:
    """Return the values of a column that splits the rows, each a text.

    Raises:
        DataRejected: the file lacks it, or a row has no value there.
    """
    import numpy as np

    if name not in batch.kept:
        raise _lacks(opened.place, name, "splits the rows", opened.names)
    texts = key_values(batch.kept[name], boolean=opened.wanted.known_kinds.get(name) == "boolean")
    if texts is None or texts.null_count:
        row = 0 if texts is None else np.flatnonzero(texts.is_null())[0]
        where = f"{opened.place}, row {batch.numbers[row]}, column {name!r}"
        raise _refused(where, "split-missing", "has no value that splits the rows", hint=HINTS["split-missing"])
    values: NDArray[Any] = texts.to_numpy(zero_copy_only=False)
    return values


def _lacks(place: str, name: str, part: str, names: Sequence[str]) -> DataRejected:
    message = f"no column {name!r}, which {part}"
    return _refused(place, "column-missing", message, hint=f"it has: {', '.join(names)}")


def _refused(place: str, rule: str, message: str, *, hint: str) -> DataRejected:
    return DataRejected("", problems=[Problem(place, rule, message)], hint=hint)
