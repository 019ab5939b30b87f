"""The scales of columns, which say why a solver may not have converged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_UNSCALED = 1000
"""Two columns whose standard deviations are this many times apart slow a solver down."""


@dataclass(frozen=True, slots=True)
class Scales:
    """The columns with the largest and the smallest standard deviation, of those that vary at all."""

    wide: str
    narrow: str
    wide_deviation: float
    narrow_deviation: float

    @property
    def ratio(self) -> float:
        """The larger deviation as a multiple of the smaller one."""
        return self.wide_deviation / self.narrow_deviation

    @classmethod
    def furthest(cls, X: NDArray[np.float64], names: Sequence[str]) -> Scales | None:
        """Return the two columns whose scales are furthest apart; None where that is less than `_UNSCALED` times.

        Args:
            X: the training rows, float64 of shape (rows, features).
            names: the names of the columns.
        """
        import numpy as np

        with np.errstate(over="ignore", invalid="ignore"):
            deviations = np.std(X, axis=0)
        # Rounding can give a column that never changes a deviation a little above 0.
        varying = np.flatnonzero((X[:1] != X).any(axis=0) & (deviations > 0) & np.isfinite(deviations))
        if not varying.size:
            return None
        wide, narrow = varying[deviations[varying].argmax()], varying[deviations[varying].argmin()]
        if deviations[wide] < _UNSCALED * deviations[narrow]:
            return None
        return cls(names[wide], names[narrow], float(deviations[wide]), float(deviations[narrow]))
