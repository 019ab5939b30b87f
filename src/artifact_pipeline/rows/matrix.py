"""Rows: from the built-in digits or a table to named columns of numbers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.canonical import PREFIX, canonical_json
from artifact_pipeline.rows.features import Column, Features, are_plain_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.features import ColumnKind

DIGEST_ALGORITHM = "rows-1"
"""The algorithm of `RowsDigest`."""
TYPED_DIGEST_ALGORITHM = "rows-2"
"""The algorithm of `TypedRowsDigest`."""
HELD_OUT = "held_out"
"""The name of a source whose rows are held out."""
FEEDBACK = "feedback"
"""The name of a source whose rows are all learned from and never split."""
_AT_ONCE = 1 << 16
"""Rows that are copied at a time to be hashed."""


class LeftOut(NamedTuple):
    """A column that a training does not learn from, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows with named columns, and their labels where they are known.

    Attributes:
        source: the origin of the rows, `digits`, `table`, `held_out` or `feedback`; never a path.
        names: the name of each column.
        target: the name of the label.
        X: float64 of shape (rows, numbers and booleans), C-contiguous; every value is finite, or NaN if it is missing.
        y: int64 or fixed-width Unicode of shape (rows,); None if the labels are not known.
        left_out: the table's columns that are not learned from.
        files: the number of files, and of those without a row.
        warnings: one sentence for each suspicious thing.
        columns: the columns with their kinds, and with all levels in the rows; by default all are numbers.
        S: the categories, objects of shape (rows, categories), each a str; None if there are none.
        split_by: the values of each column by which the rows are split, texts or numbers.
        held_out: the number of rows of a held-out file; they are the last rows before the feedback.
        feedback: the number of rows of each file of feedback; they are the last rows.
    """

    source: str
    names: tuple[str, ...]
    target: str
    X: NDArray[np.float64]
    y: NDArray[np.int64] | NDArray[np.str_] | None
    left_out: tuple[LeftOut, ...] = ()
    files: tuple[int, int] = (1, 0)
    warnings: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    S: NDArray[Any] | None = None
    split_by: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    held_out: int = 0
    feedback: tuple[int, ...] = ()
    _digests: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive the columns from the names by default."""
        if not self.columns:
            object.__setattr__(self, "columns", tuple(Column(name, "number") for name in self.names))

    @property
    def features(self) -> Features:
        """The rows as a model takes them."""
        return Features.of_numbers(self.X) if self.S is None else Features(self.X, self.S)

    @property
    def digest_algorithm(self) -> str:
        """The algorithm of `digest`."""
        return DIGEST_ALGORITHM if are_plain_numbers(self.columns) else TYPED_DIGEST_ALGORITHM

    @property
    def kinds(self) -> tuple[ColumnKind, ...]:
        """The kind of each column."""
        return tuple(each.kind for each in self.columns)

    @property
    def sources(self) -> tuple[Rows, ...]:
        """The rows of each table: those to learn from, those of a held-out file, and those of each file of feedback."""
        if not self.held_out and not self.feedback:
            return (self,)
        counts = [(self.source, len(self.X) - self.held_out - sum(self.feedback))]
        counts += [(HELD_OUT, self.held_out)] if self.held_out else []
        counts += [(FEEDBACK, rows) for rows in self.feedback]
        pieces, start = [], 0
        for name, rows in counts:
            piece = self.take(slice(start, start + rows))
            pieces.append(replace(piece, source=name, held_out=0, feedback=()))
            start += rows
        return tuple(pieces)

    @property
    def split(self) -> Rows:
        """All rows but the feedback: those that are split."""
        if not self.feedback:
            return self
        return replace(self.take(slice(0, len(self.X) - sum(self.feedback))), feedback=())

    def take(self, rows: slice | NDArray[np.integer[Any]]) -> Rows:
        """Return some rows, in this order; all other attributes stay as they are."""
        return replace(
            self,
            X=self.X[rows],
            y=None if self.y is None else self.y[rows],
            S=None if self.S is None else self.S[rows],
            split_by={name: values[rows] for name, values in self.split_by.items()},
        )

    def followed_by(self, pieces: Sequence[Rows]) -> Rows:
        """Return these rows and those of the pieces, which have the same columns and labels; the rest is as here."""
        import numpy as np

        every = [self, *pieces]
        features = Features.concatenate([each.features for each in every])
        return replace(
            self,
            X=features.X,
            y=np.concatenate([each.y for each in every if each.y is not None]),
            S=None if self.S is None else features.S,
            split_by={name: np.concatenate([each.split_by[name] for each in every]) for name in self.split_by},
        )

    def digests(self) -> tuple[str, ...]:
        """Return the digest of each of `sources`, which is computed once."""
        if not self._digests:
            self._digests.extend(each.digest() for each in self.sources)
        return tuple(self._digests)

    def digest(self) -> str:
        """Return the digest of names, kinds, values and labels, which does not depend on the file format.

        The algorithm is `rows-1` if all columns are numbers or booleans without a missing value, otherwise `rows-2`.
        """
        if not are_plain_numbers(self.columns):
            typed = TypedRowsDigest(self.columns, self.target)
            typed.add(self.features)
            return typed.finish(self.y)
        hashed = RowsDigest(self.names, self.target, len(self.X))
        hashed.add(self.X)
        return hashed.finish(self.y)


