"""What is chosen of a table to learn from, by its columns' names; and the refusals of one."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.batches import Piece, Rejected
from artifact_pipeline.rows.faults import meant_names
from artifact_pipeline.rows.labels import Labels
from artifact_pipeline.rows.limits import MAX_LISTED, MAX_TEXT
from artifact_pipeline.rows.matrix import LeftOut
from artifact_pipeline.rows.mends import drop_hint, format_hint, hint_of_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.sources import Source

_UNNAMED = re.compile(r"|Unnamed: [0-9]+|__index_level_[0-9]+__")
"""How pandas writes, and reads again, a column without a name."""
WITHOUT_NAMES = frozenset({"npy", "npz"})
"""Formats whose columns are read all or not at all."""
REFUSED = "the table cannot be learned"
_REFUSED_BY_READERS = frozenset({"the rows do not fit the model", "there are no rows to predict"})
"""The readers' words, which are of rows to answer."""


@contextmanager
def about_learning() -> Iterator[None]:
    """Let the readers' refusals say that the table is to be learned from."""
    try:
        yield
    except DataRejected as error:
        if "unknown-suffix" in error.rules and error.message == "the rows cannot be read":
            rename = "give the table such a name; in a folder of parts no other file may stand"
            hint = format_hint(error.problems[0].place, otherwise=rename)
            raise DataRejected(REFUSED, problems=error.problems, hint=hint) from error
        if error.message not in _REFUSED_BY_READERS:
            raise
        raise DataRejected(REFUSED, problems=error.problems, hint=error.hint) from error


def refusal(place: str, rule: str, message: str, *, hint: str) -> DataRejected:
    """Return the error of a table that cannot be learned, with one problem."""
    return DataRejected(REFUSED, problems=[Problem(place, rule, message)], hint=hint)


class LearnedTable:
    """Of a table that is being read: which columns are learned from, the labels, and where a row stands."""

    def __init__(
        self,
        path: str,
        target: str,
        features: tuple[str, ...] | None,
        drop: tuple[str, ...],
        *,
        split_by: tuple[str, ...] = (),
    ) -> None:
        self._path, self._target, self._asked, self._drop = path, target, features, drop
        self._split_by = split_by
        self._features: tuple[str, ...] = ()
        self._left_out: dict[str, LeftOut] = {}
        self._labels = Labels(target)
        self._starts: list[tuple[int, str]] = []  # the number of a file's first row among all, and its place
        self._count = self._files = self._empty = 0
        self._warnings: list[str] = []

    def _choose(self, source: Source, names: tuple[str, ...], index: tuple[str, ...]) -> tuple[str, ...]:
        """The columns to read of a file; the first one decides which are learned from."""
        if not self._features:
            self._check_split_by(source, names)
            self._choose_features(source.place, names, index)
        known = {*self._features, self._target, *self._left_out}
        for name, _ in source.partitions:
            self._left_out.setdefault(name, LeftOut(name, "it stands in the names of folders alone"))
        for name in names:
            if name not in known:
                self._left_out[name] = LeftOut(name, f"{self._starts[0][1]} does not have it")
        if source.format in WITHOUT_NAMES:
            return tuple(name for name in names if name != self._target)
        return self._features

    def _check_split_by(self, source: Source, names: tuple[str, ...]) -> None:
        """Check that the columns by which the rows are split are there, or stand in the names of folders."""
        there = {*names, *(name for name, _ in source.partitions)}
        missing = [name for name in self._split_by if name not in there]
        if missing:
            message = "no column {!r}, by which the rows are to be split"
            problems = [Problem(source.place, "split-column", message.format(name)) for name in missing]
            raise DataRejected(REFUSED, problems=problems, hint=meant_names(missing, names))

    def _choose_features(self, place: str, names: tuple[str, ...], index: tuple[str, ...]) -> None:
        """Choose the columns to learn from, of those of the first file; some of them are its `index`."""
        known = frozenset(names)
        missing = [name for name in (*(self._asked or ()), *self._drop) if name not in known]
        if missing:
            problems = [Problem(place, "column-missing", f"no column {name!r}") for name in missing]
            raise DataRejected(REFUSED, problems=problems, hint=meant_names(missing, names))
        reasons = dict.fromkeys(index, "the file says that it is the index of pandas")
        if self._asked is not None:
            reasons = dict.fromkeys(names, "dataset.features does not name it")
        reasons |= dict.fromkeys(self._drop, "dataset.drop names it")
        there = [name for name in names if name != self._target]
        chosen = self._asked or tuple(name for name in there if name not in reasons)
        _check_names(place, chosen)
        if not chosen:
            message = f"has no column to learn from beside the target {self._target!r}"
            raise refusal(place, "no-columns", message, hint=f"it has: {', '.join(map(repr, names))}")
        taken = frozenset(chosen)
        self._features = chosen
        reasons |= {name: f"{reasons[name]}; it splits the rows" for name in self._split_by if name in reasons}
        self._left_out = {name: LeftOut(name, reasons[name]) for name in there if name not in taken}

    def _learned_labels(self) -> NDArray[np.int64] | NDArray[np.str_]:
        if not self._count:
            hint = "name a table that has a header and rows below it"
            raise refusal(self._path, "no-rows", "holds no rows", hint=hint)
        y = self._labels.finish()
        if isinstance(y, Rejected):
            where = f"{self._place_of(y.row)}, column {y.column!r}"
            raise refusal(where, y.rule, y.message, hint=hint_of_columns([y]))
        return y

    def _place_of(self, row: int) -> str:
        """Where a row stands, by its number among all rows."""
        start, place = self._file_of(row)
        return f"{place}, row {row - start}"

    def _file_of(self, row: int) -> tuple[int, str]:
        """The number of the first row of its file among all rows, and the file."""
        return next(each for each in reversed(self._starts) if each[0] <= row)

    def _no_column(self) -> DataRejected:
        message = "all of its columns but the target count the rows"
        return refusal(self._path, "no-columns", message, hint="dataset.features takes them all the same")

    def _is_kept(self, name: str, first: int | None) -> bool:
        """Whether a column is learned from; it is not where it counts the rows from `first` on."""
        if first is None:
            if is_unnamed(name):
                raise _unnamed(self._path, name)
            return True
        last = first + self._count - 1
        reason = f"it counts the rows, {first} to {last:,}; dataset.features would take it"
        self._left_out[name] = LeftOut(name, reason)
        return False


