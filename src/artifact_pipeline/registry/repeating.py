"""The number of tries of a request, and the pauses between them."""

from __future__ import annotations

import email.utils
import time

TRIES = 5
"""Most tries of a request that may be sent twice."""
FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 60.0
"""Seconds between two tries: each pause is three times the one before, or what `Retry-After` says."""


def pause(attempt: int, asked: str | None = None) -> None:
    """Wait before the next try, by default or for `asked`, the value of `Retry-After`, within bounds."""
    time.sleep(min(_seconds(asked) or FIRST_PAUSE * 3**attempt, _LONGEST_PAUSE))


def _seconds(asked: str | None) -> float | None:
    """The value of `Retry-After` in seconds; None where it has none."""
    if asked is None:
        return None
    if asked.isascii() and asked.isdigit():
        return float(asked[:6])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
