"""What wrote the config, and where in it each key and value stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.config.jsontext import line_and_column
from artifact_pipeline.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.config.jsontext import Document, KeyPath


@dataclass(frozen=True, slots=True)
class Source:
    """Something that wrote the config or a part of it.

    Attributes:
        name: the file, the option, or `config` for values given by hand.
        number: its order: the file is 0, the options follow.
        text: a file's text, which gives its places a line and a column; else None.
        document: what it wrote, if that was JSON text.
        base: the key whose value the document is; the file's is the root.
        top: the highest key that it made: `-S dataset.path=…` makes the whole of a missing `dataset`.
    """

    name: str
    number: int = 0
    text: str | None = None
    document: Document | None = None
    base: KeyPath = ()
    top: KeyPath = ()


@dataclass(frozen=True, slots=True)
class Located:
    """A problem and its order: the source's number, the offset in its text."""

    order: tuple[int, int]
    problem: Problem


@dataclass(frozen=True, slots=True)
class Spot:
    """A character of a source.

    Attributes:
        written: the value that starts there, as it is written; None where there is no text, or no such value.
    """

    source: Source
    offset: int = 0
    written: str | None = None

    def problem(self, rule: str, message: str) -> Located:
        """What is wrong here."""
        place = self.source.name
        if self.source.text is not None:
            line, column = line_and_column(self.source.text, self.offset)
            place = f"{place}:{line}:{column}"
        return Located((self.source.number, self.offset), Problem(place, rule, message))


def find(path: KeyPath, sources: Sequence[Source], *, key: bool = False) -> Spot:
    """The value at `path`, or its key, in the last source that wrote it; else the nearest object around it.

    The first source wrote the root, so there is always one.
    """
    source = next(each for each in reversed(sources) if path[: len(each.top)] == each.top)
    if source.document is None:
        return Spot(source)
    inner = path[len(source.base) :]
    if key and inner in source.document.keys:
        return Spot(source, source.document.keys[inner])
    if path == source.base + inner and inner in source.document.spans:
        start, end = source.document.spans[inner]
        return Spot(source, start, source.document.text[start:end])
    while inner not in source.document.spans:
        inner = inner[:-1]
    return Spot(source, source.document.spans[inner][0])
