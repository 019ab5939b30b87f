"""Tables to learn from: the readers of prediction give a matrix of the columns to learn from, and the labels."""

from __future__ import annotations

import json
import re
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.batches import Rejected, Wanted
from artifact_pipeline.rows.faults import listed_names, meant_names
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.labels import Labels
from artifact_pipeline.rows.limits import MAX_LISTED, MAX_TEXT
from artifact_pipeline.rows.matrix import LeftOut, Rows
from artifact_pipeline.rows.sources import find_sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Batch
    from artifact_pipeline.rows.formats.opening import Reader
    from artifact_pipeline.rows.kinds import Kind
    from artifact_pipeline.rows.sources import Source

_UNNAMED = re.compile(r"|Unnamed: [0-9]+|__index_level_[0-9]+__")
"""How pandas writes, and reads again, a column without a name."""
_WITHOUT_NAMES = frozenset({"npy", "npz"})
"""Formats whose columns are read all or not at all."""
_REFUSED = "the table cannot be learned"
_REFUSED_BY_READERS = frozenset({"the rows do not fit the model", "there are no rows to predict"})
"""The readers' words, which are of rows to answer."""
_HINTS = {
    "row-width": "give each row as many values as the header has columns; a value with a comma stands in quotes",
    "json-invalid": "write one object in JSON a line, in UTF-8",
    "duplicate-key": "write each key once",
    "column-late": "give all rows the same keys",
    "label-missing": "leave out the rows that have no label",
    "label-lines": "mend the quotes around it: one opens in its first line and closes in its last",
    "label-invalid": "a label is text or a whole number; to tell measured numbers apart, sort them into classes first",
    "not-exact": "write whole numbers beyond 2^53 as labels or leave their column out",
    "not-finite": "replace infinite and huge values, or leave out their rows",
    "too-many-digits": "round the decimals to 15 digits, or write the column as float64",
}
"""What to do about a bad value, by its rule."""
_GAPS = frozenset({"", "na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "#n/a", "<na>"})
"""What stands in tables where a value is missing, in lower case."""
_OF_COLUMN = frozenset({"not-a-number", "not-a-boolean"})
"""Rules that, broken once, are broken by most values of a column."""


def read_table(path: str, *, target: str, features: Sequence[str] | None = None, drop: Sequence[str] = ()) -> Rows:
    """Read a table whole.

    Args:
        path: a file of any format that `predict` reads but pictures, a folder of them, or a pattern.
        target: the column of the labels.
        features: the columns to learn from, in this order; None takes all that are no index.
        drop: columns to leave out.

    Raises:
        DataRejected: it cannot be read, a column is missing, a label is missing, or a value is neither a finite number
            nor a boolean. The first 65,536 rows with a bad value end the reading; each bad column of them is named.
    """
    with _about_learning():
        table = _Table(path, target, None if features is None else tuple(features), tuple(drop))
        for source in find_sources([path]):
            table.add(source)
        return table.rows()


@contextmanager
def _about_learning() -> Iterator[None]:
    """Let the readers' refusals say that the table is to be learned from."""
    try:
        yield
    except DataRejected as error:
        if error.message not in _REFUSED_BY_READERS:
            raise
        raise DataRejected(_REFUSED, problems=error.problems, hint=error.hint) from error


def _refusal(place: str, rule: str, message: str, *, hint: str) -> DataRejected:
    return DataRejected(_REFUSED, problems=[Problem(place, rule, message)], hint=hint)


class _Table:
    """A table that is being read, file by file."""

    def __init__(self, path: str, target: str, features: tuple[str, ...] | None, drop: tuple[str, ...]) -> None:
        self._path, self._target, self._asked, self._drop = path, target, features, drop
        self._features: tuple[str, ...] = ()
        self._left_out: dict[str, LeftOut] = {}
        self._kinds: dict[str, Kind] = {}
        self._pieces: list[NDArray[np.float64]] = []
        self._labels = Labels(target)
        self._starts: list[tuple[int, str]] = []  # the number of a file's first row among all, and its place
        self._count = self._files = self._empty = 0
        self._warnings: list[str] = []

    def add(self, source: Source) -> None:
        """Read a file; one without rows is only counted."""
        self._files += 1
        if source.format == "image":
            message = "is a picture, which has no label"
            raise _refusal(source.place, "unknown-suffix", message, hint="name a table, such as rows.csv")
        before = self._count
        with open_rows(source, self._wanted(()), digest=False) as about:
            names, index = about.names, about.index
        if names:
            chosen = self._choose(source, names, index)
            self._starts.append((self._count, source.place))
            with open_rows(source, self._wanted(chosen), digest=False) as rows:
                for batch in rows.batches(0):
                    self._take(source, batch, chosen)
                self._compare_kinds(source, rows)
                self._warnings += rows.notes
        self._empty += self._count == before

    def _wanted(self, features: tuple[str, ...]) -> Wanted:
        import numpy as np

        bounds, target = np.zeros(len(features)), self._target
        kinds = tuple(self._kinds[name] for name in features) if self._kinds else ()
        return Wanted(features, "float64", target, (), (target,), bounds, bounds, "ignore", kinds=kinds, learning=True)

    def _choose(self, source: Source, names: tuple[str, ...], index: tuple[str, ...]) -> tuple[str, ...]:
        """The columns to read of a file; the first one decides which are learned from."""
        if not self._features:
            self._choose_features(source.place, names, index)
        known = {*self._features, self._target, *self._left_out}
        for name, _ in source.partitions:
            self._left_out.setdefault(name, LeftOut(name, "it stands in the names of folders alone"))
        for name in names:
            if name not in known:
                self._left_out[name] = LeftOut(name, f"{self._starts[0][1]} does not have it")
        if source.format in _WITHOUT_NAMES:
            return tuple(name for name in names if name != self._target)
        return self._features

    def _choose_features(self, place: str, names: tuple[str, ...], index: tuple[str, ...]) -> None:
        """Choose the columns to learn from, of those of the first file; some of them are its `index`."""
        known = frozenset(names)
        missing = [name for name in (*(self._asked or ()), *self._drop) if name not in known]
        if missing:
            problems = [Problem(place, "column-missing", f"no column {name!r}") for name in missing]
            raise DataRejected(_REFUSED, problems=problems, hint=meant_names(missing, names))
        reasons = dict.fromkeys(index, "the file says that it is the index of pandas")
        if self._asked is not None:
            reasons = dict.fromkeys(names, "dataset.features does not name it")
        reasons |= dict.fromkeys(self._drop, "dataset.drop names it")
        there = [name for name in names if name != self._target]
        chosen = self._asked or tuple(name for name in there if name not in reasons)
        _check_names(place, chosen)
        if not chosen:
            message = f"has no column to learn from beside the target {self._target!r}"
            raise _refusal(place, "no-columns", message, hint=f"it has: {', '.join(map(repr, names))}")
        taken = frozenset(chosen)
        self._features = chosen
        self._left_out = {name: LeftOut(name, reasons[name]) for name in there if name not in taken}

    def _take(self, source: Source, batch: Batch, read: tuple[str, ...]) -> None:
        """Take some rows, unless one is bad."""
        import numpy as np

        self._count += batch.count
        if batch.rejected or batch.firsts:
            _refuse(source, batch, (*read, self._target))
        columns = batch.columns
        if read != self._features:
            places = {name: place for place, name in enumerate(read)}
            columns = [columns[places[name]] for name in self._features]
        piece: NDArray[np.float64] = np.stack(columns, axis=1, dtype=np.float64)
        np.add(piece, 0.0, out=piece)  # minus zero is zero: a CSV that writes whole numbers has only one zero
        self._pieces.append(piece)
        self._labels.add(batch.kept[self._target], batch.written)

    def _compare_kinds(self, source: Source, rows: Reader) -> None:
        """Check that the columns of all files are of the same kinds."""
        found = {name: rows.kinds[name] for name in self._features if name in rows.kinds}
        for name, kind in found.items():
            assert kind != "category"  # which is a kind only where columns are given
            if self._kinds.setdefault(name, kind) != kind:
                message = f"column {name!r} holds {kind}s, and {self._kinds[name]}s in {self._starts[0][1]}"
                raise _refusal(source.place, "not-a-number", message, hint="write all files of a table alike")

    def rows(self) -> Rows:
        """All rows.

        Raises:
            DataRejected: there is no row, a label cannot be learned, or no column is left.
        """
        if not self._count:
            hint = "name a table that has a header and rows below it"
            raise _refusal(self._path, "no-rows", "holds no rows", hint=hint)
        y = self._labels.finish()
        if isinstance(y, Rejected):
            start, place = next(each for each in reversed(self._starts) if each[0] <= y.row)
            where = f"{place}, row {y.row - start}, column {y.column!r}"
            raise _refusal(where, y.rule, y.message, hint=_hint([y]))
        kept = self._without_row_numbers()
        X = self._matrix(kept)
        names = tuple(self._features[index] for index in kept)
        kinds = tuple(self._kinds.get(name, "number") for name in names)
        return Rows(
            source="table",
            names=names,
            target=self._target,
            X=X,
            y=y,
            kinds=kinds if "boolean" in kinds else (),
            left_out=tuple(self._left_out.values()),
            files=(self._files, self._empty),
            warnings=(*self._labels.alike(), *self._warnings),
        )

    def _without_row_numbers(self) -> list[int]:
        """The columns that do not count the rows; those that do are left out, unless they are asked for by name."""
        if self._asked is not None:
            return [*range(len(self._features))]
        kept = []
        for column, name in enumerate(self._features):
            first = row_number_of(self._pieces, column) if self._kinds.get(name) != "boolean" else None
            if first is None:
                if _UNNAMED.fullmatch(name):
                    raise _unnamed(self._path, name)
                kept.append(column)
            else:
                last = first + self._count - 1
                reason = f"it counts the rows, {first} to {last:,}; dataset.features would take it"
                self._left_out[name] = LeftOut(name, reason)
        if not kept:
            message = "all of its columns but the target count the rows"
            raise _refusal(self._path, "no-columns", message, hint="dataset.features takes them all the same")
        return kept

    def _matrix(self, kept: list[int]) -> NDArray[np.float64]:
        """All rows of some columns; each piece is let go as it is copied, so that there is one matrix in memory."""
        import numpy as np

        matrix, at = np.empty((self._count, len(kept))), 0
        self._pieces.reverse()
        while self._pieces:
            piece = self._pieces.pop()
            matrix[at : at + len(piece)] = piece if len(kept) == piece.shape[1] else piece[:, kept]
            at += len(piece)
        return matrix


def _check_names(place: str, names: Sequence[str]) -> None:
    if "" in names:
        raise _unnamed(place, "")
    for name in names:
        if len(name) > MAX_TEXT:
            message = f"a column's name must have 1 to {MAX_TEXT} characters, got {name!r:.80}"
            raise _refusal(place, "column-name", message, hint="give it a shorter name")


def _unnamed(place: str, name: str) -> DataRejected:
    message = f"the column {name!r} has no name of its own; it looks like an index that pandas has written"
    hint = f"leave it out: {_drop_hint([name])}; or write the table without it: to_csv(…, index=False)"
    return _refusal(place, "column-name", message, hint=hint)


def _refuse(source: Source, batch: Batch, order: tuple[str, ...]) -> NoReturn:
    """Refuse a table for the first bad value of each column, or for the first broken row."""
    first: dict[str, Rejected] = {}
    for each in batch.firsts:
        if each.column not in first or each.row < first[each.column].row:
            first[each.column] = each
    bad = [*batch.rejected[:1], *(first[name] for name in order if name in first)]
    problems = [Problem(f"{source.place}, {each.place}", each.rule, each.message) for each in bad[:MAX_LISTED]]
    if len(bad) > MAX_LISTED:
        problems.append(Problem(source.place, bad[MAX_LISTED].rule, f"{len(bad) - MAX_LISTED:,} columns more are bad"))
    raise DataRejected(_REFUSED, problems=problems, hint=_hint(bad))


def row_number_of(pieces: Sequence[NDArray[np.float64]], column: int) -> int | None:
    """The first number of a column that counts the rows, each number once in any order; None where it does not.

    Args:
        pieces: the rows, float64 of shape (some rows, columns).
        column: which column.
    """
    import numpy as np

    if not float(pieces[0][0, column]).is_integer():  # which is enough for most columns
        return None
    rows = sum(map(len, pieces))
    first = min(piece[:, column].min() for piece in pieces)
    last = max(piece[:, column].max() for piece in pieces)
    if (first, last) not in {(0.0, rows - 1.0), (1.0, float(rows))}:
        return None
    seen = np.zeros(rows, dtype=np.bool_)
    for piece in pieces:
        values = piece[:, column]
        if (np.trunc(values) != values).any():
            return None
        seen[(values - first).astype(np.int64)] = True
    return int(first) if seen.all() else None


def _drop_hint(names: Sequence[str]) -> str:
    """The option of the command line that leaves columns out."""
    return f"-S {shlex.quote(f'dataset.drop={json.dumps([*names], ensure_ascii=False)}')}"


def _hint(bad: Sequence[Rejected]) -> str:
    """What to do about bad values."""
    gaps = [each.column for each in bad if each.column and _is_gap(each)]
    texts = [each.column for each in bad if each.rule in _OF_COLUMN and not _is_gap(each)]
    hints = []
    if texts:
        hints.append(f"only numbers and booleans are learned; leave the other columns out: {_drop_hint(texts)}")
    if gaps:
        words = "fill in the values that are missing, or leave out their rows; or the columns"
        hints.append(f"{words} {listed_names(gaps)}: {_drop_hint([*texts, *gaps])}")
    others = dict.fromkeys(each.rule for each in bad if each.column not in {*gaps, *texts})
    hints += [_HINTS[rule] for rule in others if rule in _HINTS]
    return "; ".join(hints)


def _is_gap(bad: Rejected) -> bool:
    """Whether a value stands for one that is missing."""
    value = bad.rule in {*_OF_COLUMN, "not-finite"} and bad.value.strip().lower() in _GAPS
    return bad.rule == "missing" or value
