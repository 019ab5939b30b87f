"""A data set that comes with the package, read without Arrow: its rows are an array already."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.batches import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.plugins import DataSet
    from artifact_pipeline.rows.batches import Wanted


class BuiltInRows:
    """A data set as an open source; attributes as in `OpenRows`."""

    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stamp = ""

    def __init__(self, data_set: DataSet, wanted: Wanted) -> None:
        if wanted.keep:
            problem = Problem(data_set.name, "column-missing", f"no column {wanted.keep[0]!r}")
            raise DataRejected("the rows do not fit the model", problems=[problem])
        self._file, self._rows, self._wanted = data_set.file, data_set.load(), wanted
        self.total: int | None = len(self._rows.X)

    def done(self) -> float:
        """Return 1: all rows are one batch."""
        return 1.0

    def digest(self) -> str:
        """Return the SHA-256 of the file that the package brings."""
        return hashlib.sha256(self._file.read_bytes()).hexdigest()

    def batches(self, start: int) -> Iterator[Batch]:
        """Yield all rows in one batch; none where `start` is not 0."""
        import numpy as np

        if start:
            return
        X, y = self._rows.X, self._rows.y
        yield Batch(
            start=0,
            count=len(X),
            numbers=np.arange(len(X)),
            columns=list(np.ascontiguousarray(X.T, dtype=self._wanted.dtype)),
            actual=self._positions(y),
            kept={},
            rejected=(),
            outside=0,
        )

    def _positions(self, y: NDArray[Any]) -> NDArray[np.int64] | None:
        """The labels as positions in the model's classes; None where the model has other classes."""
        import numpy as np

        classes = np.array(self._wanted.classes)
        if classes.dtype.kind != y.dtype.kind or not np.isin(y, classes).all():
            return None
        return np.searchsorted(classes, y).astype(np.int64)
