"""What a config is drafted from, and what a draft says of a table: each column, its use and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from artifact_pipeline.errors import listing

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.rows.features import ColumnKind
    from artifact_pipeline.rows.survey import SurveyedColumn
    from artifact_pipeline.training.targets import Target

Use = Literal["target", "learned", "left out"]
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class DraftRequest:
    """What a config is drafted from, and where it is written.

    Attributes:
        table: a file of any format that a training reads, a folder of parts, or a pattern; None for a data set.
        dataset: the name of a built-in data set, where there is no table.
        target: the column of the labels; None has it found.
        output: the config file.
        force: replace a file that stands there.
    """

    table: str | None
    dataset: str | None
    target: str | None
    output: Path
    force: bool = False


@dataclass(frozen=True, slots=True)
class DraftedColumn:
    """A column as the draft has it.

    Attributes:
        kind: what it holds; None where it cannot be learned from.
        use: its use in the config.
        why: why it is of that kind, or why it is left out.
        missing: how many cells are missing.
        values: its levels, or its range, in words.
    """

    name: str
    kind: ColumnKind | None
    use: Use
    why: str
    missing: int
    values: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A config, and what it was made from.

    Attributes:
        config: the values of the config's file.
        written: the files that were written, the config first.
        rows: how many rows the table has.
        files: how many files they were read from.
        model: why this model was chosen.
        alternatives: other values of `model`.
        warnings: what a person should look at, a sentence each.
        suggestions: what else may be meant, a sentence each.
    """

    config: dict[str, Any]
    written: tuple[Path, ...]
    rows: int
    files: int
    columns: tuple[DraftedColumn, ...]
    target: Target
    model: str
    alternatives: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]
    suggestions: tuple[str, ...]


def drafted_column(column: SurveyedColumn, reason: str | None, target: Target) -> DraftedColumn:
    """Return what a draft says of a column; `reason` is why it is left out, None where it is not."""
    if column.name == target.name:
        labels = listing([*map(repr, target.labels)], _SHOWN)
        return DraftedColumn(column.name, column.kind, "target", target.why, column.missing, labels)
    use: Use = "learned" if reason is None else "left out"
    return DraftedColumn(column.name, column.kind, use, reason or _why_kind(column), column.missing, _values(column))


def _why_kind(column: SurveyedColumn) -> str:
    """Why a column is of its kind, by the rules of `rows.inference`."""
    if column.kind == "category":
        digits = all(each.strip().isdigit() for each in column.levels)
        return "digits, some of which begin with a zero" if digits else f"{len(column.levels):,} different texts"
    return "each value is a number" if column.kind == "number" else "each value is true or false"


def _values(column: SurveyedColumn) -> str:
    """The levels of a category, the range of a number, or how many are true."""
    import numpy as np

    if column.kind is None:
        return ""
    if column.kind == "category":
        return listing([*map(repr, sorted(column.levels))], _SHOWN)
    if column.kind == "boolean":
        return f"{int(np.nansum(column.values)):,} are true"
    return f"{np.nanmin(column.values):g} to {np.nanmax(column.values):g}"
