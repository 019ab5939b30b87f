"""Files of labelled rows beside the rows to learn from: read as a model of their columns will read them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.batches import UNLABELLED, Wanted
from artifact_pipeline.rows.features import Features
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.limits import MAX_LISTED
from artifact_pipeline.rows.mends import HINTS
from artifact_pipeline.rows.split_columns import key_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
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


class LabelledRowsBeside(NamedTuple):
    """The labelled rows of some files.

    Attributes:
        features: their values, by the columns of the rows beside which they are.
        y: their labels.
        kept: the columns that were asked for beside these, as texts.
    """

    features: Features
    y: NDArray[np.int64] | NDArray[np.str_]
    kept: dict[str, NDArray[Any]]


def read_beside(
    sources: Sequence[Source], rows: Rows, *, leave_out: bool, keys: tuple[str, ...] = ()
) -> LabelledRowsBeside:
    """Read files whole, each row with its label.

    Args:
        sources: the files.
        rows: the rows to learn from; they say what each column holds, and which labels there are.
        leave_out: whether a row without a label is left out, and not refused.
        keys: columns that are read as keys, too.

    Raises:
        DataRejected: one cannot be read, lacks a column, or has a value or a label that the model cannot take.
    """
    import numpy as np

    assert rows.y is not None
    classes = np.unique(rows.y)
    wanted = _wanted(rows, tuple(classes.tolist()), keys)
    mend = HINTS["label-missing"] if rows.source == "table" else "give the row its label, or leave it out"
    mend = "" if leave_out else mend
    found = [each for source in sources for each in _labelled(source, wanted, mend=mend)]
    return LabelledRowsBeside(
        Features.concatenate([rows.features[:0], *(each.features for each in found)]),
        np.concatenate([rows.y[:0], *(classes[each.y] for each in found)]),
        {name: np.concatenate([np.empty(0, dtype=object), *(each.kept[name] for each in found)]) for name in keys},
    )


@contextmanager
def refusing(message: str) -> Iterator[None]:
    """Let the readers' refusals begin with `message`, which says what the files are for."""
    try:
        yield
    except DataRejected as error:
        raise DataRejected(message, problems=error.problems, hint=error.hint) from error


def _wanted(rows: Rows, classes: tuple[int | str, ...], keys: tuple[str, ...]) -> Wanted:
    import numpy as np

    bounds = np.zeros(len(rows.columns))
    names = tuple(each.name for each in rows.columns)
    return Wanted(
        names,
        "float64",
        rows.target,
        classes,
        (),
        low=bounds,
        high=bounds,
        out_of_range="ignore",
        columns=rows.columns,
        keys=keys,
    )


def _labelled(source: Source, wanted: Wanted, *, mend: str) -> Iterator[LabelledRowsBeside]:
    """The rows of a file that have a label, and as `y` its position in the classes.

    Raises:
        DataRejected: a row is bad, or has no label, where there is a mend for that; it is left out where there is none.
    """
    with open_rows(source, wanted, digest=False) as rows:
        for batch in rows.batches(0):
            if batch.rejected:
                bad = batch.rejected[:MAX_LISTED]
                hint = next((_HINTS[each.rule] for each in bad if each.rule in _HINTS), None)
                raise DataRejected(
                    "",
                    problems=[Problem(f"{source.place}, {each.place}", each.rule, each.message) for each in bad],
                    hint=hint or "mend these rows, or leave them out",
                )
            if batch.actual is None:
                raise _lacks(source.place, wanted.target, "has the labels", rows.names)
            missing = (batch.actual == UNLABELLED).nonzero()[0]
            if len(missing) and mend:
                place = f"{source.place}, row {batch.numbers[missing[0]]}, column {wanted.target!r}"
                raise _refused(place, "label-missing", "the label is missing", hint=mend)
            there = batch.actual != UNLABELLED
            kept = {name: _keys(rows, batch, name, place=source.place)[there] for name in wanted.keys}
            yield LabelledRowsBeside(batch.features.take(there), batch.actual[there], kept)


def _keys(rows: Reader, batch: Batch, name: str, *, place: str) -> NDArray[Any]:
    """The values of a column that splits the rows, each a text.

    Raises:
        DataRejected: the file lacks it, or a row has no value there.
    """
    import numpy as np

    if name not in batch.kept:
        raise _lacks(place, name, "splits the rows", rows.names)
    texts = key_values(batch.kept[name], boolean=rows.wanted.known_kinds.get(name) == "boolean")
    if texts is None or texts.null_count:
        row = 0 if texts is None else np.flatnonzero(texts.is_null())[0]
        place = f"{place}, row {batch.numbers[row]}, column {name!r}"
        raise _refused(place, "split-missing", "has no value that splits the rows", hint=HINTS["split-missing"])
    values: NDArray[Any] = texts.to_numpy(zero_copy_only=False)
    return values


def _lacks(place: str, name: str, part: str, names: Sequence[str]) -> DataRejected:
    message = f"no column {name!r}, which {part}"
    return _refused(place, "column-missing", message, hint=f"it has: {', '.join(names)}")


def _refused(place: str, rule: str, message: str, *, hint: str) -> DataRejected:
    return DataRejected("", problems=[Problem(place, rule, message)], hint=hint)