def is_unnamed(name: str) -> bool:
    """Whether a column has no name of its own: pandas has written it for an index."""
    return _UNNAMED.fullmatch(name) is not None


def _check_names(place: str, names: Sequence[str]) -> None:
    if "" in names:
        raise _unnamed(place, "")
    for name in names:
        if len(name) > MAX_TEXT:
            message = f"a column's name must have 1 to {MAX_TEXT} characters, got {name!r:.80}"
            raise refusal(place, "column-name", message, hint="give it a shorter name")


def _unnamed(place: str, name: str) -> DataRejected:
    message = f"the column {name!r} has no name of its own; it looks like an index that pandas has written"
    hint = f"leave it out: {drop_hint([name])}; or write the table without it: to_csv(…, index=False)"
    return refusal(place, "column-name", message, hint=hint)


def refuse(source: Source, rows: Piece, order: tuple[str, ...]) -> NoReturn:
    """Refuse a table for the first bad value of each column, or for the first broken row."""
    first: dict[str, Rejected] = {}
    for each in rows.firsts:
        if each.column not in first or each.row < first[each.column].row:
            first[each.column] = each
    bad = [*rows.broken[:1], *(first[name] for name in order if name in first)]
    problems = [Problem(f"{source.place}, {each.place}", each.rule, each.message) for each in bad[:MAX_LISTED]]
    if len(bad) > MAX_LISTED:
        problems.append(Problem(source.place, bad[MAX_LISTED].rule, f"{len(bad) - MAX_LISTED:,} columns more are bad"))
    raise DataRejected(REFUSED, problems=problems, hint=hint_of_columns(bad))


def row_number_of(pieces: Sequence[NDArray[np.float64]]) -> int | None:
    """The first number of a column that counts the rows, each number once in any order; None where it does not.

    Args:
        pieces: the column, each piece float64 of shape (some rows,).
    """
    import numpy as np

    if not float(pieces[0][0]).is_integer():  # which is enough for most columns
        return None
    rows = sum(map(len, pieces))
    first, last = min(piece.min() for piece in pieces), max(piece.max() for piece in pieces)
    if (first, last) not in {(0.0, rows - 1.0), (1.0, float(rows))}:
        return None
    seen = np.zeros(rows, dtype=np.bool_)
    for piece in pieces:
        if (np.trunc(piece) != piece).any():
            return None
        seen[(piece - first).astype(np.int64)] = True
    return int(first) if seen.all() else None
