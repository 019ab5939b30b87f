"""A picture of a handwritten digit becomes a row of the digits, by the recipe that the data set was made with.

The rows of the digits come from a program of NIST (NISTIR 5469): the ink's box is stretched to 32 rows, strokes are
made thicker or thinner, and the digit is sheared until its top and its bottom begin in one column; then the ink in
each of 8x8 blocks is counted. What is measured on paper decides nothing here: place, size, slant, pen and polarity.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from math import ceil
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import DataRejected, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

MAX_PIXELS = 64_000_000
"""A picture of a hundred megapixels is refused: by its header, before pixels are decoded."""
FORMATS = ("PNG", "JPEG")
MAX_TEXT = 2**20
"""Bytes that a compressed text or a colour profile may unpack to, as Pillow has it."""
MAX_SCANS = 64
"""Each scan of a JPEG passes over all pixels; cameras write one, progressive files about ten."""

WORK = 1024
"""Pixels of the longer side at most: larger pictures are shrunk before the ink is looked for."""
MIN_SIDE = 8
"""Pixels a side at least, of a picture."""
MIN_INK = 5
"""Pixels of the longer side at least, of the ink: below, it is a speck of dust."""
MIN_CONTRAST = 8
"""Grey values of 256 between ink and paper, at least."""

FINE = 4
"""Steps a pixel of the 32x32 bitmap, along each side: a pen's width is set in quarters of a pixel."""
HEIGHT, WIDTH = 31, 19
"""Pixels of the 32x32 bitmap that a digit fills: NIST's 20x32, less what erosion takes on the average."""
NARROW = ((0.0, 0.2, 0.5), (0.0, 6.4, WIDTH))
"""Width by height of the ink, and pixels of width: a stroke that stands alone is not stretched to a block."""
PEN = 3.5
"""Pixels of stroke with which a digit is fitted, before its ink is brought to `MEAN`: about NIST's pen."""
MEAN = 4.88
"""Mean of the 64 values in the digits."""
REACH = 7
"""Pixels by which strokes may grow."""
BAND = 3
"""Rows at the top and at the bottom in which a digit's beginning is looked for."""

_PNG = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_KEPT = {*range(0xC0, 0xE0), 0xE0, 0xEE}
"""Frames, tables, and the two segments that say what the colours are."""


def digit_from_image(data: bytes, *, place: str) -> NDArray[np.float64]:
    """The row of a picture that shows one digit, dark on light or light on dark.

    Args:
        data: the bytes of a PNG (its first frame) or JPEG file.
        place: what to call the picture in a refusal.

    Returns:
        64 whole numbers from 0 to 16, row by row.

    Raises:
        DataRejected: the picture cannot be decoded whole, is too large, or shows no ink.
    """
    from PIL import Image, ImageOps

    try:
        if data.startswith(_PNG):
            data = _png(data, place)
        elif data.startswith(b"\xff\xd8"):
            data = _jpeg(data, place)
        else:
            raise _refused(place, "image-unreadable", f"is none of {', '.join(FORMATS)}")
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        image.draft(image.mode, (WORK, WORK))  # a JPEG is decoded at the size that is needed
        image = ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise _refused(place, "image-unreadable", f"cannot be decoded: {reason}") from error
    return _row(_grey(image), place)


