"""Content encodings: bodies are decompressed within bounds, and large responses compressed if the client accepts it."""

from __future__ import annotations

import re
import zlib

from artifact_pipeline.serving.http import Refusal

WORTHWHILE = 4096
"""Bytes from which on a response is compressed."""
_WEIGHT = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""The `wbits` of zlib: 15, and 16 more for the frame of gzip."""


def decode(body: bytes, encoding: str | None, limit: int) -> bytes:
    """Undo a request's Content-Encoding.

    Args:
        body: the body as it came.
        encoding: the header's value; None where there is none.
        limit: bytes at most, once decompressed.

    Raises:
        Refusal: the encoding is not known, the bytes are not of that encoding or not whole, or there are too many.
    """
    name = (encoding or "identity").strip().lower()
    if name == "identity":
        return body
    if name not in _WINDOW:
        accepted = (b"accept-encoding", b"gzip, deflate")
        raise Refusal(415, f"the content encoding must be gzip or deflate, got {name[:80]!a}", accepted)
    packed = zlib.decompressobj(_WINDOW[name])
    try:
        found = packed.decompress(body, limit + 1)
    except zlib.error:
        raise Refusal(400, f"the body is not packed by {name}") from None
    if len(found) > limit:
        raise Refusal(413, f"the body is larger than {limit:,} bytes once it is unpacked")
    if not packed.eof or packed.unused_data:
        words = "goes on behind its end" if packed.eof else "is cut off"
        raise Refusal(400, f"the body, packed by {name}, {words}")
    return found


def encode(body: bytes, accepted: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Compress a response if the client accepts that; return the body, and the headers that say so."""
    vary, wanted = (b"vary", b"accept-encoding"), weights(accepted.decode("ascii", "replace"))
    for name in ("gzip", "deflate"):
        if wanted.get(name):
            # The lowest level: the next one costs twice the time for a tenth of the bytes.
            packed = zlib.compressobj(1, wbits=_WINDOW[name])
            return packed.compress(body) + packed.flush(), [(b"content-encoding", name.encode()), vary]
    return body, [vary]


def weights(accepted: str) -> dict[str, float]:
    """Return the weight, 0 (not acceptable) to 1, of each name in an `Accept…` header."""
    found: dict[str, float] = {}
    for item in accepted.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                weight = float(parameter[2:]) if _WEIGHT.fullmatch(parameter[2:]) else 0.0
        found[name] = max(weight, found.get(name, 0.0))
    return found
