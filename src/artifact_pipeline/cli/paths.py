"""Paths as they are shown."""

from __future__ import annotations

import os
from pathlib import Path


def shown(path: Path) -> str:
    """A path as a person would write it from the working folder."""
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return str(path)
    absolute = Path(os.path.normpath(here / path))  # `resolve` would follow the pointer
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)
