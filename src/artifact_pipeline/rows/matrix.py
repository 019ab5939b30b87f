"""Rows: from the built-in digits or a table to named columns of numbers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.canonical import PREFIX, canonical_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.kinds import Kind

DIGEST_ALGORITHM = "rows-1"
"""The name of what `Rows.digest` does; another way of hashing rows gets another name."""


class LeftOut(NamedTuple):
    """A column that a training does not learn from, and why, in words."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows with named columns, and their labels where they are known.

    Attributes:
        source: what the rows are, `digits` or `table`; never a path.
        names: one name a column, in order.
        target: the name of the label.
        X: float64 of shape (rows, features), C-contiguous, every value finite.
        y: int64 or fixed-width Unicode of shape (rows,), or None where the labels are not known.
        kinds: the kind of each column; empty where all are numbers.
        left_out: the table's columns that are not learned from.
        files: how many files they were read from, and how many of those held no row.
        warnings: what is suspicious about them, a sentence each.
    """

    source: str
    names: tuple[str, ...]
    target: str
    X: NDArray[np.float64]
    y: NDArray[np.int64] | NDArray[np.str_] | None
    kinds: tuple[Kind, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    files: tuple[int, int] = (1, 0)
    warnings: tuple[str, ...] = ()

    @property
    def all_kinds(self) -> tuple[Kind, ...]:
        """The kind of each column."""
        return self.kinds or tuple("number" for _ in self.names)

    def digest(self) -> str:
        """The digest of names, dtypes, shapes and values, whatever file they came from."""
        hashed = RowsDigest(self.names, self.target, len(self.X))
        hashed.add(self.X)
        return hashed.finish(self.y)


class RowsDigest:
    """The digest of rows that come in pieces, from which their number must be known."""

    def __init__(self, names: tuple[str, ...], target: str, rows: int) -> None:
        self._names, self._target, self._shape = names, target, (rows, len(names))
        self._hash = hashlib.sha256()
        self._begun = False

    def add(self, X: NDArray[np.float64]) -> None:
        """Add rows: float64 of shape (some rows, features)."""
        if not self._begun:
            self._begin("X", X, self._shape, self._names)
            self._begun = True
        self._hash.update(_canonical(X).ravel().data)  # the rows' own memory, not a copy of it

    def finish(self, y: NDArray[np.int64] | NDArray[np.str_] | None) -> str:
        """Add the labels, where they are known, and give the digest."""
        if y is not None:
            self._begin("y", y, y.shape, (self._target,))
            self._hash.update(_canonical(y).ravel().data)
        return PREFIX + self._hash.hexdigest()

    def _begin(self, name: str, array: NDArray[Any], shape: tuple[int, ...], columns: tuple[str, ...]) -> None:
        header = {"name": name, "dtype": _canonical(array[:0]).dtype.str, "shape": [*shape], "columns": [*columns]}
        self._hash.update(canonical_json(header))


def _canonical(array: NDArray[Any]) -> NDArray[Any]:
    """Little-endian and in C order; that costs nothing where it is so already."""
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
