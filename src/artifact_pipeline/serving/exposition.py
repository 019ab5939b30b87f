"""The figures as Prometheus and OpenMetrics read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.serving.coding import weights
from artifact_pipeline.serving.figures import BOUNDS
from artifact_pipeline.serving.http import Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from artifact_pipeline.serving.figures import Board
    from artifact_pipeline.serving.model import Served

_PREFIX = "artifact_pipeline"
_OPEN_METRICS = "application/openmetrics-text"


def metrics_response(board: Board, served: Served, accept: str, *, ready: bool) -> Response:
    """All figures, in the format that `accept` asks for."""
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.registry import Collector

    class _Figures(Collector):
        def collect(self) -> Iterator[Metric]:
            yield from _counted(board)
            yield from _told(served, ready=ready)
            yield from _drift(board, served)

    registry = CollectorRegistry()
    registry.register(_Figures())
    ProcessCollector(registry=registry)
    # The format alone: a version that is none would be a bug of ours, and what was asked for part of our answer.
    encode, content_type = choose_encoder(_OPEN_METRICS if _is_open_metrics(accept) else "")
    return Response(200, encode(registry), ((b"content-type", content_type.encode()),))


def _is_open_metrics(accept: str) -> bool:
    wanted = weights(accept)
    return 0 < wanted.get(_OPEN_METRICS, 0) >= wanted.get("text/plain", 0)


def _counted(board: Board) -> Iterator[Metric]:
    from prometheus_client import core

    totals = board.totals()
    requests = core.CounterMetricFamily(f"{_PREFIX}_requests", "Requests by status.", labels=["route", "status"])
    for (route, status), count in totals.requests.items():
        requests.add_metric([route, str(status)], count)
    yield requests
    buckets = [(str(bound), float(count)) for bound, count in zip((*BOUNDS, "+Inf"), totals.latencies, strict=True)]
    words = "Seconds from an inference request's head to its response."
    yield core.HistogramMetricFamily(f"{_PREFIX}_inference_seconds", words, buckets=buckets, sum_value=totals.seconds)
    yield core.CounterMetricFamily(f"{_PREFIX}_rows", "Rows answered.", value=totals.rows)
    yield core.GaugeMetricFamily(f"{_PREFIX}_queue", "Requests that wait for their answer.", value=totals.waiting)
    yield core.GaugeMetricFamily(
        f"{_PREFIX}_requests_in_progress", "Requests that come in, wait, or are answered.", value=totals.under_way
    )
    reloads = core.CounterMetricFamily(f"{_PREFIX}_reloads", "Artifacts looked at anew.", labels=["outcome"])
    for outcome, count in totals.reloads.items():
        reloads.add_metric([outcome], count)
    yield reloads
    words = "Workers that have refused the latest artifact and serve the one before."
    yield core.GaugeMetricFamily(f"{_PREFIX}_reload_refused", words, value=totals.refused_last)


def _told(served: Served, *, ready: bool) -> Iterator[Metric]:
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


def _drift(board: Board, served: Served) -> Iterator[Metric]:
    from prometheus_client import core

    drift = board.drift(served)
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
