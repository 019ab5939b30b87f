"""The built-in digits: 1,797 handwritten digits of 8x8 pixels, shipped with the package.

They are the rows of `sklearn.datasets.load_digits`, number by number (a test compares them), so that the base install
predicts without scikit-learn. DIGITS-LICENSE.txt says where they come from.
"""

from __future__ import annotations

import gzip
import io
from functools import cache
from pathlib import Path

from artifact_pipeline.digits import pictures
from artifact_pipeline.digits.images import digit_from_image
from artifact_pipeline.digits.pictures import SIDE
from artifact_pipeline.plugins import BuiltIn
from artifact_pipeline.rows.matrix import Rows

FILE = Path(__file__).with_name("digits.npy.gz")
"""uint8 of shape (1797, 65): the pixels, and the digit in the last column."""
NAMES = tuple(f"pixel_{row}_{column}" for row in range(SIDE) for column in range(SIDE))
"""The columns, in their order; each holds a count of ink from 0 to 16."""


@cache
def load_digits() -> Rows:
    """Return the rows: `X` float64 of shape (1797, 64) with values 0 to 16, `y` int64 of shape (1797,) with 0 to 9."""
    import numpy as np

    stored = np.load(io.BytesIO(gzip.decompress(FILE.read_bytes())), allow_pickle=False)
    X, y = stored[:, :-1].astype(np.float64), stored[:, -1].astype(np.int64)
    X.flags.writeable = y.flags.writeable = False  # one copy serves all callers
    return Rows(source="digits", names=NAMES, target="target", X=X, y=y)


DIGITS = BuiltIn(
    name="digits",
    features=NAMES,
    classes=10,
    digest="sha256:191e9dd6d54afd3cd4874ed65467f2e1a4981ef24a1bd548a0fe33ff8d5e15fb",
    file=FILE,
    load=load_digits,
    shape=(SIDE, SIDE),
    row_of_picture=digit_from_image,
    pictures=pictures,
)
