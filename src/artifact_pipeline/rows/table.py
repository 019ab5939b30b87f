"""Tables to learn from: the same readers as for rows to answer give a matrix, the labels, and what was left out."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.batches import Wanted
from artifact_pipeline.rows.choice import REFUSED, UNNAMED, Asked, choose_features, refuse_unnamed, row_number_of
from artifact_pipeline.rows.formats.opening import OpenRows, open_rows
from artifact_pipeline.rows.labels import BadLabel, Labels
from artifact_pipeline.rows.limits import MAX_LISTED
from artifact_pipeline.rows.matrix import LeftOut, Rows
from artifact_pipeline.rows.mending import mend
from artifact_pipeline.rows.sources import find_sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Batch, Rejected
    from artifact_pipeline.rows.matrix import Kind
    from artifact_pipeline.rows.sources import Source

_WITHOUT_NAMES = frozenset({"npy", "npz"})
"""Formats whose columns are read all or not at all."""
_OURS = frozenset({"the rows do not fit the model", "there are no rows to predict"})
"""What the readers say of rows to answer."""


def read_table(path: str, *, target: str, features: Sequence[str] | None = None, drop: Sequence[str] = ()) -> Rows:
    """Read a table whole.

    Args:
        path: a file of any format that `predict` reads but pictures, a folder of them, or a pattern.
        target: the column of the labels.
        features: the columns to learn from, in this order; None takes all that are no index.
        drop: columns to leave out.

    Raises:
        DataRejected: it cannot be read, a column is missing, a label is missing, or a value is neither a finite number
            nor a boolean. The first 65,536 rows with a bad value end the reading; each bad column of them is told.
    """
    asked = Asked(target, None if features is None else tuple(features), tuple(drop))
    with _said_of_training():
        sources = find_sources([path])
        reading = _Reading(path, asked)
        for source in sources:
            reading.add(source)
        return reading.rows()


class _Reading:
    """A table that is being read, file by file."""

    def __init__(self, path: str, asked: Asked) -> None:
        self._path, self._asked = path, asked
        self._features: tuple[str, ...] = ()
        self._left_out: dict[str, LeftOut] = {}
        self._kinds: dict[str, Kind] = {}
        self._pieces: list[NDArray[np.float64]] = []
        self._labels = Labels()
        self._starts: list[tuple[int, str]] = []  # the number of a file's first row among all, and its place
        self._count = self._files = self._empty = 0
        self._warnings: list[str] = []

    def add(self, source: Source) -> None:
        """Read a file; one without rows is counted alone."""
        self._files += 1
        if source.format == "image":
            problem = Problem(source.place, "unknown-suffix", "is a picture, which has no label")
            raise DataRejected(REFUSED, problems=[problem], hint="name a table, such as rows.csv")
        before = self._count
        with open_rows(source, self._wanted(()), digest=False) as about:
            assert isinstance(about, OpenRows)
            names, index = about.names, about.index
        if names:
            chosen = self._choose(source, names, index)
            self._starts.append((self._count, source.place))
            with open_rows(source, self._wanted(chosen), digest=False) as rows:
                assert isinstance(rows, OpenRows)
                for batch in rows.batches(0):
                    self._take(source, batch, chosen)
                self._agree(source, rows)
                self._warnings += rows.notes
        self._empty += self._count == before

    def _wanted(self, features: tuple[str, ...]) -> Wanted:
        import numpy as np

        bounds, target = np.zeros(len(features)), self._asked.target
        kinds = tuple(self._kinds[name] for name in features) if self._kinds else ()
        return Wanted(features, "float64", target, (), (target,), bounds, bounds, "ignore", kinds=kinds, learning=True)

    def _choose(self, source: Source, names: tuple[str, ...], index: tuple[str, ...]) -> tuple[str, ...]:
        """The columns to read of a file; the first one decides which are learned from."""
        if not self._features:
            self._features, left_out = choose_features(source.place, names, index, self._asked)
            self._left_out = {each.name: each for each in left_out}
        known = {*self._features, self._asked.target, *self._left_out}
        for name, _ in source.partitions:
            self._left_out.setdefault(name, LeftOut(name, "it stands in the names of folders alone"))
        for name in names:
            if name not in known:
                self._left_out[name] = LeftOut(name, f"{self._starts[0][1]} does not have it")
        if source.format in _WITHOUT_NAMES:
            return tuple(name for name in names if name != self._asked.target)
        return self._features

    def _take(self, source: Source, batch: Batch, read: tuple[str, ...]) -> None:
        """Take some rows, unless one is bad."""
        import numpy as np

        self._count += batch.count
        if batch.rejected or batch.firsts:
            _refuse(source, batch, (*read, self._asked.target))
        columns = batch.columns
        if read != self._features:
            places = {name: place for place, name in enumerate(read)}
            columns = [columns[places[name]] for name in self._features]
        piece: NDArray[np.float64] = np.stack(columns, axis=1, dtype=np.float64)
        np.add(piece, 0.0, out=piece)  # minus zero is zero: a CSV that writes whole numbers knows one zero alone
        self._pieces.append(piece)
        self._labels.add(batch.kept[self._asked.target], batch.written)

    def _agree(self, source: Source, rows: OpenRows) -> None:
        """See that the columns of all files are of the same kinds."""
        found = {name: rows.kinds[name] for name in self._features if name in rows.kinds}
        for name, kind in found.items():
            if self._kinds.setdefault(name, kind) != kind:
                message = f"column {name!r} holds {kind}s, and {self._kinds[name]}s in {self._starts[0][1]}"
                problem = Problem(source.place, "not-a-number", message)
                raise DataRejected(REFUSED, problems=[problem], hint="write all files of a table alike")

    def rows(self) -> Rows:
        """What has been read.

        Raises:
            DataRejected: there is no row, a label can be none, or no column is left.
        """
        if not self._count:
            raise DataRejected(
                REFUSED,
                problems=[Problem(self._path, "no-rows", "holds no rows")],
                hint="name a table that has a header and rows below it",
            )
        y = self._labels.finish()
        if isinstance(y, BadLabel):
            self._refuse_label(y)
        kept = self._without_row_numbers()
        X = self._matrix(kept)
        names = tuple(self._features[index] for index in kept)
        kinds = tuple(self._kinds.get(name, "number") for name in names)
        return Rows(
            source="table",
            names=names,
            target=self._asked.target,
            X=X,
            y=y,
            kinds=kinds if "boolean" in kinds else (),
            left_out=tuple(self._left_out.values()),
            files=(self._files, self._empty),
            warnings=(*self._labels.alike(), *self._warnings),
        )

    def _refuse_label(self, bad: BadLabel) -> NoReturn:
        start, place = next(each for each in reversed(self._starts) if each[0] <= bad.row)
        where = f"{place}, row {bad.row - start}, column {self._asked.target!r}"
        from artifact_pipeline.rows.batches import Rejected

        told = Rejected(bad.row, self._asked.target, bad.value, bad.rule, bad.message, {})
        raise DataRejected(REFUSED, problems=[Problem(where, bad.rule, bad.message)], hint=mend([told]))

    def _without_row_numbers(self) -> list[int]:
        """The columns that do not count the rows; those that do are left out, unless they are asked for by name."""
        if self._asked.features is not None:
            return [*range(len(self._features))]
        kept = []
        for column, name in enumerate(self._features):
            first = row_number_of(self._pieces, column) if self._kinds.get(name) != "boolean" else None
            if first is None:
                if UNNAMED.fullmatch(name):
                    refuse_unnamed(self._path, name)
                kept.append(column)
            else:
                last = first + self._count - 1
                reason = f"it counts the rows, {first} to {last:,}; dataset.features would take it"
                self._left_out[name] = LeftOut(name, reason)
        if not kept:
            problem = Problem(self._path, "no-columns", "all of its columns but the target count the rows")
            raise DataRejected(REFUSED, problems=[problem], hint="dataset.features takes them all the same")
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


def _refuse(source: Source, batch: Batch, order: tuple[str, ...]) -> NoReturn:
    """Refuse a table for the first bad value of each column, or for the first rows that are none."""
    first: dict[str, Rejected] = {}
    for each in batch.firsts:
        if each.column not in first or each.row < first[each.column].row:
            first[each.column] = each
    bad = [*batch.rejected[:1], *(first[name] for name in order if name in first)]
    problems = [Problem(f"{source.place}, {each.place}", each.rule, each.message) for each in bad[:MAX_LISTED]]
    if len(bad) > MAX_LISTED:
        problems.append(Problem(source.place, bad[MAX_LISTED].rule, f"{len(bad) - MAX_LISTED:,} columns more are bad"))
    raise DataRejected(REFUSED, problems=problems, hint=mend(bad))


@contextmanager
def _said_of_training() -> Iterator[None]:
    """Say of a refusal that it is of a table to be learned.

    Raises:
        DataRejected: what the block raised.
    """
    try:
        yield
    except DataRejected as error:
        if error.message not in _OURS:
            raise
        raise DataRejected(REFUSED, problems=error.problems, hint=error.hint) from error
