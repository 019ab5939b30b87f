"""Patterns of names, part by part, as a shell knows them: `*` stays within its folder, `**` does not."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = re.compile(r"[*?[]")


def fixed_parts(pattern: Sequence[str]) -> Sequence[str]:
    """The parts before the first one with a magic character."""
    first = next((index for index, part in enumerate(pattern) if MAGIC.search(part)), len(pattern))
    return pattern[:first]


def fits_or_parent(name: Sequence[str], pattern: Sequence[str], *, hidden: bool = True) -> bool:
    """Whether a pattern fits a name or a folder above it.

    Args:
        name: the parts of the name.
        pattern: the parts of the pattern.
        hidden: whether `*` fits a part with a leading dot, as in a store and not as in a shell.
    """
    return any(_fits(name[:end], pattern, hidden=hidden) for end in range(1, len(name) + 1))


def _fits(name: Sequence[str], pattern: Sequence[str], *, hidden: bool) -> bool:
    if not pattern:
        return not name
    seen = bool(name) and (hidden or not name[0].startswith(".") or pattern[0].startswith("."))
    if pattern[0] == "**":
        return _fits(name, pattern[1:], hidden=hidden) or (seen and _fits(name[1:], pattern, hidden=hidden))
    return seen and fnmatchcase(name[0], pattern[0]) and _fits(name[1:], pattern[1:], hidden=hidden)
