"""Every error that the pipeline raises on purpose, and the exit status of each.

* PipelineError        1  anything below; alone, an error without a kind of its own
  * ConfigError        2  the config, or an option of the command line
  * GateFailed         3  the trained model does not reach what its gate asks
  * ArtifactRejected   4  the artifact, or an export of it, is missing or is not what it claims to be
  * DataRejected       5  rows that cannot be read, or are not what the model was trained on
  * NotReproduced      6  a training again gave something else
  * DriftFound         7  the rows are not distributed as the training rows were
  * StorageError       8  a full disk, a read-only folder, a busy store

Errors carry data; `cli/` alone turns them into text and an exit status.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 + SIGINT, as shells report it."""


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, which is given in the singular: `1 row`, `1,797 rows`, `2 classes`."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{ending}"


def listing(items: Sequence[str], most: int = 10, *, separator: str = ", ") -> str:
    """Return items in one line: of more than `most` the first ones, and how many there are in all."""
    more = f"{separator}… ({len(items):,} in all)" if len(items) > most else ""
    return separator.join(items[:most]) + more


def either(items: Sequence[str]) -> str:
    """Return items of which one is meant: `a, b or c`."""
    *some, last = items
    return f"{', '.join(some)} or {last}" if some else last


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, which rule, and in words.

    Attributes:
        place: a file, `file:line:column`, an option, or a member of the artifact.
        rule: the rule's name in kebab-case, stable across releases, such as `duplicate-key`.
        message: one sentence without a full stop, naming what was found.
    """

    place: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class PipelineError(Exception):
    """The root of the tree.

    Attributes:
        message: one sentence without a full stop.
        problems: everything found wrong, in a stable order; may be empty.
        hint: what to do about it, or None.
        result: what was done all the same, such as the `Training` whose gate failed; None where there is nothing.
    """

    exit_status: ClassVar[int] = 1
    result: Any = None

    def __init__(self, message: str, *, problems: Iterable[Problem] = (), hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.problems = tuple(problems)
        self.hint = hint

    @property
    def rules(self) -> frozenset[str]:
        """The names of the broken rules."""
        return frozenset(problem.rule for problem in self.problems)

    def __str__(self) -> str:
        return "\n".join([self.message, *map(str, self.problems)])


class ConfigError(PipelineError):
    """The config, or an option, breaks a rule."""

    exit_status = 2


class GateFailed(PipelineError):
    """The model does not reach what its gate asks; `result` is what was measured."""

    exit_status = 3


class ArtifactRejected(PipelineError):
    """The artifact, or an export of it, is missing or is not what it claims to be."""

    exit_status = 4


class DataRejected(PipelineError):
    """Rows cannot be read, or are not what the model was trained on."""

    exit_status = 5


class NotReproduced(PipelineError):
    """A training again gave something else."""

    exit_status = 6


class DriftFound(PipelineError):
    """The rows are not distributed as the training rows were; `result` is the predictions, which are written."""

    exit_status = 7


class StorageError(PipelineError):
    """A full disk, a read-only folder, or a busy store."""

    exit_status = 8
