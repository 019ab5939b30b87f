"""A Dask cluster for a test: a scheduler and workers in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Cluster(NamedTuple):
    """A scheduler's address, how to start another worker of it, and the process of the scheduler."""

    address: str
    add: Callable[..., subprocess.Popen[bytes]]
    scheduler: subprocess.Popen[bytes]


@contextmanager
def cluster_without_workers(folder: Path) -> Iterator[Cluster]:
    """Start a scheduler; what is added to it ends with it."""
    told = folder / "scheduler.json"
    running = [
        start(
            "-m", "distributed.cli.dask_scheduler",
            "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(told),
        )
    ]  # fmt: skip

    def _add(before: str = "", **variables: str) -> subprocess.Popen[bytes]:
        code = f"{before}\nfrom distributed.cli.dask_worker import main\nmain()"
        running.append(start("-c", code, address, "--nthreads", "1", "--no-nanny", "--no-dashboard", **variables))
        return running[-1]

    try:
        while not (told.exists() and told.read_text().endswith("}")):
            assert running[0].poll() is None
        address = json.loads(told.read_text())["address"]
        yield Cluster(address, _add, running[0])
    finally:
        for process in reversed(running):
            process.kill()
            process.wait()


def start(*arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    """Start Python without a word, in no project's folder."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={**os.environ, **variables},
    )
