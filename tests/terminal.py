"""A command in a terminal of its own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def in_terminal(*arguments: str | Path, cwd: Path, **env: str) -> tuple[int, str]:
    """Run Python in a terminal of 120 columns; its exit status, and all that the terminal was sent."""
    ours, theirs = pty.openpty()
    foreign = {"NO_COLOR", "FORCE_COLOR", "COLORTERM", "GITHUB_ACTIONS"}  # a runner's log is no terminal
    kept = {key: value for key, value in os.environ.items() if key not in foreign}
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**kept, "COLUMNS": "120", "TERM": "xterm-256color", **env},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    received = b""
    while block := _read(ours):
        received += block
    os.close(ours)
    return process.wait(), received.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux says that the other side has been closed
        return b""
