"""What a client may send, and how much of it the server holds at once. `Settings` has the limits that can be chosen."""

from __future__ import annotations

MAX_HEAD = 32 << 10
"""Bytes of a request beside its body at most: its line, header and trailer lines, chunk extensions, blank lines."""
FRAMING = 16
"""Bytes of a chunked body that may come for each byte in it: a chunk of one takes six, thirteen with a padded size."""
MAX_PIPELINED = 64
"""Requests that a client may send ahead of their responses, at most."""
STALLED = 3
"""Time-outs within which a client must have taken a response."""
SMALL = 64 << 10
"""Bytes of a body that are taken in without asking whether there is room for it."""
BODIES = 8
"""Bodies of the largest size for which there is room at once, while they come and until they are answered."""
UNREAD = 32 << 20
"""Bytes of responses that clients may leave untaken, all together."""
SPARE = 64
"""Connections beyond those that are allowed which get a 503 or, for health and metrics, their answer; still more are
closed without a word."""
