"""The limits of what is read, for training and prediction alike: numbers, names, and what a file may unpack to."""

from __future__ import annotations

MAX_TEXT = 256
"""Characters in a column's name or in a label: the manifest's bound."""
MAX_WHOLE = 2**53 - 1
"""Beyond it float64 does not hold every whole number: two different ones would become one."""
MAX_VALUE = {"float64": 1e300, "float32": 3.4028234663852886e38}
"""The greatest absolute value of a feature by the model's dtype: a sum of float64 must stay finite; all of float32."""
MAX_INT64 = 2**63 - 1
MAX_SHOWN = 80
"""Characters of a bad value that a reason quotes."""
MAX_LISTED = 20
"""Names, or problems, that a message lists."""

LARGEST = 256 << 20
"""Bytes that a batch may have, and whatever else is unpacked at once: kept texts may be of any length."""
_A_COLUMN = 4 << 20
"""Bytes of a column that are always allowed: writers make pages of 1 MiB, and of each column one is open."""
MAX_ROW = 16 << 20
"""Bytes of a row of text."""
FREE = 64 << 20
"""Bytes that may come out of a packed file before its ratio is looked at."""
MAX_STREAM_RATIO = 200
"""A table of numbers shrinks to a fifth, one of constants to a hundredth; gzip at its best to a thousandth."""
MAX_FILE_RATIO = 1000
"""Constant columns shrink to a thousandth in Parquet and in NPZ, and nothing is wrong with them."""
MAX_PAGE_HEADER = 16 << 20
"""Bytes of the header of a page of Parquet."""
MAX_NESTING = 64
"""Columns of Parquet within columns."""
MAX_HEADER = 10_000
"""Bytes of the header of an array."""
MAX_MEMBERS = 1024
"""Arrays of an NPZ file."""

MAX_PIXELS = 64_000_000
"""Pixels of a picture; more is refused by the header, before pixels are decoded."""
MAX_PICTURE = 256 << 20
"""Bytes of a picture's file."""
MAX_PICTURE_TEXT = 2**20
"""Bytes that a compressed text or a colour profile of a PNG may unpack to, as Pillow has it."""
MAX_PICTURE_TEXTS = 64 * MAX_PICTURE_TEXT
"""Bytes that all of them may unpack to, likewise."""
MAX_SCANS = 64
"""Each scan of a JPEG passes over all pixels; cameras write one, progressive files about ten."""


def at_once(columns: int) -> int:
    """Bytes that may be unpacked at once of so many columns; how many there are is the model's choice, not a file's."""
    return max(LARGEST, _A_COLUMN * columns)
