"""What is asked of a training, what its caller sees while it runs, and what it gives."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.artifact.provenance import Comparison, Statement
    from artifact_pipeline.artifact.trials import SearchResults
    from artifact_pipeline.config import Config
    from artifact_pipeline.rows.features import ColumnKind
    from artifact_pipeline.rows.matrix import LeftOut, Rows
    from artifact_pipeline.storage.outputs import Place
    from artifact_pipeline.training.sealed import Candidate
    from artifact_pipeline.training.search.run import Searched
    from artifact_pipeline.training.unchanged import Look

Outcome = Literal["unchanged", "identical", "passed", "failed"]


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What is asked of a training.

    Attributes:
        config: a config file, or a mapping with the same keys.
        artifact: where the pointer to the artifact is written; the store is `artifacts/` beside it.
        export: where the pickle for Python users is written; None writes none.
        overrides: such as `max_iter=500`; each wins over the config.
        champion: the artifact that the candidate must not be worse than; None leaves it to the config.
        champion_expect: the champion's artifact digest; any other is refused.
        champion_policy: whom and what to trust of a champion.
        force: train although nothing has changed.
        jobs: how many trials of a search, or parts of the model, are fitted at a time; no bit of the artifact depends
            on it.
        minutes: after which a search stops, and takes the best of what there is; None lets it come to its end.
        scheduler: the address of a Dask cluster that runs the trials of a search, such as `tcp://host:8786`.
        outputs: what the caller writes beside; it must not be what the training reads or writes.
    """

    config: Path | Mapping[str, object]
    artifact: Path
    export: Path | None = None
    overrides: tuple[str, ...] = ()
    champion: Path | str | None = None
    champion_expect: str | None = None
    champion_policy: Path | None = None
    force: bool = False
    jobs: int = 1
    minutes: float | None = None
    scheduler: str | None = None
    outputs: tuple[Place, ...] = ()


class TrainingOptions(TypedDict, total=False):
    """What `artifact_pipeline.train` takes by name; `TrainingRequest` describes each.

    `scheduler` needs the extra `scale`.
    """

    champion_expect: str | None
    jobs: int
    minutes: float | None
    scheduler: str | None


@dataclass(frozen=True, slots=True)
class Columns:
    """What a table gives to a training.

    Attributes:
        target: the column of the labels.
        names: the columns that are learned from, in their order.
        kinds: the kind of each of them.
        left_out: the columns that are not learned from, and why.
        rows: how many rows there are; those of a held-out file are among them, those of feedback are not.
        held_out: how many are of a held-out file.
        files: how many files they were read from.
        empty_files: how many of those held no row.
        warnings: what is suspicious about them, a sentence each.
    """

    target: str
    names: tuple[str, ...]
    kinds: tuple[ColumnKind, ...]
    left_out: tuple[LeftOut, ...]
    rows: int
    files: int
    empty_files: int
    warnings: tuple[str, ...]
    held_out: int = 0

    @classmethod
    def of(cls, rows: Rows | None) -> Columns | None:
        """Return the columns of a table; None for a built-in data set."""
        if rows is None or rows.source != "table":
            return None
        files, empty_files = rows.files
        return cls(
            target=rows.target,
            names=rows.names,
            kinds=rows.kinds,
            left_out=rows.left_out,
            rows=len(rows.split.X),
            files=files,
            empty_files=empty_files,
            warnings=rows.warnings,
            held_out=rows.held_out,
        )


@dataclass(frozen=True, slots=True)
class Training:
    """What a training gave.

    Attributes:
        outcome: `unchanged`: nothing was trained, because the artifact in charge is what a training would give;
            `identical`: the champion is the same model, and nothing was published; `passed`: the gate passed;
            `failed`: it did not, or the comparison with the champion did not.
        digest: the artifact digest; where the outcome is `unchanged` or `identical`, of the artifact that stays.
        manifest: the artifact's manifest.
        folder: the artifact's folder; as a text the place of a champion in a registry, where that stays.
        look: what has changed since the artifact that was in charge before was made.
        columns: what a table gave; None for a built-in data set.
        candidate: the model that was trained; None where none was.
        searched: what the search gave, where there was one and something was trained.
        statement: what its provenance says; None where none was trained.
        in_charge: whether the pointer leads to the artifact.
        export: the pickle that belongs to the artifact; None where none was asked for, or none belongs to it.
    """

    outcome: Outcome
    digest: str
    manifest: Manifest
    folder: Path | str
    look: Look
    columns: Columns | None = None
    candidate: Candidate | None = None
    searched: Searched | None = None
    statement: Statement | None = None
    in_charge: bool = False
    export: Path | None = None

    @classmethod
    def of(
        cls,
        candidate: Candidate,
        statement: Statement,
        folder: Path,
        look: Look,
        *,
        columns: Columns | None = None,
        searched: Searched | None = None,
    ) -> Training:
        """Return the training of a candidate that is not in charge yet; `folder` is where it is to stand."""
        comparison = statement.internal.comparison
        accepted = candidate.passed and (comparison is None or comparison.accepted)
        return cls(
            "passed" if accepted else "failed",
            candidate.digest,
            candidate.manifest,
            folder,
            look,
            columns=columns,
            candidate=candidate,
            searched=searched,
            statement=statement,
        )

    @property
    def unchanged(self) -> bool:
        """Whether nothing was trained."""
        return self.outcome == "unchanged"

    @property
    def comparison(self) -> Comparison | None:
        """The candidate beside the champion; None where there was none, or nothing was trained."""
        return self.statement.internal.comparison if self.statement else None

    @property
    def looks(self) -> int | None:
        """How often the held-out rows have been looked at, this training included; None where nothing was trained."""
        return self.statement.internal.looks if self.statement else None

    def __repr__(self) -> str:
        return f"<Training {self.manifest.name!r}, {self.outcome}, {self.digest}>"

    def _repr_html_(self) -> str:
        """What a notebook shows; every text of the artifact is escaped."""
        from artifact_pipeline.prediction.notebook import html_summary

        return html_summary(self.manifest, self.digest, facts={"training": _ENDS[self.outcome]})


_ENDS = {
    "unchanged": "nothing was trained: nothing has changed",
    "identical": "not published: the champion is the same model",
    "passed": "trained and published",
    "failed": "trained, and not put in charge",
}
"""How a training ended, in words."""


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


def _ignore(_: object) -> None:
    """Do nothing."""


def _silence() -> AbstractContextManager[Callable[[object], None]]:
    return nullcontext(_ignore)


@dataclass(frozen=True, slots=True)
class Observer:
    """What a caller sees while a training runs; by default nothing.

    Attributes:
        progress: is entered for long work, and gives what is called with each step, in a few words.
        loaded: is called with the columns of a table, once it is read.
        looked: is called with what has changed, before anything is trained.
        searching: is entered for a search, and gives what is called with how it stands, after each result.
        measured: is called with the training before anything is published; what it raises ends the training.
    """

    progress: Callable[[], AbstractContextManager[Callable[[str], None]]] = _silence
    loaded: Callable[[Columns], None] = _ignore
    looked: Callable[[Look], None] = _ignore
    searching: Callable[[], AbstractContextManager[Callable[[SearchResults.Standing], None]]] = _silence
    measured: Callable[[Training], None] = _ignore


SILENT = Observer()
