"""PNG and JPEG files, before a decoder sees them: whole, within bounds, and stripped to what makes pixels.

Pillow alone accepts a PNG with missing rows, unpacks texts and profiles, and warns of much that does not matter here.
"""

from __future__ import annotations

import re
import struct
import zlib
from math import ceil
from typing import TYPE_CHECKING

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.limits import MAX_PICTURE_TEXT, MAX_PICTURE_TEXTS, MAX_PIXELS, MAX_SCANS

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMATS = ("PNG", "JPEG")

_PNG = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_KEPT = {*range(0xC0, 0xE1), 0xEE}  # frames, tables, and the two segments that say what the colours are
_FILL = re.compile(rb"\xff*(?=\xff)")
_TURNED = re.compile(rb"\x12\x01\x03\0\x01\0{3}([\x01-\x08])\0|\x01\x12\0\x03\0{3}\x01\0([\x01-\x08])")
_EXIF = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0%b\0\0\0\0\0\0"


def pixels_alone(data: bytes, place: str) -> bytes:
    """Return the same picture in as few segments as it takes; of several frames the first one.

    Raises:
        DataRejected: it is no PNG or JPEG, is not whole, or is too large.
        struct.error, zlib.error: it is cut off, or spoiled.
    """
    if data.startswith(_PNG):
        return _png(data, place)
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data, place)
    raise refused(place, "image-unreadable", f"is none of {', '.join(FORMATS)}")


def _png(data: bytes, place: str) -> bytes:
    """Return the PNG without profile, texts and further frames; Pillow alone would accept one with missing rows."""
    kept, pixels, texts, at = [_PNG], list[bytes](), 0, len(_PNG)
    expected = _png_bytes(data, place)
    while kept[-1][4:8] != b"IEND":
        (length,) = struct.unpack_from(">I", data, at)
        chunk = data[at : at + 12 + length]
        kind, body = chunk[4:8], chunk[8:-4]
        if len(chunk) < 12 + length or (len(kept) == 1) != (kind == b"IHDR"):
            raise refused(place, "image-unreadable", "is cut off, or has no header or two")
        if kind in {b"zTXt", b"iCCP"}:
            texts += _text_bytes(body, place)
            if texts > MAX_PICTURE_TEXTS:
                message = f"holds texts and profiles of more than {MAX_PICTURE_TEXTS:,} bytes"
                raise refused(place, "image-too-large", message)
        if kind in {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}:
            if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
                raise refused(place, "image-unreadable", f"has a checksum that is wrong, in {kind.decode()}")
            kept.append(chunk)
            pixels += [body] if kind == b"IDAT" else []
        at += len(chunk)
    if _inflated(pixels, expected) != expected:
        raise refused(place, "image-unreadable", f"holds more or less than its {expected:,} bytes of pixels")
    return b"".join(kept)


def _text_bytes(body: bytes, place: str) -> int:
    """Count the bytes that a compressed text or a profile unpacks to."""
    size = _inflated([body.partition(b"\0")[2][1:]], MAX_PICTURE_TEXT)
    if size > MAX_PICTURE_TEXT:
        raise refused(place, "image-too-large", f"holds a text or profile of more than {MAX_PICTURE_TEXT:,} bytes")
    return size


def _png_bytes(data: bytes, place: str) -> int:
    """Count the bytes that the pixels unpack to: a filter byte and the pixels of each row, of each pass."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, len(_PNG) + 8)
    check_size(width, height, place)
    bits = depth * _CHANNELS.get(colour, 0)
    passes = [
        (ceil((width - left) / right), ceil((height - top) / down))
        for left, top, right, down in (_ADAM7 if interlaced else ((0, 0, 1, 1),))
    ]
    return sum(rows * (1 + ceil(columns * bits / 8)) for columns, rows in passes if columns > 0 and rows > 0)


def _inflated(pieces: Iterable[bytes], limit: int) -> int:
    """Count the bytes that the pieces of one zlib stream unpack to; stop where they are more than the limit."""
    unpack, total = zlib.decompressobj(), 0
    for piece in pieces:
        rest = piece
        while total <= limit and (part := len(unpack.decompress(rest, 2**18))):
            total, rest = total + part, unpack.unconsumed_tail
    return total


def _jpeg(data: bytes, place: str) -> bytes:
    """Return the JPEG without profile, previews and further frames; of its EXIF, only how the camera was turned."""
    kept, at = [data[:2]], _next_marker(data, 2)
    while data[at : at + 2] != b"\xff\xda":  # the first scan
        mark, kind, length = struct.unpack_from(">BBH", data, at)
        if mark != 0xFF:
            raise refused(place, "image-unreadable", "is no JPEG: a segment does not begin where it should")
        segment = data[at : at + 2 + length]
        if kind in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", segment, 5)
            check_size(width, height, place)
        if kind == 0xE1 and segment[4:8] == b"Exif" and (turned := _TURNED.search(segment)):
            kept.append(_EXIF % (turned[1] or turned[2]))
        kept += [segment] if kind in _JPEG_KEPT else []
        at = _next_marker(data, at + 2 + length)
    if len(re.findall(rb"\xff\xda\0[\x08\x0a\x0c\x0e][\x01-\x04]", data)) > MAX_SCANS:
        raise refused(place, "image-too-large", f"passes over its pixels more than {MAX_SCANS} times")
    return b"".join([*kept, data[at:]])


def _next_marker(data: bytes, at: int) -> int:
    """Skip the bytes of 0xFF that fill the file before a marker, which begins with the last of them."""
    fill = _FILL.match(data, at)
    return at if fill is None else fill.end()


def check_size(width: int, height: int, place: str) -> None:
    """Refuse a picture of too many pixels.

    Raises:
        DataRejected: it has.
    """
    if width * height > MAX_PIXELS:
        message = f"has {width} x {height} pixels, {MAX_PIXELS:,} at most"
        raise refused(place, "image-too-large", message, hint="shrink it, or cut the digit out of it")


def refused(place: str, rule: str, message: str, hint: str | None = None) -> DataRejected:
    """Return the refusal of a picture."""
    return DataRejected("the picture cannot be read", problems=[Problem(place, rule, message)], hint=hint)
