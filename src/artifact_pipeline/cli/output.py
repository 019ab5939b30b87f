"""What is printed, and where: results on standard output, talk and errors on standard error.

On a terminal tables and a spinner come from rich; in a log there are plain lines. With `--json` standard output holds
one JSON object and nothing else.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from artifact_pipeline.errors import PipelineError


@dataclass(frozen=True, slots=True)
class Output:
    """How one command speaks.

    Attributes:
        as_json: one JSON object on standard output, and no other line there.
        quiet: nothing but errors and `--json`.
        debug: a traceback with each error.
        door: started as `python src/….py`, so hints name the doors.
    """

    as_json: bool = False
    quiet: bool = False
    debug: bool = False
    door: bool = False

    @classmethod
    def for_arguments(cls, arguments: Sequence[str], *, door: bool) -> Output:
        """Look for the three flags before anything is parsed, so that a usage error obeys them too."""
        return cls(
            as_json="--json" in arguments,
            quiet="--quiet" in arguments or "-q" in arguments,
            debug="--debug" in arguments,
            door=door,
        )

    def say(self, text: str = "") -> None:
        """Print a line of the result."""
        if not self.quiet and not self.as_json:
            sys.stdout.write(clean(text) + "\n")

    def talk(self, text: str) -> None:
        """Print a line about the result, on standard error."""
        if not self.quiet:
            sys.stderr.write(clean(text) + "\n")

    def next(self, command: str) -> None:
        """Name the next useful command, as the last line."""
        self.say(f"next: {command}")

    def result(self, value: dict[str, Any]) -> None:
        """Print the JSON object that `--json` asks for."""
        if self.as_json:
            sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True) + "\n")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, heat: bool = False) -> None:
        """Print a table; numbers stand to the right.

        Args:
            columns: the heads.
            rows: the cells, as text.
            heat: colour the cells off the first column by their number, on a terminal.
        """
        if self.quiet or self.as_json:
            return
        cells = [[clean(cell) for cell in row] for row in [columns, *rows]]
        if sys.stdout.isatty():
            _rich_table(cells, heat=heat)
            return
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        right = [all(map(_is_number, column)) for column in zip(*cells[1:], strict=True)] or [False] * len(widths)
        for row in cells:
            line = (
                cell.rjust(width) if numeric else cell.ljust(width)
                for cell, width, numeric in zip(row, widths, right, strict=True)
            )
            sys.stdout.write(f"  {'  '.join(line)}".rstrip() + "\n")

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """Tell the steps of long work: a spinner on a terminal, a line each in a log."""
        if self.quiet or not sys.stderr.isatty():
            yield self.talk
            return
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("starting")
            yield lambda text: bar.update(task, description=clean(text))

    def error(self, error: PipelineError, status: int) -> None:
        """Print an error: `error: …`, every problem, and `hint: …`."""
        sys.stderr.write(f"error: {clean(error.message)}\n")
        for problem in error.problems:
            sys.stderr.write(f"  {clean(str(problem))}\n")
        if error.hint:
            sys.stderr.write(f"hint: {clean(error.hint)}\n")
        self.result(
            {
                "error": {
                    "message": error.message,
                    "problems": [
                        {"place": each.place, "rule": each.rule, "message": each.message} for each in error.problems
                    ],
                    "hint": error.hint,
                    "status": status,
                }
            }
        )


def clean(text: str) -> str:
    """Show what a terminal would obey: a name from a hostile file must not move the cursor or change colours."""
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)


def shown(path: Path) -> str:
    """A path as a person would write it from the working folder."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would follow the pointer
    here = Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)


def _is_number(text: str) -> bool:
    return text.replace(".", "").replace(",", "").replace("-", "").isdigit() or text in {".", ""}


def _rich_table(cells: Sequence[Sequence[str]], *, heat: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    head, *body = cells
    table = Table(*head, box=box.SIMPLE_HEAD, pad_edge=False)
    for column, values in zip(table.columns, zip(*body, strict=True), strict=False):
        column.justify = "right" if all(map(_is_number, values)) else "left"
    most = max((int(cell) for row in body for cell in row[1:] if cell.isdigit()), default=0) if heat else 0
    for row in body:
        first, *rest = row
        table.add_row(Text(first), *(Text(cell, style=_heat(cell, most)) for cell in rest))
    Console().print(table)


def _heat(cell: str, most: int) -> str:
    if not most or not cell.isdigit():
        return ""
    share = int(cell) / most
    return "bold white on dark_green" if share > 0.5 else "white on dark_red"
