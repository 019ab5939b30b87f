"""How a training says which columns of a table it learns from, which it leaves out, and what is suspicious."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import listing, plural

if TYPE_CHECKING:
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.training.result import Columns

_SHOWN = 10
"""Names that a line lists."""


def say_columns(output: Output, columns: Columns) -> None:
    """Say what a table gives."""
    parts = f" of {plural(columns.files, 'file')}" if columns.files > 1 else ""
    without = f", {columns.empty_files:,} of them without a row" if columns.empty_files else ""
    output.say(
        f"columns: {columns.target!r} is learned from {listing([repr(name) for name in columns.names], _SHOWN)}; "
        f"{plural(columns.rows, 'row')}{parts}{without}"
    )
    if columns.left_out:
        reasons = [f"{each.name!r} ({each.reason})" for each in columns.left_out]
        output.say(f"left out: {listing(reasons, _SHOWN, separator='; ')}")
    for warning in columns.warnings:
        output.talk(f"warning: {warning}")


def plain_columns(columns: Columns | None) -> dict[str, Any]:
    """The same as `--json` prints it, under `columns`; nothing for the built-in digits."""
    if columns is None:
        return {}
    return {
        "columns": {
            "target": columns.target,
            "learned": [{"name": name, "kind": kind} for name, kind in zip(columns.names, columns.kinds, strict=True)],
            "left_out": [each._asdict() for each in columns.left_out],
            "rows": columns.rows,
            "files": columns.files,
            "empty_files": columns.empty_files,
            "warnings": list(columns.warnings),
        }
    }
