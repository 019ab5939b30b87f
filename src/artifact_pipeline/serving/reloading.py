"""Reloading: an artifact that may be a newer one is verified, then swapped in between two requests."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from artifact_pipeline.artifact.pointer import BESIDE, resolve
from artifact_pipeline.errors import ArtifactRejected, PipelineError, StorageError
from artifact_pipeline.registry import remote
from artifact_pipeline.serving.model import open_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.serving.app import App
    from artifact_pipeline.serving.metrics import Outcome

    Target = Path | str
    """Where a pointer or a tag leads: a folder, or a place in a registry by its digest."""

    _Stamps = tuple[tuple[int, int] | None, ...]
    """Of each file of `BESIDE` its number and time; None where there is none."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class ServerObserver:
    """The functions to which a server reports.

    Attributes:
        ready: called with the URL once the server listens.
        notice: called with one sentence about each later event.
        log: called with each line of the access log; None for no such log.
    """

    ready: Callable[[str], None]
    notice: Callable[[str], None]
    log: Callable[[dict[str, Any]], None] | None = None


class Reloader:
    """Loads the artifact again on request, or when what `--follow` names has moved; one reload runs at a time."""

    def __init__(
        self,
        app: App,
        load: Callable[[], Verified],
        observer: ServerObserver,
        served: Callable[[str], None],
    ) -> None:
        self._app, self._load, self._observer, self._served = app, load, observer, served
        follow = app.settings.follow
        self._watch = _watch(follow) if follow is not None else None
        self._task: asyncio.Task[None] | None = None
        self._requested = False  # to reload even if the pointer has not moved
        self._forced = False  # whether the reload that runs was requested so
        self._unreachable = False  # the registry was out of reach, and that was reported
        # Not what the pointer leads to by now: it may have moved since this artifact was read.
        self._tried_at = self._served_at = app.served.verified.place
        self._signed: _Stamps = ()

    def request(self) -> None:
        """Reload, once the reload that may run already is done."""
        self._requested = True

    def tick(self, *, second: bool) -> None:
        """Begin a reload that was requested; with `second`, see whether the pointer has moved."""
        due = self._requested or (second and self._watch is not None)
        if due and (self._task is None or self._task.done()):
            self._forced, self._requested = self._requested, False
            self._task = asyncio.get_running_loop().create_task(self._check())
            self._task.add_done_callback(self._report_failure)

    async def _check(self) -> None:
        before = self._tried_at
        target, signed = await _in_thread(self._watch) if self._watch is not None else (None, ())
        # An artifact that was refused is not tried again before the pointer moves on, or it is signed.
        signed_since = target == before != self._served_at and signed != self._signed
        if not self._forced and not signed_since and (target is None or target == before):
            if self._unreachable and target == self._served_at:
                served = self._app.served.verified.digest
                self._report("unchanged", f"unchanged: {served}, and the registry answers again")
            self._unreachable = False
            return
        self._tried_at, self._signed = target or before, signed
        try:
            await self._reload()
        except StorageError:  # this is no refusal: it is tried again
            self._tried_at = before
            raise
        self._served_at, self._unreachable = self._tried_at, False

    async def _reload(self) -> None:
        before = self._app.served.verified.digest
        verified = await _in_thread(self._load)
        if verified.digest == before:
            self._report("unchanged", f"unchanged: {before}")
            return
        served = await _in_thread(lambda: open_model(verified))
        self._app.serve(served)
        self._served(verified.digest)
        self._report("served", f"serving: {verified.digest}, after {before}")

    def _report_failure(self, task: asyncio.Task[None]) -> None:
        """Report a reload that was refused, or that failed by a bug of ours; the old artifact is still served."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        reported = self._unreachable and not self._forced
        self._unreachable = isinstance(error, StorageError)
        if reported and self._unreachable:
            return
        words = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
        self._report("refused", f"refused, {self._app.served.verified.digest} goes on serving: {one_line(words)}")
        if not isinstance(error, PipelineError | ModuleNotFoundError):
            context = {"message": "a reload has failed, which is a bug of artifact-pipeline", "exception": error}
            task.get_loop().call_exception_handler(context)

    def _report(self, outcome: Outcome, words: str) -> None:
        self._app.metrics.reload(outcome)
        self._observer.notice(words)


def _watch(follow: Target) -> Callable[[], tuple[Target | None, _Stamps]]:
    """Return a function: where a pointer or a tag leads now, None for nowhere, and how the folder there is signed."""
    if isinstance(follow, str):
        watch = remote.watch(follow)
        return lambda: (watch(), ())

    def look() -> tuple[Target | None, _Stamps]:
        try:
            folder = resolve(follow)
        except ArtifactRejected:
            return None, ()
        return folder, tuple(_stamp(folder.with_name(folder.name + suffix)) for suffix in BESIDE)

    return look


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


async def _in_thread(work: Callable[[], _Result]) -> _Result:
    """Do work in a daemon thread: a registry may be slow to answer, and the process does not wait for it at its end."""
    future: Future[_Result] = Future()
    future.set_running_or_notify_cancel()

    def pass_on(_kind: object, error: BaseException | None, _trace: object) -> bool:
        if error is not None:
            future.set_exception(error)  # which is raised where the work is awaited
        return True

    def run() -> None:
        with ExitStack() as stack:
            stack.push(pass_on)
            future.set_result(work())

    Thread(target=run, name="reload", daemon=True).start()
    return await asyncio.wrap_future(future)


def one_line(text: str) -> str:
    """A text of several lines as one sentence of a log."""
    return "; ".join(line.strip() for line in text.splitlines())
