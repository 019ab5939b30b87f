"""Features: the columns that a model takes, and rows of their values as two arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

ColumnKind = Literal["number", "boolean", "category"]
"""The kind of a column: numbers; 1 for true and 0 for false; or texts."""
MISSING = ""
"""The text of a missing category; it is in the list of missing values, so that no file has it as a level."""
MAX_LEVELS = 10_000
"""Most levels of a category."""
MAX_LEVEL_BYTES = 1024
"""Most bytes of a level in UTF-8."""
_AT_ONCE = 1024
"""Rows that are transposed at a time: they fit into the processor's cache."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a model takes.

    Attributes:
        name: its name in a file.
        kind: its kind.
        nullable: whether a value may be missing.
        levels: the levels of a category that the model knows, sorted by code point; `MISSING` is one of them if a
            missing value is a level of its own.
        other: whether a level that is not in `levels` is answered as *other*, or its row is refused.
    """

    name: str
    kind: ColumnKind
    nullable: bool = False
    levels: tuple[str, ...] = ()
    other: Literal["accept", "refuse"] = "accept"


def number_columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the numbers and the booleans, which are the columns of `Features.X`."""
    return tuple(column for column in columns if column.kind != "category")


def category_columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the categories, which are the columns of `Features.S`."""
    return tuple(column for column in columns if column.kind == "category")


def are_plain_numbers(columns: Sequence[Column]) -> bool:
    """Whether all columns are numbers or booleans without a missing value, as in format 1."""
    return all(column.kind != "category" and not column.nullable for column in columns)


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Rows of the columns that a model takes.

    Attributes:
        X: float64 of shape (rows, numbers and booleans), C-contiguous; a boolean is 1 or 0, a missing value is NaN.
        S: objects, each a str, of shape (rows, categories), C-contiguous; a missing value is `MISSING`.
    """

    X: NDArray[np.float64]
    S: NDArray[Any]

    @classmethod
    def of_numbers(cls, X: NDArray[np.float64]) -> Features:
        """Return rows that have numbers and booleans alone."""
        import numpy as np

        return cls(np.ascontiguousarray(X, dtype=np.float64), np.empty((len(X), 0), dtype=object))

    @classmethod
    def concatenate(cls, pieces: Sequence[Features]) -> Features:
        """Return the rows of all pieces, of which there is at least one."""
        import numpy as np

        return cls(np.concatenate([each.X for each in pieces]), np.concatenate([each.S for each in pieces]))

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows: slice) -> Features:
        """Return some rows, as views of the same memory if the slice has no step."""
        return self.take(range(*rows.indices(len(self)))) if rows.step else Features(self.X[rows], self.S[rows])

    def numbers_by_column(self, rows: NDArray[np.integer[Any]] | None = None) -> NDArray[np.float64]:
        """Return `X` of some rows, or of all, transposed: (numbers and booleans, rows), C-contiguous."""
        import numpy as np

        found = np.empty((self.X.shape[1], len(self) if rows is None else len(rows)))
        for start in range(0, found.shape[1], _AT_ONCE):
            here = slice(start, start + _AT_ONCE)
            found[:, here] = self.X[here if rows is None else rows[here]].T
        return found

    def take(self, positions: Sequence[int] | NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Features:
        """Return the rows at some positions, in this order; or the marked rows."""
        import numpy as np

        chosen = np.asarray(positions)
        chosen = chosen if chosen.size else chosen.astype(np.int64)
        return Features(self.X[chosen], self.S[chosen])
