"""The built-in digits: 1,797 handwritten digits of 8x8 pixels, shipped with the package.

They are the rows of `sklearn.datasets.load_digits`, number by number (a test compares them), so that the base install
predicts without scikit-learn. DIGITS-LICENSE.txt says where they come from.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from artifact_pipeline.rows import Rows

SIDE = 8
"""Pixels a side; a pixel is a count of ink from 0 to 16."""


@cache
def load_digits() -> Rows:
    """The rows: `X` float64 of shape (1797, 64) with values 0 to 16, `y` int64 of shape (1797,) with 0 to 9."""
    import numpy as np

    with (
        files("artifact_pipeline.rows").joinpath("digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as members,
    ):
        X, y = members["X"].astype(np.float64), members["y"].astype(np.int64)
    X.flags.writeable = y.flags.writeable = False  # cached: nobody may change them for the others
    names = tuple(f"pixel_{row}_{column}" for row in range(SIDE) for column in range(SIDE))
    return Rows(source="digits", names=names, target="target", X=X, y=y)
