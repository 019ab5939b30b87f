"""What is served is looked at again: verified first, and swapped in between two requests."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from artifact_pipeline.artifact.pointer import resolve
from artifact_pipeline.errors import ArtifactRejected, PipelineError
from artifact_pipeline.serving.model import open_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.serving.app import App
    from artifact_pipeline.serving.metrics import Outcome


@dataclass(frozen=True, slots=True)
class ServerObserver:
    """What is called with what a server reports.

    Attributes:
        ready: called once the server listens, with its URL.
        notice: called with what happens afterwards, a sentence each.
        log: takes a line of the access log; None where none is wanted.
    """

    ready: Callable[[str], None]
    notice: Callable[[str], None]
    log: Callable[[dict[str, Any]], None] | None = None


class Reloader:
    """Looks at the artifact again: verified first, swapped between two requests, or left as it is."""

    def __init__(
        self,
        app: App,
        load: Callable[[], Verified],
        observer: ServerObserver,
        served: Callable[[str], None] = lambda _digest: None,
    ) -> None:
        self._app, self._load, self._observer, self._served = app, load, observer, served
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reload")
        self._task: asyncio.Task[None] | None = None
        self._wanted = False
        # Not what the pointer leads to by now: it may have moved since this artifact was read.
        self._looked_at = app.served.verified.folder

    def want(self) -> None:
        """Reload, once the reload that may be under way is done."""
        self._wanted = True

    def tick(self, *, second: bool) -> None:
        """Begin a reload that is wanted; with `second`, see whether the pointer has moved."""
        if second and self._app.settings.follow is not None:
            target = self._target()
            # What was refused is not tried again before the pointer moves on.
            self._wanted |= target is not None and target != self._looked_at
        if self._wanted and (self._task is None or self._task.done()):
            self._wanted = False
            self._looked_at = self._target() or self._looked_at
            self._task = asyncio.get_running_loop().create_task(self._reload())
            self._task.add_done_callback(self._done)

    def _target(self) -> Path | None:
        pointer = self._app.settings.follow
        if pointer is None:
            return None
        try:
            return resolve(pointer)
        except ArtifactRejected:  # nothing is there just now
            return None

    async def _reload(self) -> None:
        loop, before = asyncio.get_running_loop(), self._app.served.verified.digest
        verified = await loop.run_in_executor(self._thread, self._load)
        if verified.digest == before:
            self._tell("unchanged", f"unchanged: {before}")
            return
        served = await loop.run_in_executor(self._thread, open_model, verified)
        self._app.serve(served)
        self._served(verified.digest)
        self._tell("served", f"serving: {verified.digest}, after {before}")

    def _done(self, task: asyncio.Task[None]) -> None:
        """Tell of a reload that was refused, or has failed by a bug of ours; the old artifact goes on either way."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        words = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
        self._tell("refused", f"refused, {self._app.served.verified.digest} goes on serving: {one_line(words)}")
        if not isinstance(error, PipelineError | ModuleNotFoundError):
            context = {"message": "a reload has failed, which is a bug of artifact-pipeline", "exception": error}
            task.get_loop().call_exception_handler(context)

    def _tell(self, outcome: Outcome, words: str) -> None:
        self._app.metrics.reload(outcome)
        self._observer.notice(words)


def one_line(text: str) -> str:
    """A text of several lines as one sentence of a log."""
    return "; ".join(line.strip() for line in text.splitlines())
