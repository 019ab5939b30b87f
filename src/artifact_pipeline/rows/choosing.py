"""Which columns of a table are learned from, chosen by their names; and the errors of a table to learn from."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.faults import meant_names
from artifact_pipeline.rows.limits import MAX_LISTED, MAX_TEXT
from artifact_pipeline.rows.matrix import LeftOut
from artifact_pipeline.rows.mends import drop_hint, format_hint, hint_of_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Rejected
    from artifact_pipeline.rows.sources import Source

_UNNAMED = re.compile(r"|Unnamed: [0-9]+|__index_level_[0-9]+__")
"""The names that pandas gives to a column without a name."""
WITHOUT_NAMES = frozenset({"npy", "npz"})
"""Formats whose columns are read all or not at all."""
REFUSED = "the table cannot be learned"
_READERS_MESSAGES = frozenset({"the rows do not fit the model", "there are no rows to predict"})
"""Messages of the readers that are about rows to answer."""


@contextmanager
def about_learning() -> Iterator[None]:
    """Replace the messages of the readers' errors by one about a table to learn from."""
    try:
        yield
    except DataRejected as error:
        if "unknown-suffix" in error.rules and error.message == "the rows cannot be read":
            rename = "give the table such a name; in a folder of parts no other file may stand"
            hint = format_hint(error.problems[0].place, otherwise=rename)
            raise DataRejected(REFUSED, problems=error.problems, hint=hint) from error
        if error.message not in _READERS_MESSAGES:
            raise
        raise DataRejected(REFUSED, problems=error.problems, hint=error.hint) from error


def refusal(place: str, rule: str, message: str, *, hint: str) -> DataRejected:
    """Return the error of a table that cannot be learned from, with one problem."""
    return DataRejected(REFUSED, problems=[Problem(place, rule, message)], hint=hint)


def no_rows(place: str) -> DataRejected:
    """Return the error of a table without a row."""
    return refusal(place, "no-rows", "holds no rows", hint="name a table that has a header and rows below it")


def refuse_picture(source: Source) -> None:
    """Refuse a picture, which has no label."""
    if source.format == "image":
        message = "is a picture, which has no label"
        raise refusal(source.place, "unknown-suffix", message, hint="name a table, such as rows.csv")


class ColumnChoice:
    """The columns of a table to learn from; the first file that has columns determines them.

    Attributes:
        features: the columns to learn from, in their order; empty before the first file.
        left_out: the other columns, by their names.
    """

    def __init__(
        self, target: str, asked: tuple[str, ...] | None, drop: tuple[str, ...], split_by: tuple[str, ...]
    ) -> None:
        """Begin without a file; with None for `asked` all columns are learned from that are no index."""
        self._target, self._asked, self._drop, self._split_by = target, asked, drop, split_by
        self._first_place = ""
        self.features: tuple[str, ...] = ()
        self.left_out: dict[str, LeftOut] = {}

    def leave_out(self, name: str, reason: str) -> None:
        """Leave a column out."""
        self.left_out[name] = LeftOut(name, reason)

    def columns_of(self, source: Source, names: tuple[str, ...], index: tuple[str, ...]) -> tuple[str, ...]:
        """Return the columns to read of a file that has the columns `names`; those of `index` are an index of pandas.

        Raises:
            DataRejected: a column is missing, has no name, or there is none to learn from.
        """
        if not self.features:
            self._first_place = source.place
            self._check_split_by(source, names)
            self._choose(source.place, names, index)
        known = {*self.features, self._target, *self.left_out}
        for name, _ in source.partitions:
            if name not in self.left_out:
                self.leave_out(name, "it stands in the names of folders alone")
        for name in names:
            if name not in known:
                self.leave_out(name, f"{self._first_place} does not have it")
        if source.format in WITHOUT_NAMES:
            return tuple(name for name in names if name != self._target)
        return self.features

    def _check_split_by(self, source: Source, names: tuple[str, ...]) -> None:
        """Check that the columns by which the rows are split are in the file, or in the names of its folders."""
        there = {*names, *(name for name, _ in source.partitions)}
        missing = [name for name in self._split_by if name not in there]
        if missing:
            message = "no column {!r}, by which the rows are to be split"
            problems = [Problem(source.place, "split-column", message.format(name)) for name in missing]
            raise DataRejected(REFUSED, problems=problems, hint=meant_names(missing, names))

    def _choose(self, place: str, names: tuple[str, ...], index: tuple[str, ...]) -> None:
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
        self.features = chosen
        reasons |= {name: f"{reasons[name]}; it splits the rows" for name in self._split_by if name in reasons}
        self.left_out = {name: LeftOut(name, reasons[name]) for name in there if name not in taken}


def is_unnamed(name: str) -> bool:
    """Whether pandas has made up the name, for an index or a column without one."""
    return _UNNAMED.fullmatch(name) is not None


def _check_names(place: str, names: Sequence[str]) -> None:
    if "" in names:
        raise unnamed(place, "")
    for name in names:
        if len(name) > MAX_TEXT:
            message = f"a column's name must have 1 to {MAX_TEXT} characters, got {name!r:.80}"
            raise refusal(place, "column-name", message, hint="give it a shorter name")


def unnamed(place: str, name: str) -> DataRejected:
    """Return the error of a column without a name of its own."""
    message = f"the column {name!r} has no name of its own; it looks like an index that pandas has written"
    hint = f"leave it out: {drop_hint([name])}; or write the table without it: to_csv(…, index=False)"
    return refusal(place, "column-name", message, hint=hint)


def capped(problems: list[Problem], place: str) -> list[Problem]:
    """Return the first problems, and one that counts the others."""
    if len(problems) <= MAX_LISTED:
        return problems
    more = Problem(place, problems[MAX_LISTED].rule, f"{len(problems) - MAX_LISTED:,} columns more are bad")
    return [*problems[:MAX_LISTED], more]


def refuse_bad_rows(place: str, broken: Sequence[Rejected], firsts: Iterable[Rejected], order: tuple[str, ...]) -> None:
    """Refuse a file that has malformed rows or bad values.

    Raises:
        DataRejected: it names the first malformed row, and for each column, in their `order`, the first bad value.
    """
    first: dict[str, Rejected] = {}
    for each in firsts:
        if each.column not in first or each.row < first[each.column].row:
            first[each.column] = each
    bad = [*broken[:1], *(first[name] for name in order if name in first)]
    if bad:
        problems = [Problem(f"{place}, {each.place}", each.rule, each.message) for each in bad]
        raise DataRejected(REFUSED, problems=capped(problems, place), hint=hint_of_columns(bad))


def row_number_of(pieces: Sequence[NDArray[np.float64]]) -> int | None:
    """Return the first number of a column that numbers the rows, in any order; None if it does not.

    Args:
        pieces: the column, each piece float64 of shape (some rows,), at least one row.
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
