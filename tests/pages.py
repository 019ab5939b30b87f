"""The pages of the documentation, and what they show."""

from __future__ import annotations

import platform
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from artifact_pipeline.artifact.environment import libc

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = ["README.md", *(str(path.relative_to(ROOT)) for path in sorted(DOCS.rglob("*.md")))]

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Shown:
    """A command that a page shows.

    Attributes:
        command: what is typed.
        output: what the page says that it prints; empty where the page does not say it.
    """

    command: str
    output: str = ""


def here() -> tuple[str, ...]:
    """Python, system, architecture and C library of this machine."""
    python = (platform.python_implementation(), platform.python_version())
    return (*python, platform.system(), platform.machine(), libc())


def read(page: str) -> str:
    """The text of a page, by its path from the project's root."""
    return (ROOT / page).read_text()


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in a language."""
    return [text for found, text in FENCE.findall(read(page)) if found == language]


def section(page: str, heading: str) -> str:
    """What stands under a heading of a page, up to the next heading of its level or of a higher one."""
    level = len(heading) - len(heading.lstrip("#"))
    _, _, behind = read(page).partition(f"\n{heading}\n")
    assert behind, f"{page} has no {heading}"
    return re.split(rf"^#{{1,{level}}} ", behind, maxsplit=1, flags=re.MULTILINE)[0]


def shown(page: str) -> list[Shown]:
    """The commands that a page shows in blocks of `console` (with `$ `, and perhaps output) and `sh`, in order."""
    found: list[Shown] = []
    for language, text in FENCE.findall(read(page)):
        if language == "console":
            parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
            assert parts[0] == "", f"{page}: a block of console begins with a command"
            for part in parts[1:]:
                command, _, output = part.partition("\n")
                found.append(Shown(command, output))
        elif language == "sh":
            found.extend(Shown(command) for command in _typed(text))
    return found


def _typed(script: str) -> list[str]:
    """The commands of a script: a line each, or several lines where a quotation goes on."""
    found, begun = [], ""
    for line in script.splitlines():
        begun += line
        try:
            shlex.split(begun, comments=True)
        except ValueError:
            begun += "\n"
            continue
        if begun.strip() and not begun.lstrip().startswith("#"):
            found.append(begun)
        begun = ""
    assert not begun, f"a quotation without an end: {begun}"
    return found


(PLATFORM,) = re.findall(r"those of (\w+) ([\d.]+) on (\w+) (\w+)\s+with\s+(glibc [\d.]+);", read("README.md"))
"""Of which platform the digests are that the pages show."""
