"""Columns of a table as they are read to learn from, in parts, and the arrays that they become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.errors import plural
from artifact_pipeline.rows.faults import Faults
from artifact_pipeline.rows.features import MISSING
from artifact_pipeline.rows.inference import GAP_NUMBERS, ColumnCells
from artifact_pipeline.rows.labels import alike

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Piece, Rejected, Wanted
    from artifact_pipeline.rows.features import ColumnKind


class HeldRows(NamedTuple):
    """Some rows: a matrix of the columns that are held as numbers, by name, and the cells of the others."""

    rows: int
    numbers: tuple[str, ...]
    matrix: NDArray[np.float64]
    texts: dict[str, NDArray[np.int32]]


class Reading:
    """Some columns of a table as they are read, once from its first row to its last."""

    def __init__(self, cells: Sequence[ColumnCells]) -> None:
        self.cells = {each.name: each for each in cells}
        self.parts: list[HeldRows] = []
        self.rows = 0

    def take(self, piece: Piece, wanted: Wanted) -> tuple[Rejected, ...]:
        """Take some rows, and return the first bad value of each column that has one."""
        import numpy as np

        faults = Faults(piece, wanted)
        found = {
            name: each.add(piece.table.column(name), faults, loose=piece.loose) for name, each in self.cells.items()
        }
        numbers = tuple(name for name, each in self.cells.items() if not each.holds_texts)
        rows = piece.table.num_rows
        matrix = np.empty((rows, 0))
        if numbers:
            matrix = np.stack([found[name] for name in numbers], axis=1, dtype=np.float64)
            np.add(matrix, 0.0, out=matrix)  # minus zero is zero: a CSV that writes whole numbers has only one zero
        self.parts.append(HeldRows(rows, numbers, matrix, {name: found[name] for name in found if name not in numbers}))
        self.rows += rows
        return faults.firsts()

    def numbers_of(self, name: str) -> list[NDArray[np.float64]]:
        """A column that was held as numbers from the first row on, as pieces of shape (rows,)."""
        places = [part.numbers.index(name) for part in self.parts]
        return [part.matrix[:, at] for part, at in zip(self.parts, places, strict=True)]


class Learned(NamedTuple):
    """A column to learn from: its cells, and the reading that holds them."""

    kind: ColumnKind
    cells: ColumnCells
    reading: Reading


def arrays_of(learned: Mapping[str, Learned], rows: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """All rows as the two arrays of `Features`; each part is let go as it is copied, so that there is one matrix."""
    import numpy as np

    numbers = [name for name, each in learned.items() if each.kind != "category"]
    texts = [name for name, each in learned.items() if each.kind == "category"]
    X, S = np.empty((rows, len(numbers))), np.empty((rows, len(texts)), dtype=object)
    for reading in dict.fromkeys(each.reading for each in learned.values()):
        places = {name: at for at, name in enumerate(numbers) if learned[name].reading is reading}
        own = [(at, learned[name].cells) for at, name in enumerate(texts) if learned[name].reading is reading]
        at = 0
        reading.parts.reverse()
        while reading.parts:
            part = reading.parts.pop()
            here = slice(at, at + part.rows)
            if part.numbers == (*places,) and len(places) == len(numbers):
                X[here] = part.matrix
            else:
                _copy_numbers(X[here], part, places, learned)
            for column, cells in own:
                S[here, column] = cells.texts(part.texts[cells.name]) if cells.name in part.texts else MISSING
            at += part.rows
    return X, S


def _copy_numbers(
    X: NDArray[np.float64], part: HeldRows, places: Mapping[str, int], learned: Mapping[str, Learned]
) -> None:
    """Copy the columns of a part to their places in the matrix."""
    at = {name: column for column, name in enumerate(part.numbers)}
    plain = [name for name in places if name in at]
    X[:, [places[name] for name in plain]] = part.matrix[:, [at[name] for name in plain]]
    for name in places.keys() - at.keys():
        X[:, places[name]] = learned[name].cells.floats(part.texts[name])


def column_warnings(learned: Mapping[str, Learned], X: NDArray[np.float64]) -> list[str]:
    """What is suspicious about the columns, a sentence each."""
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
