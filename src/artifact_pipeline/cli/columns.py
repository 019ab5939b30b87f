"""How a training says which columns of a table it learns from, which it leaves out, and what is suspicious."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import listing, plural

if TYPE_CHECKING:
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.rows.matrix import Rows

SHOWN = 10
"""Names that a line lists."""


def say_columns(output: Output, rows: Rows | None) -> None:
    """Say what a table gives; nothing for the built-in digits."""
    if rows is None or rows.source != "table":
        return
    files, empty = rows.files
    parts = f" of {plural(files, 'file')}" if files > 1 else ""
    without = f", {empty:,} of them without a row" if empty else ""
    output.say(
        f"columns: {rows.target!r} is learned from {listing([repr(name) for name in rows.names], SHOWN)}; "
        f"{plural(len(rows.X), 'row')}{parts}{without}"
    )
    if rows.left_out:
        reasons = [f"{each.name!r} ({each.reason})" for each in rows.left_out]
        output.say(f"left out: {listing(reasons, SHOWN, separator='; ')}")
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
