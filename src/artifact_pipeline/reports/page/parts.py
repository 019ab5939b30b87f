"""The parts of a page: sections of tables, plots, cards and texts. All texts are plain; the template escapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from markupsafe import Markup

MAX_LISTED = 40
"""Most rows of a long list; what is left out is counted."""


def short(text: object, most: int = 60) -> str:
    """Return a text, cut where it is too long to be read at a glance."""
    whole = str(text)
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"


class Cell(NamedTuple):
    """A cell of a table that is more than text.

    Attributes:
        link: the anchor that it leads to, or none.
        look: a class of the style sheet.
        path: the outline of a small histogram, as SVG has it.
    """

    text: str
    link: str = ""
    look: str = ""
    path: str = ""


Row = tuple[str | Cell, ...]


@dataclass(frozen=True, slots=True)
class DataTable:
    """A table; columns of numbers stand to the right.

    Attributes:
        rows: the cells; the first of each row is its head.
        note: a sentence under it, such as how many rows were left out.
        folded: whether it stands behind a summary that one opens.
        anchor: the name by which a link leads to it.
        pictures: whether its colours mean something.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""
    folded: bool = False
    anchor: str = ""
    pictures: bool = False

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Which columns hold numbers alone."""
        columns = zip(*([*map(cell_text, row)] for row in self.rows), strict=True) if self.rows else ()
        found = tuple(any(each not in _BLANK for each in texts) and all(map(_is_number, texts)) for texts in columns)
        return found or (False,) * len(self.columns)


_BLANK = {"", "·", "missing"}
"""What stands among numbers where there is none."""


def cell_text(cell: str | Cell) -> str:
    """Return the text of a cell."""
    return cell if isinstance(cell, str) else cell.text


def _is_number(text: str) -> bool:
    plain = text.strip("+-<≥≤> %").replace(",", "").replace(".", "").replace("e-", "").replace(" to ", "")
    return text in _BLANK or plain.replace("-", "").replace("+", "").isdigit()


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot, with the table behind it.

    Attributes:
        words: a sentence with the figures that matter, for readers who cannot see it.
        svg: draws it; called only where the plot is shown.
        table: the numbers behind it; None where they stand beside it.
    """

    kind: ClassVar[str] = "plot"
    title: str
    words: str
    svg: Callable[[], Markup]
    table: DataTable | None
    note: str = ""


class Card(NamedTuple):
    """One row as a picture: a data URI, what it shows, and the lines under it."""

    picture: str
    alt: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cards:
    """Pictures beside each other; folded, and with an anchor, as a `DataTable`."""

    kind: ClassVar[str] = "cards"
    title: str
    cards: tuple[Card, ...]
    note: str = ""
    folded: bool = False
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Commands:
    """Commands to type, each with what it does."""

    kind: ClassVar[str] = "commands"
    lines: tuple[tuple[str, str], ...]


Block = DataTable | Plot | Cards | Commands


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page.

    Attributes:
        name: its anchor.
        texts: sentences under the head.
        beside: whether the blocks stand beside each other where there is room, those that are folded as one.
    """

    name: str
    title: str
    texts: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    beside: bool = False


class Tile(NamedTuple):
    """A figure at the top: its name, its value, and the words under it."""

    name: str
    value: str
    words: str


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page.

    Attributes:
        verdict: of the gate, or of all gates; empty where several models have several verdicts.
        lead: sentences under the head.
        tiles: the figures that one looks at first.
    """

    title: str
    verdict: str
    sections: tuple[Section, ...]
    lead: tuple[str, ...] = ()
    digests: tuple[tuple[str, str], ...] = ()
    tiles: tuple[Tile, ...] = ()


def more(total: int, shown: int, things: str) -> str:
    """Return a sentence about what a list leaves out; an empty text where that is nothing."""
    return f"{shown:,} of {total:,} {things} are shown." if shown < total else ""
