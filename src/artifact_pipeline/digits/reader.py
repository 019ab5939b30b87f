"""The built-in digits, without Arrow: they are an array already, and who asks for them should not wait for it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from artifact_pipeline.digits.dataset import FILE, load_digits
from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.batches import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Wanted

_HINT = "name a file: artifact-pipeline predict FILE"


class Digits:
    """The 1,797 digits as an open source; attributes as in `OpenRows`."""

    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stamp = ""

    def __init__(self, wanted: Wanted) -> None:
        digits = load_digits()
        if wanted.features != digits.names:
            problem = Problem("rows", "rows-missing", "this model was not trained on digits, and no rows were named")
            raise DataRejected("there are no rows to predict", problems=[problem], hint=_HINT)
        if wanted.keep:
            problem = Problem("digits", "column-missing", f"no column {wanted.keep[0]!r}")
            raise DataRejected("the rows do not fit the model", problems=[problem])
        self._digits, self._wanted = digits, wanted
        self.total: int | None = len(digits.X)

    def done(self) -> float:
        """They are one batch."""
        return 1.0

    def digest(self) -> str:
        """The SHA-256 of the file that the package brings."""
        return hashlib.sha256(FILE.read_bytes()).hexdigest()

    def batches(self, start: int) -> Iterator[Batch]:
        """All of them, in one batch."""
        import numpy as np

        if start:
            return
        X, y = self._digits.X, self._digits.y
        assert y is not None
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
        """The labels as positions in the model's classes; None where the model's are others than the digits."""
        import numpy as np

        classes = np.array(self._wanted.classes)
        if classes.dtype.kind != "i" or not np.isin(y, classes).all():
            return None
        return np.searchsorted(classes, y).astype(np.int64)
