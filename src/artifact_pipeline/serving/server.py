"""The server, from the verified artifact to the last response: in one process, or in several workers."""

from __future__ import annotations

import resource
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from artifact_pipeline.artifact.pointer import is_fixed
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.registry import remote
from artifact_pipeline.serving.binding import bind
from artifact_pipeline.serving.limits import SPARE
from artifact_pipeline.serving.metrics import metrics_folder, no_metrics_folder
from artifact_pipeline.serving.process import WorkerPlace, run_worker
from artifact_pipeline.serving.window import Windows
from artifact_pipeline.serving.workers import serve_by_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.serving.reloading import ServerObserver
    from artifact_pipeline.serving.settings import Settings

_OWN_FILES = 128
"""Open files beside the connections' at most: those of the process, and of an artifact that it loads again."""


def serve(load: Callable[[], Verified], settings: Settings, observer: ServerObserver) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        load: verifies the artifact; called at the start, and at each reload.
        settings: limits and places of the server.
        observer: the functions to which it reports.

    Raises:
        ArtifactRejected: the artifact is refused at the start.
        ConfigError: the port is taken, the policy cannot be used, the process may not open as many files as it needs
            for its connections, there is no memory for `--window`, or `--follow` names what never moves.
        StorageError: the feedback cannot be written, or the registry is out of reach at the start.
        PipelineError: a worker could not start.
    """
    _raise_file_limit(settings)
    no_metrics_folder()
    if isinstance(settings.follow, str):
        remote.watch(settings.follow)
    elif settings.follow is not None and is_fixed(settings.follow):
        raise ConfigError(
            f"--follow: {settings.follow} is a folder and no pointer, so it never leads elsewhere",
            hint="serve a symbolic link that leads to it, or leave --follow out and send SIGHUP after a change",
        )
    with bind(settings) as bound, _sighup_blocked():
        if settings.workers > 1:
            with metrics_folder():
                serve_by_workers(load, settings, observer, bound)
            return
        verified = load()
        windows = Windows(1, settings.window, len(verified.manifest.model.inputs))
        run_worker(verified, load, settings, observer=observer, bound=bound, place=WorkerPlace(windows))


def _raise_file_limit(settings: Settings) -> None:
    """Let the process open as many files as its connections and it itself may need."""
    needed = settings.connections + SPARE + _OWN_FILES
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now == resource.RLIM_INFINITY or now >= needed:
        return
    if most != resource.RLIM_INFINITY and most < needed:
        raise ConfigError(
            f"--connections {settings.connections} needs {needed:,} open files, and this process may have {most:,}",
            hint="fewer connections, or a higher limit (ulimit -n, LimitNOFILE=)",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))


@contextmanager
def _sighup_blocked() -> Iterator[None]:
    """Block SIGHUP until a handler is set and unblocks it: without one it would end the process."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
