"""Run whole processes, and account for each as the kernel does: CPU, wall and peak memory of that child alone."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

MAXRSS_PER_MIB = 1 << 20 if sys.platform == "darwin" else 1 << 10
"""`ru_maxrss` counts bytes on macOS, KiB elsewhere."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process took.

    Attributes:
        cpu: seconds, user and system.
        wall: seconds.
        peak: MiB of memory resident at most. Linux starts its count at the peak of the process that spawns it, this
            one: what is below some 30 MiB cannot be told.
    """

    cpu: float
    wall: float
    peak: float


@dataclass(frozen=True, slots=True)
class Command:
    """A process as a user would start it.

    Attributes:
        arguments: the program and its arguments.
        folder: the working folder.
        writes: what it writes there; removed before each run, so that none finds its work already done.
        variables: set on top of `clean_environment`.
    """

    arguments: Sequence[str]
    folder: Path
    writes: Sequence[str] = ()
    variables: Sequence[tuple[str, str]] = ()

    @property
    def environment(self) -> dict[str, str]:
        """The environment that the process gets."""
        return {**clean_environment(), **dict(self.variables)}


def clean_environment() -> dict[str, str]:
    """A user's environment: this one without what would tell Python or BLAS how to behave."""
    told = ("PYTHON", "OPENBLAS_", "OMP_", "MKL_")
    return {name: value for name, value in os.environ.items() if not name.startswith(told)}


def measure(command: Command) -> Usage:
    """Run a command to its end; what it prints is dropped.

    Raises:
        RuntimeError: it ended with another status than 0.
    """
    for name in command.writes:
        _remove(command.folder / name)
    with tempfile.TemporaryFile("w+") as talk:
        start = time.perf_counter()
        process = subprocess.Popen(
            command.arguments,
            cwd=command.folder,
            env=command.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=talk,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for: Popen must not do it again
        if process.returncode:
            talk.seek(0)
            raise RuntimeError(f"{' '.join(command.arguments)} ended with {process.returncode}: {talk.read()}")
    return Usage(cpu=usage.ru_utime + usage.ru_stime, wall=wall, peak=usage.ru_maxrss / MAXRSS_PER_MIB)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def interleave(sides: Mapping[str, Command], *, runs: int, warm_up: bool) -> dict[str, list[Usage]]:
    """Run the sides in turn, A B A B …, so that what else the machine does meets both alike.

    Args:
        sides: the commands by name.
        runs: how often each is run.
        warm_up: whether the first round is left out of the result.
    """
    rounds = [{name: measure(command) for name, command in sides.items()} for _ in range(runs)]
    return {name: [each[name] for each in rounds[warm_up:]] for name in sides}


def forget(*folders: Path) -> None:
    """Drop the files below these folders from the page cache, as far as the system can: the next run reads them again.

    What has just been installed lies in it in larger pieces, and a process that maps those counts 3 MiB more.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    os.sync()  # what is not yet on the disk cannot be dropped
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                descriptor = os.open(path, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)


@contextmanager
def busy_core() -> Iterator[None]:
    """Keep one core busy meanwhile."""
    neighbour = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    try:
        yield
    finally:
        neighbour.kill()
        neighbour.wait()


@dataclass(frozen=True, slots=True)
class Summary:
    """Several measurements of one thing, in its unit."""

    lowest: float
    median: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        """Of at least one value."""
        return cls(min(values), statistics.median(values), max(values))

    def shown(self, digits: int) -> list[str]:
        """The three as text."""
        return [f"{value:.{digits}f}" for value in (self.lowest, self.median, self.highest)]


@dataclass(frozen=True, slots=True)
class Ratio:
    """One side against the other: the ratio of the medians, and the median of the ratios of each pair."""

    of_medians: float
    of_pairs: float

    @classmethod
    def of(cls, ours: Sequence[float], others: Sequence[float]) -> Ratio:
        """Of two series measured in turn."""
        pairs = [our / other for our, other in zip(ours, others, strict=True)]
        return cls(statistics.median(ours) / statistics.median(others), statistics.median(pairs))


@dataclass(slots=True)
class Series:
    """What a benchmark has measured, each single value, as the page of all benchmarks takes it (`bench_all`)."""

    kept: list[dict[str, Any]] = field(default_factory=list)

    def add(self, what: str, unit: str, sides: Mapping[str, Sequence[float]]) -> None:
        """Keep the values of each side, in one unit."""
        for side, values in sides.items():
            shown = [float(f"{value:.5g}") for value in values]
            self.kept.append({"what": what, "side": side, "unit": unit, "values": shown})

    def add_usages(self, what: str, sides: Mapping[str, Sequence[Usage]]) -> None:
        """Keep what processes took."""
        for unit, name in (("CPU s", "cpu"), ("wall s", "wall"), ("peak MiB", "peak")):
            self.add(what, unit, {side: [getattr(each, name) for each in usages] for side, usages in sides.items()})

    def write(self, place: Path | None, **more: Any) -> None:
        """Write them as JSON, beside whatever else a benchmark says; with no place, nothing."""
        if place is not None:
            place.write_text(json.dumps({**more, "series": self.kept}, indent=2) + "\n")


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Let a benchmark write its series."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there as well")
