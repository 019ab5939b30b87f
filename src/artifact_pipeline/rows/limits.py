"""The limits for training and prediction: numbers, names, and the size of unpacked files."""

from __future__ import annotations

MAX_TEXT = 256
"""Characters in the name of a column or in a label; the limit of the manifest."""
MAX_WHOLE = 2**53 - 1
"""The greatest whole number below which float64 holds all whole numbers."""
MAX_VALUE = {"float64": 1e300, "float32": 3.4028234663852886e38}
"""The greatest absolute value of a feature by the model's dtype; a sum of values of float64 must stay finite."""
MAX_INT64 = 2**63 - 1
MAX_SHOWN = 80
"""Characters of a bad value that a reason quotes."""
MAX_LISTED = 20
"""Names, or problems, that a message lists."""

LARGEST = 256 << 20
"""Bytes of a batch, and of whatever else is unpacked at a time; kept texts may have any length."""
_A_COLUMN = 4 << 20
"""Bytes of one column that are always allowed: pages have 1 MiB, and one page of each column is unpacked."""
MAX_ROW = 16 << 20
"""Bytes of a row of text."""
FREE = 64 << 20
"""Unpacked bytes of a file that are allowed at any ratio."""
MAX_STREAM_RATIO = 200
"""A table of numbers shrinks to a fifth, a table of constants to a hundredth; gzip can reach a thousandth."""
MAX_FILE_RATIO = 1000
"""Constant columns, which are legitimate, shrink to a thousandth in Parquet and NPZ."""
MAX_PAGE_HEADER = 16 << 20
"""Bytes of the header of a page of Parquet."""
MAX_NESTING = 64
"""Depth of nested columns of Parquet."""
MAX_HEADER = 10_000
"""Bytes of the header of an array."""
MAX_MEMBERS = 1024
"""Arrays of an NPZ file."""

MAX_PIXELS = 64_000_000
"""Pixels of a picture, by its header; they are checked before a pixel is decoded."""
MAX_PICTURE = 256 << 20
"""Bytes of a picture's file."""
MAX_PICTURE_TEXT = 2**20
"""Bytes that a compressed text or a colour profile of a PNG may unpack to, as Pillow has it."""
MAX_PICTURE_TEXTS = 64 * MAX_PICTURE_TEXT
"""Bytes that all of them may unpack to, likewise."""
MAX_SCANS = 64
"""Scans of a JPEG, each of which decodes all pixels; cameras write one, progressive files about ten."""


def at_once(columns: int) -> int:
    """Return how many bytes of these many columns may be unpacked at a time; the model decides how many there are."""
    return max(LARGEST, _A_COLUMN * columns)
