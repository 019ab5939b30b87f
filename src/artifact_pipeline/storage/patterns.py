"""Patterns of names, matched part by part as by a shell: `*` stays within its folder, `**` does not."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = re.compile(r"[*?[]")


def fixed_parts(pattern: Sequence[str]) -> Sequence[str]:
    """Return the parts before the first one with a magic character."""
    first = next((index for index, part in enumerate(pattern) if MAGIC.search(part)), len(pattern))
    return pattern[:first]


def matches(name: Sequence[str], pattern: Sequence[str], *, hidden: bool = True) -> bool:
    """Whether a pattern matches a name or a folder above it.

    Args:
        name: the parts of the name.
        pattern: the parts of the pattern.
        hidden: whether `*` matches a part with a leading dot, as in a store and not as in a shell.
    """
    return any(_matches(name[:end], pattern, hidden=hidden) for end in range(1, len(name) + 1))


def _matches(name: Sequence[str], pattern: Sequence[str], *, hidden: bool) -> bool:
    if not pattern:
        return not name
    seen = bool(name) and (hidden or not name[0].startswith(".") or pattern[0].startswith("."))
    if pattern[0] == "**":
        return _matches(name, pattern[1:], hidden=hidden) or (seen and _matches(name[1:], pattern, hidden=hidden))
    return seen and fnmatchcase(name[0], pattern[0]) and _matches(name[1:], pattern[1:], hidden=hidden)
