"""What a server counts: requests, latencies, rows, reloads, and the window of rows over which drift is judged.

The counters of all workers stand in memory that they share, a part each, so that whichever of them is asked tells the
figures of all. Nothing is locked between processes: each writes its own part alone.
"""

from __future__ import annotations

import mmap
import threading
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

from artifact_pipeline.drift.histograms import Histograms
from artifact_pipeline.drift.judge import judge

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.drift.judge import Drift
    from artifact_pipeline.serving.model import Served

    Outcome = Literal["served", "unchanged", "refused"]

ROUTES = ("infer", "model", "health", "metrics", "page", "other")
STATUSES = (200, 308, 400, 403, 404, 405, 408, 413, 415, 431, 500, 501, 503)
OUTCOMES: tuple[Outcome, ...] = ("served", "unchanged", "refused")
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds, the upper bounds of the latency histogram; the last bucket has none."""

_AT_ONCE = 64
"""Requests, or eight times as many rows, that go into the window together: one by one they cost a tenth more."""

_STATUS = {status: index for index, status in enumerate(STATUSES)}
_ROUTE = {route: index * len(STATUSES) for index, route in enumerate(ROUTES)}
_LATENCY = len(ROUTES) * len(STATUSES)
_NANOSECONDS = _LATENCY + len(BOUNDS) + 1
_ROWS, _WAITING, _UNDER_WAY, _REFUSED_LAST = range(_NANOSECONDS + 1, _NANOSECONDS + 5)
_RELOADS = _REFUSED_LAST + 1
_SEEN = _RELOADS + len(OUTCOMES)
_MODEL = _SEEN + 1
_FIELDS = _MODEL + 1


@dataclass(frozen=True, slots=True)
class _Totals:
    """The figures of all workers together.

    Attributes:
        requests: by route and status; those that never were are left out.
        latencies: requests for an inference within each of `BOUNDS`, and behind them all.
        seconds: the sum of these requests' times.
        rows: rows that were answered.
        waiting: requests that wait for their answer.
        under_way: requests that are coming in, wait, or are being answered.
        reloads: by outcome.
        refused_last: how many workers have refused what they were last told to load.
    """

    requests: dict[tuple[str, int], int]
    latencies: tuple[int, ...]
    seconds: float
    rows: int
    waiting: int
    under_way: int
    reloads: dict[str, int]
    refused_last: int


class Board:
    """The memory that all workers share; made before they are started."""

    def __init__(self, workers: int, window: int, features: int) -> None:
        """Make it.

        Args:
            workers: how many parts it has.
            window: rows of the window of a part.
            features: numbers a row of the model that is served first.
        """
        self.workers, self.window = workers, window
        self._size = 8 * (_FIELDS + window * (features + 2))
        self._memory = mmap.mmap(-1, self._size * workers)

    def numbers(self, worker: int) -> memoryview:
        """The counters of a worker, as 64-bit integers."""
        start = worker * self._size
        return memoryview(self._memory)[start : start + 8 * _FIELDS].cast("q")

    def rows(self, worker: int) -> memoryview:
        """The window's bytes of a worker."""
        start = worker * self._size
        return memoryview(self._memory)[start + 8 * _FIELDS : start + self._size]

    def totals(self) -> _Totals:
        """Add up what all workers have counted."""
        parts = [self.numbers(worker) for worker in range(self.workers)]
        sums = [sum(part[index] for part in parts) for index in range(_FIELDS)]
        requests = {
            (route, status): sums[_ROUTE[route] + _STATUS[status]]
            for route in ROUTES
            for status in STATUSES
            if sums[_ROUTE[route] + _STATUS[status]]
        }
        return _Totals(
            requests=requests,
            latencies=tuple(accumulate(sums[_LATENCY:_NANOSECONDS])),
            seconds=sums[_NANOSECONDS] / 1e9,
            rows=sums[_ROWS],
            waiting=sums[_WAITING],
            under_way=sums[_UNDER_WAY],
            reloads={outcome: sums[_RELOADS + index] for index, outcome in enumerate(OUTCOMES)},
            refused_last=sums[_REFUSED_LAST],
        )

    def drift(self, served: Served) -> Drift | None:
        """Judge the windows of those workers that serve this model; None without any window."""
        import numpy as np

        windows = [Window(self.rows(worker), served, self.window) for worker in range(self.workers)]
        if not windows[0].capacity:
            return None
        parts, tag = [], _tag(served)
        for worker, window in enumerate(windows):
            numbers = self.numbers(worker)
            if numbers[_MODEL] == tag:
                seen = numbers[_SEEN]
                part = window.latest(seen)
                if numbers[_MODEL] == tag and numbers[_SEEN] >= seen:  # or another model's rows stand there by now
                    parts.append(part)
        histograms = Histograms(served.reference, str(served.predictor.dtype))
        if parts:
            X, positions, confidence = (np.concatenate(each) for each in zip(*parts, strict=True))
            histograms.add(list(np.ascontiguousarray(X.T)), positions, confidence)
        return judge(served.reference, histograms.counts(), served.labels)


