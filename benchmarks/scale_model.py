"""From what a row, a part, a worker and a client cost: 10^9 rows by 8, 64 and 512 workers. Arithmetic alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.report import aligned

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROWS, PART = 10**9, 1 << 20
WORKERS = (8, 64, 512)


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured.

    Attributes:
        row: CPU seconds of a worker a row.
        start: CPU seconds of a client and of a worker until the first row, one after the other.
        opening: CPU seconds of the client a file, before the first task.
        client: CPU seconds of the client a task, while the workers work.
        scheduler: CPU seconds of the scheduler a task.
        read: bytes that are read a row, for rows and digest.
        requests: requests to an object store a part.
    """

    row: float
    start: float
    opening: float
    client: float
    scheduler: float
    read: float
    requests: float


@dataclass(frozen=True, slots=True)
class Reckoned:
    """What follows for a number of workers, each with a core of its own.

    Attributes:
        workers: how many.
        seconds: from start to end, if bytes come fast enough.
        shares: of that time, the share in which each of the parts that there is but once is busy.
        gigabytes: read a second, together.
        requests: a second, to an object store.
    """

    workers: int
    seconds: float
    shares: dict[str, float]
    gigabytes: float
    requests: float

    @property
    def limit(self) -> str:
        """What is busy for the largest share."""
        return max(self.shares, key=self.shares.__getitem__)


def reckoned(costs: Costs, workers: int, rows: int = ROWS) -> Reckoned:
    """Reckon the rows in files of one part.

    The client opens all files; then workers, scheduler and client work at once, and the slowest of them decides. A
    worker takes whole parts, so the last round may be one of few.
    """
    parts = math.ceil(rows / PART)
    busy = {
        "workers": math.ceil(parts / workers) * PART * costs.row,
        "scheduler": parts * costs.scheduler,
        "client": parts * costs.client,
    }
    opening = parts * costs.opening
    seconds = costs.start + opening + max(busy.values())
    shares = {name: each / seconds for name, each in busy.items()}
    shares["client"] += opening / seconds
    return Reckoned(workers, seconds, shares, rows * costs.read / seconds / 1e9, parts * costs.requests / seconds)


def shown(costs: Costs, measured: Mapping[str, float]) -> Iterator[str]:
    """Two tables as text: what was measured, and what follows."""
    yield from aligned([["measured", ""], *([name, f"{value:.4g}"] for name, value in measured.items())], left=1)
    yield ""
    rows = [["workers", "seconds", "workers busy", "scheduler", "client", "GB/s read", "requests/s"]]
    for each in (reckoned(costs, workers) for workers in WORKERS):
        shares = [f"{each.shares[name]:.0%}" for name in ("workers", "scheduler", "client")]
        rows.append(
            [f"{each.workers}", f"{each.seconds:.1f}", *shares, f"{each.gigabytes:.1f}", f"{each.requests:,.0f}"]
        )
    yield from aligned(rows, left=0)
    single = parts_alone(costs)
    yield f"from {single:.0f} workers on the client decides"


def parts_alone(costs: Costs) -> float:
    """With how many workers they are done as fast as the client or the scheduler passes tasks on."""
    return PART * costs.row / max(costs.client, costs.scheduler)