def digit_from_canvas(grey: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The row of a drawing.

    Args:
        grey: uint8 of shape (height, width), dark on light or light on dark.

    Raises:
        DataRejected: the drawing is too large, or shows no ink.
    """
    from PIL import Image

    _check_size(grey.shape[1], grey.shape[0], "canvas")
    return _row(_grey(Image.fromarray(grey)), "canvas")


# Files: only what makes pixels is given to the decoder, and only when it is whole


def _png(data: bytes, place: str) -> bytes:
    """The PNG without profile, texts and further frames; Pillow alone would accept one with missing rows."""
    kept, pixels, at = [_PNG], list[bytes](), len(_PNG)
    while kept[-1][4:8] != b"IEND":
        (length,) = struct.unpack_from(">I", data, at)
        chunk = data[at : at + 12 + length]
        kind, body = chunk[4:8], chunk[8:-4]
        if len(chunk) < 12 + length or (len(kept) == 1) != (kind == b"IHDR"):
            raise _refused(place, "image-unreadable", "is cut off, or no PNG")
        if kind in {b"zTXt", b"iTXt", b"iCCP"} and _inflated([_packed(kind, body)], MAX_TEXT) > MAX_TEXT:
            raise _refused(place, "image-too-large", f"holds a text or profile of more than {MAX_TEXT:,} bytes")
        if kind in {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}:
            if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
                raise _refused(place, "image-unreadable", f"has a checksum that is wrong, in {kind.decode()}")
            kept.append(chunk)
            pixels += [body] if kind == b"IDAT" else []
        at += len(chunk)
        if len(kept) == 2 and kind == b"IHDR":
            expected = _png_bytes(body, place)
    found = _inflated(pixels, expected)
    if found != expected:
        must = f"its pixels take {expected:,} bytes"
        raise _refused(place, "image-unreadable", f"{must}, and it holds {'fewer' if found < expected else 'more'}")
    return b"".join(kept)


def _png_bytes(header: bytes, place: str) -> int:
    """The bytes that the pixels unpack to: a filter byte and the pixels of each row, of each pass."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    _check_size(width, height, place)
    bits = depth * _CHANNELS.get(colour, 0)
    passes = [
        (ceil((width - left) / right), ceil((height - top) / down))
        for left, top, right, down in (_ADAM7 if interlaced else ((0, 0, 1, 1),))
    ]
    return sum(rows * (1 + ceil(columns * bits / 8)) for columns, rows in passes if columns > 0 and rows > 0)


def _packed(kind: bytes, body: bytes) -> bytes:
    """The compressed part of a text or profile, as PNG lays it out; nothing where it is not compressed."""
    rest = body.partition(b"\0")[2]
    if kind != b"iTXt":
        return rest[1:]
    return rest[2:].split(b"\0", 2)[-1] if rest[:1] == b"\1" else b""


def _inflated(pieces: Iterable[bytes], limit: int) -> int:
    """How many bytes the pieces of one zlib stream unpack to; it stops where they are more than the limit."""
    unpack, total = zlib.decompressobj(), 0
    for piece in pieces:
        rest = piece
        while total <= limit:
            part = len(unpack.decompress(rest, 2**18))
            total, rest = total + part, unpack.unconsumed_tail
            if not part and not rest:
                break
    return total


def _jpeg(data: bytes, place: str) -> bytes:
    """The JPEG without profile, previews and further frames."""
    kept, at, sized = [data[:2]], 2, False
    while data[at + 1 : at + 2] != b"\xda":  # the first scan
        mark, kind, length = struct.unpack_from(">BBH", data, at)
        if mark != 0xFF:
            raise _refused(place, "image-unreadable", "is no JPEG: a segment does not begin where it should")
        segment = data[at : at + 2 + length]
        if kind in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", segment, 5)
            _check_size(width, height, place)
            sized = True
        if kind in _JPEG_KEPT or (kind == 0xE1 and segment[4:8] == b"Exif"):
            kept.append(segment)
        at += 1 if kind == 0xFF else 2 + length  # 0xFF fills
    scans = len(re.findall(rb"\xff\xda\0[\x08\x0a\x0c\x0e][\1-\4]", data[at:]))
    if scans > MAX_SCANS:
        raise _refused(place, "image-too-large", f"its pixels are written over {scans} times, {MAX_SCANS} at most")
    if not sized:
        raise _refused(place, "image-unreadable", "is no JPEG: nothing says its size")
    return b"".join([*kept, data[at:]])


def _check_size(width: int, height: int, place: str) -> None:
    if width * height > MAX_PIXELS:
        message = f"has {width} x {height} pixels, {MAX_PIXELS:,} at most"
        raise _refused(place, "image-too-large", message, hint="shrink it, or cut the digit out of it")


def _grey(image: Image.Image) -> NDArray[np.float32]:
    """Grey values, the longer side at most `WORK`: of the colour in which ink and paper differ most."""
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits: Pillow would clip them, not scale them
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    plain = "L" if image.mode in {"1", "L"} else "RGB"
    image = image.convert("RGBA" if image.has_transparency_data else plain)
    image = image.reduce(max(1, ceil(max(image.size) / WORK)))
    colours = np.atleast_3d(np.asarray(image, dtype=np.float32))
    if image.mode == "RGBA":
        colours, cover = colours[..., :3], colours[..., 3:] / 255
        solid = colours[cover[..., 0] > 0.99]
        # White shows through, unless all that is drawn is light.
        paper = 0 if solid.size and np.quantile(solid.mean(axis=1), 0.005) > 127 else 255
        colours = np.round(colours * cover + paper * (1 - cover))
    return np.ascontiguousarray(colours[..., int(colours.var(axis=(0, 1)).argmax())])


# Ink: what stands out from the paper, in one piece


def _row(grey: NDArray[np.float32], place: str) -> NDArray[np.float64]:
    import numpy as np

    if min(grey.shape) < MIN_SIDE:
        raise _refused(place, "image-no-ink", f"is smaller than {MIN_SIDE} x {MIN_SIDE} pixels")
    ink = _ink(_smooth(grey), place)
    lone = ink & ~(_shifted(ink, 1, 0) | _shifted(ink, -1, 0) | _shifted(ink, 0, 1) | _shifted(ink, 0, -1))
    if lone.sum() > 0.01 * ink.sum():  # salt and pepper
        ink = _ink(_median(grey), place)
    return _counted(_fitted(_largest(ink, place))).astype(np.float64)
