"""A page as HTML: one file, no script, no request, and a policy that allows neither; or as Markdown, without plots.

Markdown is for a pull request: figures, gate, mistakes, checks.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from artifact_pipeline import __version__
from artifact_pipeline.reports.markdown import escape, table
from artifact_pipeline.reports.page.parts import Cards, Commands, DataTable, Plot, cell_text
from artifact_pipeline.reports.tables import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.reports.page.parts import Block, Page, Section


def html(page: Page) -> str:
    """Return the page; each text of it is escaped, and what is not printable is shown as an escape."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    folder = files("artifact_pipeline.reports.page") / "static"
    style = (folder / "report.css").read_text(encoding="utf-8")
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_printable
    ).from_string((folder / "report.html").read_text(encoding="utf-8"))
    # The policy names the digest of the style sheet: no other one, and no style attribute, counts.
    hashed = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{hashed}'; img-src data:; base-uri 'none'; form-action 'none'"
    return template.render(page=page, style=Markup(style), policy=policy, version=__version__)  # noqa: S704 - our file


def _printable(value: Any) -> Any:
    """Escape what a text may hold to deceive a reader, such as a mark that turns the direction of letters."""
    return clean(value) if type(value) is str else value


_WORD = "(?:(?=[A-Fa-f]*[G-Zg-z])[A-Za-z]+|[A-Fa-f]{1,6}(?![A-Za-z])|[+-]?[0-9][0-9,]*(?:[.][0-9]+)?)"
_FIRST = re.compile(f"{_WORD}(?:-{_WORD})*[,;%]?")
_TOKEN = re.compile(f"[(]?{_WORD}(?:-{_WORD})*[)]?[.,:;%]?|%:|[%=≥≤→·-]")
"""A word or a figure with the marks beside it, of which no renderer makes a link, a list or anything else."""
_LEFT_OUT = {"columns", "thresholds"}
_MAX_ROWS = 20


def markdown(page: Page) -> str:
    """Return the page; what is more than plain words is shown as code."""
    verdict = f": gate {page.verdict}" if page.verdict else ""
    parts = [f"## {escape(page.title)}{verdict}", *map(_shown, page.lead)]
    if page.digests:
        parts.append(table(["digest", "SHA-256"], [[name, f"`{value}`"] for name, value in page.digests]))
    if page.tiles:
        parts.append(
            table(
                ["figure", "value", ""], [[each.name, f"**{each.value}**", _shown(each.words)] for each in page.tiles]
            )
        )
    for section in page.sections:
        if section.name not in _LEFT_OUT:
            parts += _section(section)
    return "\n\n".join(parts) + "\n"


def _shown(text: str) -> str:
    """A text of ours as it is; where a name of the artifact in it is more than words, as code."""
    first, *others = clean(text).split(" ")  # each by itself: one pattern of all of them would try all ways to fit
    plain = _FIRST.fullmatch(first) and all(map(_TOKEN.fullmatch, others))
    return text if plain else escape(text)


def _section(section: Section) -> Iterator[str]:
    blocks = [shown for block in section.blocks for shown in _block(block)]
    if not blocks and not section.texts:
        return
    yield f"### {section.title}"
    yield from map(_shown, section.texts)
    yield from blocks


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Plot):
        if block.table is not None:
            yield from _block(block.table)
    elif isinstance(block, Cards):
        if not block.anchor:
            lines = [[*map(_shown, card.lines)] for card in block.cards[:_MAX_ROWS] if len(card.lines) > 1]
            if lines:
                yield table([escape(block.title), "", *([""] * (len(lines[0]) - 2))], lines)
    elif isinstance(block, Commands):
        yield "```sh\n" + "\n".join(f"{command}  # {what}" for what, command in block.lines) + "\n```"
    elif not block.anchor:
        yield from _table(block)


def _table(block: DataTable) -> Iterator[str]:
    rows = [[_shown(cell_text(cell)) for cell in row] for row in block.rows[:_MAX_ROWS]]
    if not rows:
        yield escape(block.note or block.caption)
        return
    left = len(block.rows) - len(rows)
    shown = table([*map(_shown, block.columns)], rows)
    shown += f"\n\n{left:,} more rows are in the report." if left else ""
    if block.folded:
        yield f"<details><summary>{escape(block.caption)}</summary>\n\n{shown}\n\n</details>"
    else:
        yield shown


RENDERED = {"html": html, "markdown": markdown}
"""How a page of each form is written."""
