"""Content encodings: what comes packed is unpacked within bounds, what goes out large is packed if that is wanted."""

from __future__ import annotations

import re
import zlib

from artifact_pipeline.serving.http import Refusal

WORTHWHILE = 4096
"""Bytes from which on an answer is packed."""
_WEIGHT = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""As zlib counts: 15 bits, and 16 more where the frame is gzip's."""


def decode(body: bytes, encoding: str | None, limit: int) -> bytes:
    """Undo a request's Content-Encoding.

    Args:
        body: the body as it came.
        encoding: the header's value; None where there is none.
        limit: bytes at most.

    Raises:
        Refusal: an encoding that is not known, bytes that are not packed so or cut off, or too many of them.
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
    """Pack an answer, where the client wants that, and say how."""
    vary, wanted = (b"vary", b"accept-encoding"), weights(accepted.decode("ascii", "replace"))
    for name in ("gzip", "deflate"):
        if wanted.get(name):
            # The lowest level: the next one costs twice the time for a tenth of the bytes.
            packed = zlib.compressobj(1, wbits=_WINDOW[name])
            return packed.compress(body) + packed.flush(), [(b"content-encoding", name.encode()), vary]
    return body, [vary]


def weights(accepted: str) -> dict[str, float]:
    """How much a client wants each thing that its `Accept…` header names, from 0, which is not at all, to 1."""
    found: dict[str, float] = {}
    for item in accepted.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                weight = float(parameter[2:]) if _WEIGHT.fullmatch(parameter[2:]) else 0.0
        found[name] = max(weight, found.get(name, 0.0))
    return found
