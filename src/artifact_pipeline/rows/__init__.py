"""Rows: from the built-in digits or a table to named columns of numbers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.canonical import PREFIX, canonical_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIGEST_ALGORITHM = "rows-1"
"""The name of what `Rows.digest` does; another way of hashing rows gets another name."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows with named columns, and their labels where they are known.

    Attributes:
        source: what the rows are, `digits` or `table`; never a path.
        names: one name a column, in order.
        target: the name of the label.
        X: float64 of shape (rows, features), C-contiguous, every value finite.
        y: int64 or fixed-width Unicode of shape (rows,), or None where the labels are not known.
    """

    source: str
    names: tuple[str, ...]
    target: str
    X: NDArray[np.float64]
    y: NDArray[np.int64] | NDArray[np.str_] | None

    def digest(self) -> str:
        """The digest of names, dtypes, shapes and values, whatever file they came from."""
        hashed = hashlib.sha256()
        for name, array in (("X", self.X), ("y", self.y)):
            if array is None:
                continue
            # Little-endian and C order are the canonical bytes; `newbyteorder` costs nothing where they are so already.
            canonical = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
            header = {"name": name, "dtype": canonical.dtype.str, "shape": list(canonical.shape)}
            hashed.update(canonical_json({**header, "columns": [*self.names] if name == "X" else [self.target]}))
            hashed.update(canonical.ravel().data)  # the rows' own memory, not a copy of it
        return PREFIX + hashed.hexdigest()
