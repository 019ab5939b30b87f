"""The columns of a table while it is read to learn from, in parts, and their conversion into arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.errors import plural
from artifact_pipeline.rows.batches import Wanted
from artifact_pipeline.rows.faults import Faults
from artifact_pipeline.rows.features import Column
from artifact_pipeline.rows.inference import GAP_NUMBERS, ColumnCells
from artifact_pipeline.rows.labels import alike

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Piece, Rejected
    from artifact_pipeline.rows.features import ColumnKind


_GROWTH = 8
"""A full matrix grows by one part of so many: on Linux its memory is moved, and not copied."""
_AT_ONCE = 1 << 14
"""Rows that are copied at a time."""


def wanted_for(
    features: tuple[str, ...], target: str, *, keep: tuple[str, ...] = (), cells: Iterable[ColumnCells] = ()
) -> Wanted:
    """Return what is read of a file to learn from; `cells` tell which columns have a given kind, or are text."""
    columns = tuple(
        Column(each.name, each.given or "category", nullable=True) for each in cells if each.given or each.holds_texts
    )
    return Wanted(features, "float64", target, keep=keep, learning=True, columns=columns)


class HeldRows:
    """Consecutive rows: a matrix of the columns that are numbers in all of them, and the cells of the other columns.

    Attributes:
        numbers: the names of the columns in the matrix.
        rows: the number of rows.
    """

    def __init__(self, numbers: tuple[str, ...]) -> None:
        """Begin without a row."""
        import numpy as np

        self.numbers, self.rows = numbers, 0
        self._matrix = np.empty((0, len(numbers)))
        self._texts: dict[str, list[NDArray[np.int32]]] = {}

    def add(self, found: Mapping[str, NDArray[Any]], rows: int) -> None:
        """Add rows: their cells by the columns' names."""
        import numpy as np

        end = self.rows + rows
        if self.numbers and rows:
            if end > len(self._matrix):
                self._resize(end + end // _GROWTH)
            own = self._matrix[self.rows : end]
            np.stack([found[name] for name in self.numbers], axis=1, out=own)
            own += 0.0  # minus zero becomes zero: a CSV of whole numbers has only one zero
        for name in found.keys() - self.numbers:
            self._texts.setdefault(name, []).append(found[name])
        self.rows = end

    def _resize(self, rows: int) -> None:
        self._matrix.resize((rows, len(self.numbers)), refcheck=False)  # no other array shares its memory yet

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The numbers, of shape (rows, numbers); no row can be added afterwards."""
        self._resize(self.rows)
        return self._matrix

    def texts(self, name: str) -> NDArray[np.int32]:
        """Return the cells of a column that is not in the matrix, as `ColumnCells.add`; -1 if it has no value here."""
        import numpy as np

        return np.concatenate(self._texts.get(name, [np.full(self.rows, -1, dtype=np.int32)]))


class Reading:
    """Some columns of a table, read once from its first row to its last."""

    def __init__(self, cells: Sequence[ColumnCells]) -> None:
        self.cells = {each.name: each for each in cells}
        self.parts: list[HeldRows] = []
        self.rows = 0

    def take(self, piece: Piece, wanted: Wanted) -> tuple[Rejected, ...]:
        """Add some rows, and return the first bad value of each column that has one."""
        faults = Faults(piece, wanted)
        found = {
            name: each.add(piece.table.column(name), faults, loose=piece.loose) for name, each in self.cells.items()
        }
        numbers = tuple(name for name, each in self.cells.items() if not each.holds_texts)
        if not self.parts or self.parts[-1].numbers != numbers:
            self.parts.append(HeldRows(numbers))
        self.parts[-1].add(found, piece.table.num_rows)
        self.rows += piece.table.num_rows
        return faults.firsts()

    def numbers_of(self, name: str) -> list[NDArray[np.float64]]:
        """Return a column of numbers in pieces of shape (rows,), each with at least one row."""
        return [part.matrix[:, part.numbers.index(name)] for part in self.parts if part.rows]


class Learned(NamedTuple):
    """A column to learn from: its kind, its cells, and the reading that holds them."""

    kind: ColumnKind
    cells: ColumnCells
    reading: Reading


def arrays_of(learned: Mapping[str, Learned], rows: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return all rows as the two arrays of `Features`; a matrix that has all numbers of all rows is not copied."""
    import numpy as np

    numbers = [name for name, each in learned.items() if each.kind != "category"]
    texts = [name for name, each in learned.items() if each.kind == "category"]
    X, S = None, np.empty((rows, len(texts)), dtype=object)
    for reading in dict.fromkeys(each.reading for each in learned.values()):
        places = {name: at for at, name in enumerate(numbers) if learned[name].reading is reading}
        own = [(at, learned[name].cells) for at, name in enumerate(texts) if learned[name].reading is reading]
        at = 0
        reading.parts.reverse()
        while reading.parts:
            part = reading.parts.pop()
            here = slice(at, at + part.rows)
            if part.rows == rows and part.numbers == (*places,) == (*numbers,):
                X = part.matrix
            elif places:
                X = np.empty((rows, len(numbers))) if X is None else X
                _copy_numbers(X[here], part, places, learned)
            for column, cells in own:
                S[here, column] = cells.texts(part.texts(cells.name))
            at += part.rows
    return np.empty((rows, len(numbers))) if X is None else X, S


def _copy_numbers(
    X: NDArray[np.float64], part: HeldRows, places: Mapping[str, int], learned: Mapping[str, Learned]
) -> None:
    """Copy the columns of a part into the matrix."""
    at = {name: column for column, name in enumerate(part.numbers)}
    plain = [name for name in places if name in at]
    to, taken, matrix = [places[name] for name in plain], [at[name] for name in plain], part.matrix
    for start in range(0, part.rows, _AT_ONCE):
        here = slice(start, start + _AT_ONCE)
        X[here, to] = matrix[here, taken]
    for name in places.keys() - at.keys():
        X[:, places[name]] = learned[name].cells.floats(part.texts(name))


def column_warnings(learned: Mapping[str, Learned], X: NDArray[np.float64]) -> list[str]:
    """Return one sentence for each suspicious thing about the columns."""
    import numpy as np

    found = []
    for name, each in learned.items():
        if each.kind == "category":
            words = alike(each.cells.levels, f"levels of column {name!r}")
            found += [*each.cells.warnings(), *(f"{each}; each is a level of its own" for each in words)]
    columns = [name for name, each in learned.items() if each.kind != "category"]
    for at, name in enumerate(columns):
        for gap in GAP_NUMBERS if learned[name].cells.least in GAP_NUMBERS else ():
            if count := np.count_nonzero(X[:, at] == gap):
                sentence = f"column {name!r} holds {gap:g} in {plural(int(count), 'row')}"
                found.append(f"{sentence}; if a value is missing there, leave the cell empty")
    return found
