"""What a client may send, and how much of it the server holds at once. `Settings` has the limits that can be chosen."""

from __future__ import annotations

MAX_HEAD = 32 << 10
"""Bytes of a request's head at most. The HTTP library has limits of its own for trailers and chunk extensions."""
SPARE = 256
"""Connections that are taken beside `--connections`: a request too many gets 503 on them, and health its answer."""
STALLED = 3
"""Time-outs within which a client must have taken a response."""
PIECE = 64 << 10
"""Bytes of a response that are handed to the HTTP library at a time: it holds no more of what is not taken."""
QUIET = 0.5
"""Seconds without a byte after which the rest of a body that has been refused is not waited for."""
SMALL = 64 << 10
"""Bytes of a body that are taken in without asking whether there is room for it."""
PIECES = 8192
"""Pieces in which any body may come: each chunk is one, and costs as much as a small request."""
MEAN = 256
"""Bytes of a body that allow one piece more."""
BODIES = 8
"""Bodies of the largest size for which there is room at once, while they come and until they are answered."""
