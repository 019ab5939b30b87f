"""The built-in digits: 1,797 handwritten digits of 8x8 pixels, shipped with the package.

They are the rows of `sklearn.datasets.load_digits`, number by number (a test compares them), so that the base install
predicts without scikit-learn. DIGITS-LICENSE.txt says where they come from.
"""

from __future__ import annotations

import gzip
import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from artifact_pipeline.digits.pictures import DigitPictures
from artifact_pipeline.plugins import BuiltIn
from artifact_pipeline.rows.matrix import Rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE = Path(__file__).with_name("digits.npy.gz")
"""uint8 of shape (1797, 65): the pixels, and the digit in the last column."""
_SIDE = 8
"""Pixels a side; a pixel is a count of ink from 0 to 16."""
NAMES = tuple(f"pixel_{row}_{column}" for row in range(_SIDE) for column in range(_SIDE))
"""The columns, in their order."""


@cache
def load_digits() -> Rows:
    """Return the rows: `X` float64 of shape (1797, 64) with values 0 to 16, `y` int64 of shape (1797,) with 0 to 9."""
    import numpy as np

    stored = np.load(io.BytesIO(gzip.decompress(FILE.read_bytes())), allow_pickle=False)
    X, y = stored[:, :-1].astype(np.float64), stored[:, -1].astype(np.int64)
    X.flags.writeable = y.flags.writeable = False  # one copy serves all callers
    return Rows(source="digits", names=NAMES, target="target", X=X, y=y)


def _row_of_picture(data: bytes, *, place: str) -> NDArray[np.float64]:
    from artifact_pipeline.digits.images import digit_from_image

    return digit_from_image(data, place=place)


DIGITS = BuiltIn(
    name="digits",
    features=NAMES,
    classes=10,
    digest="sha256:191e9dd6d54afd3cd4874ed65467f2e1a4981ef24a1bd548a0fe33ff8d5e15fb",
    file=FILE,
    load=load_digits,
    shape=(_SIDE, _SIDE),
    row_of_picture=_row_of_picture,
    pictures=DigitPictures(side=_SIDE, most=16.0),
)
