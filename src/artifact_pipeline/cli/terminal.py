"""Output for terminals alone, by rich: tables with lines and colours, spinners, bars."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

RIGHT, WRONG = "bold green", "bold red"


def print_table(head: Sequence[str], body: Sequence[Sequence[str]], numeric: Sequence[bool], *, diagonal: bool) -> None:
    """Print a table on standard output; `numeric` columns to the right, `diagonal` as in `Output.table`."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    # Text everywhere: in a plain string rich would obey what looks like its markup.
    for name, right in zip(head, numeric, strict=True):
        table.add_column(Text(name), justify="right" if right else "left")
    for number, row in enumerate(body, 1):
        styles = [
            _style(cell, right=number == column) if diagonal and column else "" for column, cell in enumerate(row)
        ]
        table.add_row(*(Text(cell, style=style) for cell, style in zip(row, styles, strict=True)))
    Console(highlight=False).print(table)


def _style(count: str, *, right: bool) -> str:
    if not count.isdigit():
        return "dim"
    return RIGHT if right else WRONG


@contextmanager
def spinner() -> Iterator[Callable[[str], None]]:
    """Show a spinner on standard error, and yield the function that sets the text beside it."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting")
        yield lambda text: progress.update(task, description=text, refresh=True)


@contextmanager
def board() -> Iterator[Callable[[str, Sequence[str], Sequence[Sequence[str]]], None]]:
    """Show a line above a table on standard error, and yield the function that sets line, head and rows."""
    with Live(console=Console(stderr=True), transient=True, refresh_per_second=4) as live:

        def _show(line: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            for name in head:
                table.add_column(Text(name))
            for row in rows:
                table.add_row(*map(Text, row))
            live.update(Group(Text(line), table))

        yield _show


@contextmanager
def bar() -> Iterator[Callable[[int, float], None]]:
    """Show a bar on standard error, and yield the function that takes the rows just done and the share of all work."""
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  rows: {task.fields[rows]:,}  {task.fields[speed]:,.0f} rows/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("rows", total=1.0, rows=0, speed=0.0)
        rows = 0

        def _update(more: int, share: float) -> None:
            nonlocal rows
            rows += more
            speed = rows / max(progress.tasks[0].elapsed or 0.0, 1e-3)
            progress.update(task, completed=share, rows=rows, speed=speed)

        yield _update
