"""How a training says which columns of a table it learns from, which it leaves out, and what is suspicious."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import plural

if TYPE_CHECKING:
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.rows.matrix import Rows

SHOWN = 10
"""Names that a line lists."""


def say_columns(output: Output, rows: Rows | None) -> None:
    """Say what a table gives; nothing for the built-in digits."""
    if rows is None or rows.source != "table":
        return
    more = f", … ({len(rows.names):,} in all)" if len(rows.names) > SHOWN else ""
    files, empty = rows.files
    parts = f" of {plural(files, 'file')}" if files > 1 else ""
    without = f", {empty:,} of them without a row" if empty else ""
    output.say(
        f"columns: {rows.target!r} is learned from {', '.join(map(repr, rows.names[:SHOWN]))}{more}; "
        f"{plural(len(rows.X), 'row')}{parts}{without}"
    )
    if rows.left_out:
        told = [f"{each.name!r} ({each.reason})" for each in rows.left_out[:SHOWN]]
        more = f"; … ({len(rows.left_out):,} in all)" if len(rows.left_out) > SHOWN else ""
        output.say(f"left out: {'; '.join(told)}{more}")
    for warning in rows.warnings:
        output.talk(f"warning: {warning}")


def plain_columns(rows: Rows | None) -> dict[str, Any]:
    """The same as `--json` prints it, under `columns`; nothing for the built-in digits."""
    if rows is None or rows.source != "table":
        return {}
    files, empty = rows.files
    return {
        "columns": {
            "target": rows.target,
            "learned": [{"name": name, "kind": kind} for name, kind in zip(rows.names, rows.all_kinds, strict=True)],
            "left_out": [each._asdict() for each in rows.left_out],
            "rows": len(rows.X),
            "files": files,
            "empty_files": empty,
            "warnings": list(rows.warnings),
        }
    }