class Window:
    """The latest rows of one worker, in a ring, with the position and the confidence of their answers."""

    def __init__(self, memory: memoryview, served: Served, rows: int) -> None:
        """Lay it out.

        Args:
            memory: of the worker.
            served: the model.
            rows: at most; of a model with more features than the first one as many as there is room for.
        """
        import numpy as np

        dtype, features = served.predictor.dtype, served.features
        size = dtype.itemsize * features + 16
        self.capacity = count = min(rows, len(memory) // size)
        told = np.frombuffer(memory, dtype=np.uint8)
        # The numbers of eight bytes first, so that each is aligned and written at once.
        self.positions: NDArray[np.int64] = told[: count * 8].view(np.int64)
        self.confidence: NDArray[np.float64] = told[count * 8 : count * 16].view(np.float64)
        self.X: NDArray[Any] = told[count * 16 : count * size].view(dtype).reshape(count, features)

    def put(self, seen: int, X: NDArray[Any], positions: NDArray[np.int64], confidence: NDArray[np.float64]) -> None:
        """Put rows behind the `seen` ones that were put before."""
        rows = len(X)
        kept = min(rows, self.capacity)
        at = (seen + rows - kept) % self.capacity
        first = min(kept, self.capacity - at)  # to the ring's end, and on from its beginning
        for ring, values in ((self.X, X), (self.positions, positions), (self.confidence, confidence)):
            latest = values[rows - kept :]
            ring[at : at + first] = latest[:first]
            ring[: kept - first] = latest[first:]

    def latest(self, seen: int) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.float64]]:
        """A copy of what is there, in no order."""
        count = min(seen, self.capacity)
        return self.X[:count].copy(), self.positions[:count].copy(), self.confidence[:count].copy()


class Figures:
    """The part of one worker."""

    def __init__(self, board: Board, worker: int, served: Served) -> None:
        self.board = board
        self._numbers = board.numbers(worker)
        self._memory = board.rows(worker)
        self._lock = threading.Lock()
        # What a worker before this one, which has died, had open.
        self._numbers[_WAITING] = self._numbers[_UNDER_WAY] = 0
        self.serve(served)

    def serve(self, served: Served) -> None:
        """Begin a window of this model's rows."""
        with self._lock:
            self._window, self._served = Window(self._memory, served, self.board.window), served
            self._noted: list[tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]] = []
            self._rows = 0  # of them
            self._numbers[_SEEN] = 0
            self._numbers[_MODEL] = _tag(served)

    def answered(
        self, X: NDArray[Any], labels: NDArray[Any], probabilities: NDArray[np.float64], served: Served
    ) -> None:
        """Note rows that were answered; called by whichever thread has answered them."""
        if self._window.capacity:
            with self._lock:
                if served is self._served:  # or it was swapped meanwhile
                    self._noted.append((X, labels, probabilities))
                    self._rows += len(X)
                    if len(self._noted) >= _AT_ONCE or self._rows >= _AT_ONCE * 8:
                        self._settle()

    def settle(self) -> None:
        """Put into the window what has been noted: once a second at least, and before it is judged."""
        with self._lock:
            self._settle()

    def _settle(self) -> None:
        import numpy as np

        if not self._noted:
            return
        X, labels, probabilities = (np.concatenate(each) for each in zip(*self._noted, strict=True))
        self._noted.clear()
        self._rows = 0
        seen = self._numbers[_SEEN]
        self._window.put(seen, X, self._served.predictor.positions(labels), probabilities.max(axis=1))
        self._numbers[_SEEN] = seen + len(X)

    def request(self, route: str, status: int, seconds: float, rows: int) -> None:
        """Count a request that has its response."""
        numbers = self._numbers
        numbers[_ROUTE[route] + _STATUS[status]] += 1
        if route == "infer":
            numbers[_LATENCY + bisect_left(BOUNDS, seconds)] += 1
            numbers[_NANOSECONDS] += int(seconds * 1e9)
            numbers[_ROWS] += rows

    def waiting(self, count: int) -> None:
        """Note how many requests wait."""
        self._numbers[_WAITING] = count

    def under_way(self, count: int) -> None:
        """Note how many requests are under way."""
        self._numbers[_UNDER_WAY] = count

    def reload(self, outcome: Outcome) -> None:
        """Count a reload."""
        self._numbers[_RELOADS + OUTCOMES.index(outcome)] += 1
        self._numbers[_REFUSED_LAST] = int(outcome == "refused")


def _tag(served: Served) -> int:
    """The first 63 bits of the artifact digest: whose rows a window holds."""
    return int(served.version[:16], 16) >> 1
