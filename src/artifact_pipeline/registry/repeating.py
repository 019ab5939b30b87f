"""How often a request is sent, and how long the next try waits."""

from __future__ import annotations

import email.utils
import time

TRIES = 5
"""How often something is sent that may be sent twice."""
FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 60.0
"""Seconds between two tries: each pause is three times the one before, or what `Retry-After` says."""


def pause(attempt: int, asked: str | None = None) -> None:
    """Wait before the next try, as long as the registry asks for, within bounds."""
    time.sleep(min(_seconds(asked) or FIRST_PAUSE * 3**attempt, _LONGEST_PAUSE))


def _seconds(asked: str | None) -> float | None:
    """What `Retry-After` says, in seconds; None where it says nothing."""
    if asked is None:
        return None
    if asked.isascii() and asked.isdigit():
        return float(asked[:6])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
