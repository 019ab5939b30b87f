"""What a training gives, and what a plan of one says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.artifact.provenance import Comparison, Statement
    from artifact_pipeline.config import Config
    from artifact_pipeline.rows.matrix import Kind, LeftOut, Rows
    from artifact_pipeline.training.candidate import Candidate
    from artifact_pipeline.training.unchanged import Look

Outcome = Literal["unchanged", "identical", "passed", "failed"]


@dataclass(frozen=True, slots=True)
class Columns:
    """What a table gives to a training.

    Attributes:
        target: the column of the labels.
        names: the columns that are learned from, in their order.
        kinds: the kind of each of them.
        left_out: the columns that are not learned from, and why.
        rows: how many rows there are.
        files: how many files they were read from.
        empty_files: how many of those held no row.
        warnings: what is suspicious about them, a sentence each.
    """

    target: str
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    left_out: tuple[LeftOut, ...]
    rows: int
    files: int
    empty_files: int
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, rows: Rows | None) -> Columns | None:
        """The columns of a table; None for a built-in data set."""
        if rows is None or rows.source != "table":
            return None
        files, empty = rows.files
        return cls(
            rows.target, rows.names, rows.all_kinds, rows.left_out, len(rows.X), files, empty, warnings=rows.warnings
        )


@dataclass(frozen=True, slots=True)
class Training:
    """What a training gave.

    Attributes:
        outcome: `unchanged`: nothing was trained, since the artifact in charge is what a training would give;
            `identical`: the champion is the same model, and nothing was published; `passed`: the gate passed;
            `failed`: it did not, or the comparison with the champion did not.
        digest: the artifact digest; where the outcome is `unchanged` or `identical`, of the artifact that stays.
        manifest: the artifact's manifest.
        folder: the artifact's folder.
        look: what has changed since the artifact that was in charge before was made.
        columns: what a table gave; None for a built-in data set.
        candidate: the model that was trained; None where none was.
        statement: what its provenance says; None where none was trained.
        in_charge: whether the pointer leads to the artifact.
        export: the pickle that belongs to the artifact; None where none was asked for, or none belongs to it.
    """

    outcome: Outcome
    digest: str
    manifest: Manifest
    folder: Path
    look: Look
    columns: Columns | None = None
    candidate: Candidate | None = None
    statement: Statement | None = None
    in_charge: bool = False
    export: Path | None = None

    @property
    def unchanged(self) -> bool:
        """Whether nothing was trained."""
        return self.outcome == "unchanged"

    @property
    def comparison(self) -> Comparison | None:
        """How the candidate stood beside the champion; None where there was none, or nothing was trained."""
        return self.statement.internal.comparison if self.statement else None

    @property
    def looks(self) -> int | None:
        """How often the held-out rows have been looked at, this training included; None where nothing was trained."""
        return self.statement.internal.looks if self.statement else None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training would do.

    Attributes:
        config: the resolved config.
        store: the folder of the store.
        columns: what a table gives; None for a built-in data set.
        look: what has changed since the artifact in charge was made; None where that was not asked.
    """

    config: Config
    store: Path
    columns: Columns | None
    look: Look | None = None
