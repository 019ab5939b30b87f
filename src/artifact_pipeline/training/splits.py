"""Which rows are held out to measure the model.

`random` draws them, as scikit-learn does. The other splits do not leak as the data grows: where a row stands in the
file decides nothing, and equal rows stay together.

* `hash`: a row is held out where the hash of its features, or of its key columns, is among the lowest. So any later row
  can be told held-out from training by itself, and no row is stored for it.
* `group`: whole groups, in the order of the hash of their name, until the share of rows is reached.
* `time`: the rows of the latest times; equal times stay together.
* `held_out`: the rows of another file, behind those of the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.row_hash import below, feature_hashes, is_missing, key_hashes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.config.preparing import Split
    from artifact_pipeline.rows.features import Column, Features
    from artifact_pipeline.rows.matrix import Rows

    Labels = NDArray[np.int64] | NDArray[np.str_]


_PIECE = 1 << 14
"""Rows that are hashed at once."""


class Sides(NamedTuple):
    """The two sides of a split.

    Attributes:
        train: int64 positions of the training rows, in the order in which the estimator sees them.
        held_out: int64 positions of the rows that the estimator never sees.
    """

    train: NDArray[np.int64]
    held_out: NDArray[np.int64]


class LabelledRows(NamedTuple):
    """Rows to be split.

    Attributes:
        columns: the columns that are learned from, whose values are `rows`.
        others: the values of the columns by which the rows are split, as they were read, whether they are learned from
            or not; None and NaN are missing.
    """

    columns: Sequence[Column]
    rows: Features
    y: Labels
    others: Mapping[str, Sequence[Any] | NDArray[Any]]

    @classmethod
    def of(cls, rows: Rows) -> LabelledRows:
        """Return what a split needs of rows, which must have labels."""
        assert rows.y is not None
        return cls(rows.columns, rows.features, rows.y, others=rows.split_by)

    def values(self, name: str) -> Sequence[Any] | NDArray[Any]:
        """Return the values of a column.

        Raises:
            DataRejected: there is no such column.
        """
        from artifact_pipeline.rows.features import category_columns, number_columns

        if name in self.others:
            return self.others[name]
        for kind, found in ((number_columns, self.rows.X), (category_columns, self.rows.S)):
            names = [column.name for column in kind(self.columns)]
            if name in names:
                values: NDArray[Any] = found[:, names.index(name)]
                return values
        message = f"no column {name!r}, by which the rows are to be split"
        raise _refused("split-column", message, hint="name a column of the table in split.column or split.key")


def split(table: LabelledRows, asked: Split, *, random_state: int) -> Sides:
    """Return the sides of a split: random, hash, group or time.

    Args:
        table: the rows.
        asked: how they are split.
        random_state: the seed; another one holds other rows out, but for `time`.

    Raises:
        DataRejected: a side would be empty, there is one class alone, training would lack a class, or a column is
            missing or has missing values.
    """
    if asked.by == "random":
        return random_split(table.y, test_size=asked.test_size, random_state=random_state, stratify=asked.stratify)
    if asked.by == "hash":
        out = _by_hash(table, asked, random_state)
    elif asked.by == "group":
        out = _by_group(table, asked, random_state)
    else:
        out = _by_time(table, asked)
    return _sides(table.y, out, mend=_MENDS[asked.by])


_MENDS = {
    "hash": "set another random_state, or give more rows of that label",
    "group": "set another random_state, or give groups with rows of that label",
    "time": "give earlier rows of that label, or hold out fewer rows: a smaller split.test_size",
    "held_out": "give the training file rows of that label",
}
"""What to do where no training row has a label that held-out rows have, by the split."""


def random_split(y: Labels, *, test_size: float, random_state: int, stratify: bool) -> Sides:
    """Return the sides as `sklearn.model_selection.train_test_split` splits the rows.

    Raises:
        DataRejected: a side would be empty, there is one class alone, or one is too small to be stratified or learned.
    """
    import numpy as np
    from sklearn.model_selection import train_test_split

    _check_classes(y)
    try:
        train, held_out = train_test_split(
            np.arange(len(y)), test_size=test_size, random_state=random_state, stratify=y if stratify else None
        )
    except ValueError as error:
        hint = "give more rows, set another test_size, or set stratify to false"
        raise _refused("split", str(error).splitlines()[0].removesuffix("."), hint=hint) from error
    _check_training(y, train, hint="set stratify to true, or give more rows of that label")
    return Sides(train, held_out)


def of_two_files(y: Labels, training: int) -> Sides:
    """Return the sides of rows of which the first `training` are learned from; the others are of the held-out file.

    Raises:
        DataRejected: as `split`.
    """
    import numpy as np

    return _sides(y, np.arange(len(y)) >= training, mend=_MENDS["held_out"])


def repeated(rows: Features, sides: Sides) -> int:
    """Return how many held-out rows have the very features of a training row: on these the model is not tested."""
    import numpy as np

    found = _fingerprints(rows)
    return int(np.isin(found[sides.held_out], found[sides.train]).sum())


def held_out_beside(
    table: LabelledRows, held_out: LabelledRows, asked: Split, *, random_state: int
) -> NDArray[np.bool_]:
    """Return which rows of another table must not be learned from, bool of shape (rows,).

    Those are rows that have the very features of a held-out row; of a hash split, rows on its held-out side; and of
    a split by groups, rows of a group that is held out. `held_out` are the rows that the split has held out.
    """
    import numpy as np

    found: NDArray[np.bool_] = np.isin(_fingerprints(table.rows), _fingerprints(held_out.rows))
    if asked.by == "hash":
        found |= _by_hash(table, asked, random_state)
    if asked.by == "group":
        assert asked.column is not None
        mine, theirs = (
            key_hashes({asked.column: each.values(asked.column)}, seed=random_state) for each in (table, held_out)
        )
        found |= np.isin(mine, theirs)
    return found


def _fingerprints(rows: Features) -> NDArray[np.uint64]:
    """A 64-bit hash of each row; texts have other hashes in another process."""
    import numpy as np

    found = np.zeros(len(rows), dtype=np.uint64)
    for start in range(0, len(rows), _PIECE):
        piece, own = rows[start : start + _PIECE], found[start : start + _PIECE]
        for column in np.where(np.isnan(piece.X), np.nan, piece.X + 0.0).T.copy():
            _mix(own, column.view(np.uint64))
        for texts in piece.S.T:
            _mix(own, np.fromiter(map(hash, texts), dtype=np.int64, count=len(texts)).view(np.uint64))
    return found


def _mix(found: NDArray[np.uint64], values: NDArray[np.uint64]) -> None:
    """Mix values into the numbers in place, by the steps of splitmix64 (Steele, Lea and Flood 2014)."""
    import numpy as np

    found += np.uint64(0x9E3779B97F4A7C15)
    found ^= values
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        found ^= found >> np.uint64(shift)
        found *= np.uint64(factor)
    found ^= found >> np.uint64(31)


def _by_hash(table: LabelledRows, asked: Split, seed: int) -> NDArray[np.bool_]:
    if asked.key is None:
        hashes = feature_hashes(table.columns, table.rows, seed=seed)
    else:
        hashes = key_hashes({name: complete(table, name) for name in asked.key}, seed=seed)
    return below(hashes, asked.test_size)


def _by_group(table: LabelledRows, asked: Split, seed: int) -> NDArray[np.bool_]:
    """Hold out the first groups, by their hash, that have the share of rows together; at least one stays."""
    import numpy as np

    assert asked.column is not None
    hashes = key_hashes({asked.column: complete(table, asked.column)}, seed=seed)
    groups, counts = np.unique(hashes, return_counts=True)
    reached = int(np.searchsorted(np.cumsum(counts), asked.test_size * len(hashes)))
    held_out: NDArray[np.bool_] = hashes <= groups[reached] if reached < len(groups) - 1 else hashes < groups[-1]
    return held_out


def _by_time(table: LabelledRows, asked: Split) -> NDArray[np.bool_]:
    import numpy as np

    assert asked.column is not None
    times = np.asarray(complete(table, asked.column))
    ordered = np.sort(times)
    first = ordered[len(ordered) - max(1, round(asked.test_size * len(ordered)))]
    latest: NDArray[np.bool_] = times >= first if first != ordered[0] else times > first
    return latest


def complete(table: LabelledRows, name: str) -> Sequence[Any] | NDArray[Any]:
    """Return a column's values, all of which are there.

    Raises:
        DataRejected: one is missing, or there is no such column.
    """
    values = table.values(name)
    missing = next((row for row, value in enumerate(values) if is_missing(value)), None)
    if missing is not None:
        message = f"row {missing + 1} has no value in the column {name!r}, which splits the rows"
        raise _refused("split-missing", message, hint="give it one, leave the row out, or split by another column")
    return values


def _sides(y: Labels, out: NDArray[np.bool_], *, mend: str) -> Sides:
    """Return the checked sides, both in the order of the rows; `out` says which rows are held out."""
    import numpy as np

    _check_classes(y)
    train, held_out = np.flatnonzero(~out), np.flatnonzero(out)
    if not len(train) or not len(held_out):
        side = "held-out" if len(train) else "training"
        hint = "give more rows, set another test_size or random_state, or split by random"
        raise _refused("split", f"no row is on the {side} side", hint=hint)
    _check_training(y, train, hint=mend)
    return Sides(train, held_out)


def _check_classes(y: Labels) -> None:
    import numpy as np

    classes = np.unique(y)
    if len(classes) == 1:
        message = f"all rows have the label {classes[0]}; a classifier needs two"
        raise _refused("single-class", message, hint="give rows of another label, or name another target")


def _check_training(y: Labels, train: NDArray[np.int64], *, hint: str) -> None:
    import numpy as np

    missing = np.setdiff1d(np.unique(y), y[train])
    if missing.size:
        raise _refused("class-not-in-training", f"no training row has the label {missing[0]}", hint=hint)


def _refused(rule: str, message: str, *, hint: str) -> DataRejected:
    return DataRejected("the rows cannot be split", problems=[Problem("rows", rule, message)], hint=hint)
