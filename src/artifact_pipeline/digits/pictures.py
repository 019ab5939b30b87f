"""Rows of the digits as tiny pictures, for a report: PNG, written by the few lines that it takes."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIDE = 8
"""Pixels a side."""
MOST = 16.0
"""The value of a pixel that is all ink."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2
"""The colour types of PNG (ISO/IEC 15948, 11.2.2)."""
_AGAINST, _NEUTRAL, _FOR = (213, 94, 0), (247, 247, 247), (0, 114, 178)
"""Vermilion, nearly white, blue: a scale that the colour-blind can read, too."""


def row(values: NDArray[np.float64]) -> bytes:
    """Return a PNG of one row, ink black on white."""
    import numpy as np

    ink = np.clip(np.nan_to_num(values) / MOST, 0, 1)
    return _png(np.round(255 * (1 - ink)).astype(np.uint8).reshape(SIDE, SIDE), _GREY)


def signed(values: NDArray[np.float64], greatest: float) -> bytes:
    """Return a PNG of signed values: blue above 0, vermilion below."""
    import numpy as np

    share = np.clip(values / (greatest or 1.0), -1, 1)[:, None]
    middle = np.array(_NEUTRAL)
    ends = np.where(share >= 0, np.array(_FOR), np.array(_AGAINST))
    colours = np.round(middle + np.abs(share) * (ends - middle)).astype(np.uint8)
    return _png(colours.reshape(SIDE, 3 * SIDE), _RGB)


def _png(rows: NDArray[np.uint8], colour: int) -> bytes:
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, colour, 0, 0, 0)
    # Each row begins with its filter: none.
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows), 9)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
