"""What is asked of a training, and what its caller is told while it runs."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from artifact_pipeline.storage.outputs import Place
    from artifact_pipeline.training.result import Columns, Training
    from artifact_pipeline.training.unchanged import Look


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a training.

    Attributes:
        config: a config file, or a mapping with the same keys.
        artifact: where the pointer to the artifact is written; the store is `artifacts/` beside it.
        export: where the pickle for Python users is written; None writes none.
        overrides: such as `max_iter=500`; each wins over the config.
        champion: the artifact that the candidate must not be worse than; None leaves it to the config.
        champion_expect: the champion's artifact digest; any other is refused.
        champion_policy: whom and what is trusted of a champion.
        force: train although nothing has changed.
        outputs: what the caller writes beside; it must not be what the training reads or writes.
    """

    config: Path | Mapping[str, object]
    artifact: Path
    export: Path | None = None
    overrides: tuple[str, ...] = ()
    champion: Path | None = None
    champion_expect: str | None = None
    champion_policy: Path | None = None
    force: bool = False
    outputs: tuple[Place, ...] = ()


def ignore(_: object) -> None:
    """Do nothing."""


@contextmanager
def _silence() -> Iterator[Callable[[str], None]]:
    yield ignore


@dataclass(frozen=True, slots=True)
class Observer:
    """What a caller wants to be told while a training runs; by default nothing.

    Attributes:
        progress: is entered for long work, and gives what is called with each step, in a few words.
        loaded: is called with the columns of a table, once it is read.
        looked: is called with what has changed, before anything is trained.
        measured: is called with the training before anything is published; what it raises ends the training.
    """

    progress: Callable[[], AbstractContextManager[Callable[[str], None]]] = _silence
    loaded: Callable[[Columns], None] = ignore
    looked: Callable[[Look], None] = ignore
    measured: Callable[[Training], None] = ignore


SILENT = Observer()
