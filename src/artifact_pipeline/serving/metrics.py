"""The server's metrics, by prometheus_client, in the formats of Prometheus and of OpenMetrics.

One process counts in memory. Several workers count in files of one folder, and any of them adds the files up.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from artifact_pipeline.errors import StorageError
from artifact_pipeline.serving.coding import weights
from artifact_pipeline.serving.http import Response
from artifact_pipeline.serving.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from artifact_pipeline.serving.model import Served
    from artifact_pipeline.serving.window import Windows

    Outcome = Literal["served", "unchanged", "refused"]

BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds in seconds of the buckets of the latency histogram; one more bucket has no bound."""
_OUTCOMES: tuple[Outcome, ...] = ("served", "unchanged", "refused")
_PREFIX = "artifact_pipeline"
_OPEN_METRICS = "application/openmetrics-text"
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable in which prometheus_client looks for the workers' folder, when it is imported and later."""


@contextmanager
def metrics_folder() -> Iterator[None]:
    """Make a folder in which the processes that are forked in the block count together.

    Raises:
        StorageError: there is no room for temporary files.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="artifact-pipeline-serve-", ignore_cleanup_errors=True)
    except OSError as error:
        raise StorageError(
            f"the workers have no folder for what they count: {error.strerror}", hint="TMPDIR=FOLDER names one"
        ) from error
    with folder as name:
        os.environ[_FOLDER] = name
        try:
            yield
        finally:
            os.environ.pop(_FOLDER, None)


def no_metrics_folder() -> None:
    """Let prometheus_client count in memory, whatever the environment says."""
    for name in (_FOLDER, _FOLDER.lower()):
        os.environ.pop(name, None)


def remove_metrics_folder() -> None:
    """Remove the folder, in place of the process that has made it and is dead."""
    shutil.rmtree(os.environ.get(_FOLDER, ""), ignore_errors=True)


def forget_process(pid: int) -> None:
    """Remove the gauges of a dead worker; its counters stay."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)  # type: ignore[no-untyped-call]


class ServerMetrics:
    """The metrics of one worker.

    Attributes:
        windows: the latest rows that all workers have answered.
        window: this worker's part of them.
        waiting: requests that wait for their response.
        in_progress: requests that come in, wait, or are answered.
        connections: returns how many connections are open.
    """

    def __init__(self, windows: Windows, worker: int, served: Served) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.window = Window(windows, worker, served)
        self.waiting = self.in_progress = 0
        self.connections: Callable[[], int] = lambda: 0
        self.windows = windows
        self._registry = registry = CollectorRegistry()

        def gauge(name: str, words: str) -> Gauge:
            return Gauge(f"{_PREFIX}_{name}", words, registry=registry, multiprocess_mode="livesum")

        def counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"{_PREFIX}_{name}", words, labels, registry=registry)

        self._requests = counter("requests", "Requests by status.", "route", "status")
        self._seconds = Histogram(
            f"{_PREFIX}_inference_seconds",
            "Seconds from an inference request's head to its response.",
            buckets=BOUNDS,
            registry=registry,
        )
        self._rows = counter("rows", "Rows answered.")
        self._queue = gauge("queue", "Requests that wait for their answer.")
        self._in_progress = gauge("requests_in_progress", "Requests that come in, wait, or are answered.")
        self._connections = gauge("connections", "Open connections.")
        self._reloads = counter("reloads", "Artifacts that were loaded again.", "outcome")
        self._refused = gauge(
            "reload_refused", "Workers that have refused the latest artifact and serve the one before."
        )
        for outcome in _OUTCOMES:  # each is shown from the beginning
            self._reloads.labels(outcome)
        self._by_route: dict[tuple[str, int], Counter] = {}

    def request(self, route: str, status: int, seconds: float, rows: int) -> None:
        """Count a request that has its response."""
        counter = self._by_route.get((route, status))
        if counter is None:
            counter = self._by_route[route, status] = self._requests.labels(route, str(status))
        counter.inc()
        if route == "infer":
            self._seconds.observe(seconds)
            self._rows.inc(rows)

    def reload(self, outcome: Outcome) -> None:
        """Count a reload."""
        self._reloads.labels(outcome).inc()
        self._refused.set(int(outcome == "refused"))

    def update(self) -> None:
        """Bring up to date what is not updated at each request."""
        self.window.flush()
        self._queue.set(self.waiting)
        self._in_progress.set(self.in_progress)

    def update_connections(self) -> None:
        """Bring the number of open connections up to date."""
        self._connections.set(self.connections())

    def response(self, served: Served, accept: str, *, ready: bool) -> Response:
        """Return the metrics of all workers, in the format that the header `Accept` asks for."""
        from prometheus_client import CollectorRegistry, ProcessCollector
        from prometheus_client.exposition import choose_encoder
        from prometheus_client.multiprocess import MultiProcessCollector
        from prometheus_client.registry import Collector

        self.update()
        self.update_connections()
        folder = os.environ.get(_FOLDER)
        several: Any = MultiProcessCollector
        counted = self._registry if folder is None else several(None, folder)
        windows = self.windows

        class _All(Collector):
            def collect(self) -> Iterator[Metric]:
                yield from counted.collect()
                yield from _served(served, ready=ready)
                yield from _drift(windows, served)

        registry = CollectorRegistry()
        registry.register(_All())
        ProcessCollector(registry=registry)
        # Not the header itself: the library fails at a wrong version in it, and repeats parts of it.
        encode, content_type = choose_encoder(_OPEN_METRICS if _is_open_metrics(accept) else "")
        return Response(200, encode(registry), ((b"content-type", content_type.encode()),))


def _is_open_metrics(accept: str) -> bool:
    wanted = weights(accept)
    return 0 < wanted.get(_OPEN_METRICS, 0) >= wanted.get("text/plain", 0)


def _served(served: Served, *, ready: bool) -> Iterator[Metric]:
    from prometheus_client import core

    manifest = served.verified.manifest
    labels = {
        "digest": served.verified.digest,
        "model": manifest.model.digest,
        "name": served.name,
        "gate": manifest.gate.verdict if manifest.gate else "missing",
    }
    yield core.InfoMetricFamily(f"{_PREFIX}_artifact", "The artifact that is served.", value=labels)
    yield core.GaugeMetricFamily(f"{_PREFIX}_ready", "Whether the server takes requests.", value=int(ready))


def _drift(windows: Windows, served: Served) -> Iterator[Metric]:
    from prometheus_client import core

    drift = windows.drift(served)
    if drift is None:
        return
    yield core.GaugeMetricFamily(f"{_PREFIX}_drift_rows", "Rows of the window.", value=drift.rows)
    yield core.GaugeMetricFamily(f"{_PREFIX}_drift_tested", "Respects that could be tested.", value=drift.tested)
    words = "Respects in which the window has drifted."
    yield core.GaugeMetricFamily(f"{_PREFIX}_drift_found", words, value=len(drift.drifted))
    names = ["name", "kind", "rule"]
    effect = core.GaugeMetricFamily(f"{_PREFIX}_drift_effect", "Size of the difference, the worst ten.", labels=names)
    chance = core.GaugeMetricFamily(f"{_PREFIX}_drift_p", "Corrected p value, the worst ten.", labels=names)
    for shift in drift.worst():
        effect.add_metric([shift.name, shift.kind, shift.rule], shift.effect)
        chance.add_metric([shift.name, shift.kind, shift.rule], shift.p)
    yield effect
    yield chance
