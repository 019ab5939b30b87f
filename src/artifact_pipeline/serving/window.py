"""The latest rows that were answered, over which drift is judged.

All workers share one piece of memory, in which each has a part, so that any worker can judge the rows of all. There is
no lock between processes: each writes to its own part only.
"""

from __future__ import annotations

import mmap
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from artifact_pipeline.drift.histograms import Histograms
from artifact_pipeline.drift.judge import judge
from artifact_pipeline.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.drift.judge import Drift
    from artifact_pipeline.serving.inputs import SentRows
    from artifact_pipeline.serving.model import Served

_FLUSH_AT = 64
"""Requests after which their rows are put into the window, all together: one by one they cost a tenth more."""
_SEEN, _MODEL, _FIELDS = range(3)
"""The positions of two numbers before the rows of a part, how many rows were put and the model's tag; their count."""


class Windows:
    """The memory that all workers share; made before they are started."""

    def __init__(self, workers: int, rows: int, features: int) -> None:
        """Make a part for each worker, of so many rows of so many features, as the model served first has them.

        Raises:
            ConfigError: there is not so much memory.
        """
        self.rows = rows
        self._workers = workers
        self._size = 8 * (_FIELDS + rows * (features + 2))
        try:
            self._memory = mmap.mmap(-1, self._size * workers)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"--window {rows}: there is no memory for so many rows", hint="--window 1000") from error

    def part(self, worker: int) -> tuple[memoryview, memoryview]:
        """Return the part of a worker: its numbers as 64-bit integers, and the bytes of its rows."""
        start = worker * self._size
        part = memoryview(self._memory)[start : start + self._size]
        return part[: 8 * _FIELDS].cast("q"), part[8 * _FIELDS :]

    def drift(self, served: Served) -> Drift | None:
        """Judge the rows of the workers that serve this model; None where the windows have no rows."""
        import numpy as np

        parts, tag = [], _tag(served)
        for worker in range(self._workers):
            numbers, memory = self.part(worker)
            ring = Ring(memory, served, self.rows)
            if not ring.capacity:
                return None
            if numbers[_MODEL] == tag:
                seen = numbers[_SEEN]
                latest = ring.latest(seen)
                if numbers[_MODEL] == tag and numbers[_SEEN] >= seen:  # no other model's rows were put meanwhile
                    parts.append(latest)
        histograms = Histograms(served.reference, str(served.predictor.dtype))
        if parts:
            X, positions, confidence = (np.concatenate(each) for each in zip(*parts, strict=True))
            histograms.add(list(np.ascontiguousarray(X.T)), positions, confidence)
        return judge(served.reference, histograms.counts(), served.labels, served.verified.manifest.model.columns)


class Ring:
    """The latest rows of one worker, with the position and the confidence of their answers."""

    def __init__(self, memory: memoryview, served: Served, rows: int) -> None:
        """Lay the memory out for at most so many rows; there is room for fewer if the model has more features."""
        import numpy as np

        dtype, features = served.predictor.dtype, served.features
        size = dtype.itemsize * features + 16
        self.capacity = count = min(rows, len(memory) // size)
        values = np.frombuffer(memory, dtype=np.uint8)
        # The numbers of eight bytes first, so that each is aligned and written at once.
        self._positions: NDArray[np.int64] = values[: count * 8].view(np.int64)
        self._confidence: NDArray[np.float64] = values[count * 8 : count * 16].view(np.float64)
        self._X: NDArray[Any] = values[count * 16 : count * size].view(dtype).reshape(count, features)

    def put(self, seen: int, X: NDArray[Any], positions: NDArray[np.int64], confidence: NDArray[np.float64]) -> None:
        """Put rows after the `seen` ones that were put before, over the oldest ones."""
        rows = len(X)
        kept = min(rows, self.capacity)
        at = (seen + rows - kept) % self.capacity
        first = min(kept, self.capacity - at)  # rows before the ring's end; the others go to its beginning
        for ring, values in ((self._X, X), (self._positions, positions), (self._confidence, confidence)):
            latest = values[rows - kept :]
            ring[at : at + first] = latest[:first]
            ring[: kept - first] = latest[first:]

    def latest(self, seen: int) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.float64]]:
        """Return a copy of the rows, in no order, with their positions and confidences."""
        count = min(seen, self.capacity)
        return self._X[:count].copy(), self._positions[:count].copy(), self._confidence[:count].copy()


class Window:
    """Writes one worker's part of the windows; several threads may use it."""

    def __init__(self, windows: Windows, worker: int, served: Served) -> None:
        self._rows = windows.rows
        self._numbers, self._memory = windows.part(worker)
        self._lock = threading.Lock()
        self.serve(served)

    def serve(self, served: Served) -> None:
        """Begin an empty window for the rows of this model."""
        with self._lock:
            self._ring, self._served = Ring(self._memory, served, self._rows), served
            self._requests: deque[tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any], NDArray[np.float64]]] = deque()
            self._waiting = 0  # rows of these requests
            self._numbers[_SEEN] = 0
            self._numbers[_MODEL] = _tag(served)

    def note(self, rows: SentRows, labels: NDArray[Any], values: NDArray[np.float64], served: Served) -> None:
        """Note the rows of a request and their answers; `flush` puts them into the window."""
        if self._ring.capacity:
            with self._lock:
                if served is self._served:  # it was not swapped meanwhile
                    self._requests.append((*rows, labels, values))
                    self._waiting += len(labels)
                    self._drop_old()
                    if len(self._requests) >= _FLUSH_AT or self._waiting >= served.max_rows:
                        self._flush()

    def flush(self) -> None:
        """Put the rows that were noted into the window."""
        with self._lock:
            self._flush()

    def _drop_old(self) -> None:
        """Drop the requests after which later ones fill the window: putting their rows into it would be useless."""
        while self._waiting - (rows := len(self._requests[0][2])) >= self._ring.capacity:
            self._requests.popleft()
            self._waiting -= rows

    def _flush(self) -> None:
        import numpy as np

        if not self._requests:
            return
        numbers, texts, *answers = zip(*self._requests, strict=True)
        labels, values = map(np.concatenate, answers)
        X = self._served.coded(np.concatenate(numbers), None if texts[0] is None else np.concatenate(texts))
        self._requests.clear()
        self._waiting = 0
        seen = self._numbers[_SEEN]
        predictor = self._served.predictor
        confidence = values.max(axis=1) if predictor.kind == "probabilities" else np.zeros(len(X))
        self._ring.put(seen, X, predictor.positions(labels), confidence)
        self._numbers[_SEEN] = seen + len(X)


def _tag(served: Served) -> int:
    """The first 63 bits of the artifact digest, by which a part says whose rows it holds."""
    return int(served.version[:16], 16) >> 1
