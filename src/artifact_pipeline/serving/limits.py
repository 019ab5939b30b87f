"""What a client may send, and how much of it the server holds at once. `Settings` has the limits that can be chosen."""

from __future__ import annotations

MAX_HEAD = 32 << 10
"""Bytes of a request's head at most. The HTTP library has limits of its own for trailers and chunk extensions."""
SPARE = 256
"""Connections beyond `--connections` that are accepted: on them further requests get 503, and health its answer."""
STALLED = 3
"""Within so many times `--timeout` a client must have read its response."""
PIECE = 64 << 10
"""Bytes of a response that are handed to the HTTP library at a time: it holds no more until the client reads them."""
QUIET = 0.5
"""Seconds without a byte after which the server no longer waits for the rest of a body that it has refused."""
SMALL = 64 << 10
"""Bytes of a small body: it is not counted among `BODIES`, and is answered on the event loop, in 1 or 2 ms."""
PIECES = 8192
"""Pieces in which any body may come: each chunk is a piece, and costs as much as a small request."""
MEAN = 256
"""For each so many bytes a body may come in one more piece."""
BODIES = 8
"""All bodies together, from their first byte to their answer, may be as large as so many of the largest size."""
