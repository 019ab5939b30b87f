"""Rows of the digits as tiny pictures, for a report: PNG, written by the few lines that it takes."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2
"""The colour types of PNG (ISO/IEC 15948, 11.2.2)."""
_AGAINST, _NEUTRAL, _FOR = (213, 94, 0), (247, 247, 247), (0, 114, 178)
"""Vermilion, nearly white, blue: a scale that the colour-blind can read, too."""


@dataclass(frozen=True, slots=True)
class DigitPictures:
    """Draws rows as square pictures.

    Attributes:
        side: pixels a side.
        most: the value of a pixel that is all ink.
    """

    side: int
    most: float

    def row(self, values: NDArray[np.float64]) -> bytes:
        """Return a PNG of one row, ink black on white."""
        import numpy as np

        ink = np.clip(np.nan_to_num(values) / self.most, 0, 1)
        return self._png(np.round(255 * (1 - ink)).astype(np.uint8).reshape(self.side, self.side), _GREY)

    def signed(self, values: NDArray[np.float64], greatest: float) -> bytes:
        """Return a PNG of signed values: blue above 0, vermilion below."""
        import numpy as np

        share = np.clip(values / (greatest or 1.0), -1, 1)[:, None]
        middle = np.array(_NEUTRAL)
        ends = np.where(share >= 0, np.array(_FOR), np.array(_AGAINST))
        colours = np.round(middle + np.abs(share) * (ends - middle)).astype(np.uint8)
        return self._png(colours.reshape(self.side, 3 * self.side), _RGB)

    def _png(self, rows: NDArray[np.uint8], colour: int) -> bytes:
        header = struct.pack(">IIBBBBB", self.side, self.side, 8, colour, 0, 0, 0)
        # Each row begins with its filter: none.
        packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows), 9)
        chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
        return _SIGNATURE + b"".join(
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in chunks
        )
