"""A data set that comes with the package; its rows are an array, which is read without Arrow."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from artifact_pipeline.plugins import data_set
from artifact_pipeline.rows.batches import Batch
from artifact_pipeline.rows.faults import unfit

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.plugins import BuiltIn
    from artifact_pipeline.rows.batches import Wanted
    from artifact_pipeline.rows.sources import Source


class BuiltInRows:
    """A data set as an open source, used as a `Reader` is."""

    names: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stamp = ""

    def __init__(self, known: BuiltIn, wanted: Wanted) -> None:
        if wanted.keep:
            raise unfit(known.name, ("column-missing", f"no column {wanted.keep[0]!r}"))
        self._file, self._rows, self._wanted = known.file, known.load(), wanted
        self.total: int | None = len(self._rows.X)

    @classmethod
    @contextmanager
    def open(cls, source: Source, wanted: Wanted, *, digest: bool) -> Iterator[BuiltInRows]:  # noqa: ARG003 - always
        """Load the data set that the source names."""
        yield cls(data_set(source.format), wanted)

    def done(self) -> float:
        """Return 1: all rows are in one batch."""
        return 1.0

    def digest(self) -> str:
        """Return the SHA-256 of the package's file."""
        return hashlib.sha256(self._file.read_bytes()).hexdigest()

    def batches(self, start: int) -> Iterator[Batch]:
        """Yield all rows in one batch; none if `start` is not 0."""
        import numpy as np

        if start:
            return
        X, y = self._rows.X, self._rows.y
        yield Batch(
            start=0,
            count=len(X),
            numbers=np.arange(len(X)),
            columns=list(X.T.astype(self._wanted.dtype, copy=False)),
            actual=self._positions(y),
            kept={},
            rejected=(),
            outside=0,
        )

    def _positions(self, y: NDArray[Any]) -> NDArray[np.int64] | None:
        """Return the labels as positions in the model's classes; None if the model has other classes."""
        import numpy as np

        classes = np.array(self._wanted.classes)
        if classes.dtype.kind != y.dtype.kind or not np.isin(y, classes).all():
            return None
        return np.searchsorted(classes, y).astype(np.int64)