class RowsDigest:
    """The digest of rows that are added in pieces; their number must be known before."""

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
        """Add the labels, if they are known, and return the digest."""
        if y is not None:
            self._begin("y", y, y.shape, (self._target,))
            self._hash.update(_canonical(y).ravel().data)
        return PREFIX + self._hash.hexdigest()

    def _begin(self, name: str, array: NDArray[Any], shape: tuple[int, ...], columns: tuple[str, ...]) -> None:
        header = {"name": name, "dtype": _canonical(array[:0]).dtype.str, "shape": [*shape], "columns": [*columns]}
        self._hash.update(canonical_json(header))


class TypedRowsDigest:
    """The digest of rows with categories or missing values that are added in pieces of any size."""

    def __init__(self, columns: tuple[Column, ...], target: str) -> None:
        self._columns, self._target = columns, target
        self._rows = 0
        self._numbers = hashlib.sha256()
        self._categories = [(hashlib.sha256(), hashlib.sha256()) for each in columns if each.kind == "category"]

    def add(self, features: Features) -> None:
        """Add rows."""
        for start in range(0, len(features), _AT_ONCE):
            self._add(features[start : start + _AT_ONCE])

    def _add(self, features: Features) -> None:
        import numpy as np

        X = features.X + 0.0  # minus zero is zero
        X[np.isnan(X)] = np.nan  # NaN has many bit patterns
        self._rows += len(X)
        self._numbers.update(_canonical(X).ravel().data)
        for (lengths, texts), column in zip(self._categories, features.S.T, strict=True):
            encoded = [*map(str.encode, column.tolist())]
            lengths.update(np.array([*map(len, encoded)], dtype="<u4").data)
            texts.update(b"".join(encoded))

    def finish(self, y: NDArray[np.int64] | NDArray[np.str_] | None) -> str:
        """Add the labels, if they are known, and return the digest."""
        labels = None
        if y is not None:
            hashed = hashlib.sha256(_canonical(y).ravel().data).hexdigest()
            labels = {"name": self._target, "dtype": _canonical(y[:0]).dtype.str, "values": hashed}
        whole = {
            "rows": self._rows,
            "columns": [{"name": each.name, "kind": each.kind} for each in self._columns],
            "numbers": self._numbers.hexdigest(),
            "categories": [[lengths.hexdigest(), texts.hexdigest()] for lengths, texts in self._categories],
            "labels": labels,
        }
        return PREFIX + hashlib.sha256(canonical_json(whole)).hexdigest()


def _canonical(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array as little-endian and in C order; it is copied only if it is not so already."""
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
