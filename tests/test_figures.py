from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs
from prometheus_client import parser
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics

from artifact_pipeline.drift.histograms import Histograms
from artifact_pipeline.drift.judge import WORST, judge
from artifact_pipeline.serving.inputs import SentRows
from artifact_pipeline.serving.metrics import BOUNDS, ServerMetrics
from artifact_pipeline.serving.window import Ring, Window, Windows
from asking import DIGITS, open_digits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from artifact_pipeline.drift.judge import Drift
    from artifact_pipeline.serving.model import Served
    from artifact_pipeline.training.sealed import Candidate

OUTCOMES = ("served", "unchanged", "refused")
ROUTES = ("infer", "model", "health", "metrics", "page", "other")
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.fixture(scope="module", params=["candidate", "candidate_1"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """The digits as each format has them: float64, and float32."""
    return open_digits(request.getfixturevalue(request.param), tmp_path_factory.mktemp("figures"))


@pytest.fixture(scope="module")
def held_out(candidate: Candidate) -> NDArray[np.float64]:
    """The digits that the model has never seen, in a fixed order."""
    bits = np.unpackbits(np.frombuffer(candidate.members["split.bin"], dtype=np.uint8), count=1797, bitorder="little")
    return np.random.default_rng(3).permutation(DIGITS.X[bits.astype(np.bool_)])


def windows_of(served: Served, *, workers: int = 1, rows: int = 1000) -> tuple[Windows, list[Window]]:
    windows = Windows(workers, rows, served.features)
    return windows, [Window(windows, worker, served) for worker in range(workers)]


def answer(window: Window, X: NDArray[Any], served: Served) -> None:
    """What the application does with a request's rows."""
    answers = served.predictor.predict(X)
    window.note(SentRows(X.astype(served.predictor.dtype), None), answers.labels, answers.values, served)


def judged(served: Served, X: NDArray[Any]) -> Drift:
    """The verdict over rows, by the way of batches."""
    dtype = served.predictor.dtype
    histograms = Histograms(served.reference, str(dtype))
    answers = served.predictor.predict(X)
    columns = list(np.ascontiguousarray(X.T, dtype=dtype))
    histograms.add(columns, answers.positions, answers.probabilities.max(axis=1))
    return judge(served.reference, histograms.counts(), served.labels)


# The window


@settings(max_examples=200)
@given(st.integers(1, 40), st.lists(st.integers(0, 90), max_size=12))
@example(5, [5])
@example(5, [3, 5, 1])
@example(5, [4, 2])
@example(5, [11])
@example(1, [1, 0, 2])
def test_the_window_is_the_latest_rows(served: Served, capacity: int, requests: list[int]) -> None:
    """However many rows come at once, the ring holds the latest ones, each with its own answer, and no other."""
    window = Ring(memoryview(bytearray(8 * capacity * (served.features + 2))), served, capacity)
    assert window.capacity == capacity
    seen, plain = 0, []
    for rows in requests:
        numbers = np.arange(seen, seen + rows)
        window.put(seen, np.repeat(numbers[:, None], served.features, axis=1), numbers, numbers / 2)
        plain += numbers.tolist()
        seen += rows
    X, positions, confidence = window.latest(seen)
    assert sorted(positions.tolist()) == plain[-capacity:]
    assert np.array_equal(X, np.repeat(positions[:, None], served.features, axis=1))
    assert np.array_equal(confidence, positions / 2)


def test_a_window_of_wider_rows_holds_fewer(served: Served) -> None:
    """A model of more features than the first one has as long a window as there is room for, of fewer the same."""
    memory = memoryview(bytearray(8 * 100 * (64 + 2)))
    lengths = {
        features: Ring(memory, replace(served, features=features), 100).capacity for features in (1, 64, 127, 2000)
    }
    # Of float32, as a model of format 1 may take it, twice as many go into the same room.
    longer = {127: 51, 2000: 3} if served.predictor.dtype == "float64" else {127: 100, 2000: 6}
    assert lengths == {1: 100, 64: 100, **longer}
    assert Ring(memory, replace(served, features=100_000), 100).capacity == 0


@settings(max_examples=25)
@given(
    st.integers(20, 300),
    st.lists(st.tuples(st.integers(0, 1790), st.integers(1, 120)), min_size=1, max_size=9),
    st.sampled_from(["<f4", "<f8", "<i8", "|u1"]),
)
def test_the_verdict_is_that_of_the_window_in_batches(
    served: Served, capacity: int, requests: list[tuple[int, int]], form: str
) -> None:
    """What is told of drift is what batches would be told of the latest rows, whatever datatype they came in."""
    windows, (window,) = windows_of(served, rows=capacity)
    everything = np.concatenate([DIGITS.X[start : start + rows] for start, rows in requests])
    for start, rows in requests:
        answer(window, DIGITS.X[start : start + rows].astype(form), served)
    window.flush()
    assert windows.drift(served) == judged(served, everything[-capacity:])


def test_digits_as_they_were_have_not_drifted(served: Served, held_out: NDArray[np.float64]) -> None:
    """Digits that the model has never seen are found as they were in training, one by one or all at once."""
    windows, (window,) = windows_of(served, rows=300)
    for row in held_out:
        answer(window, row[None], served)
    window.flush()
    drift = windows.drift(served)
    assert drift is not None
    assert (drift.rows, drift.drifted) == (300, ())
    assert drift.tested > 50


def test_digits_that_are_shifted_have_drifted(served: Served, held_out: NDArray[np.float64]) -> None:
    """Digits a pixel to the right are found to have drifted, and are forgotten once enough others have come."""
    windows, (window,) = windows_of(served, rows=300)
    shifted = np.roll(held_out.reshape(-1, 8, 8), 1, axis=2).reshape(-1, 64)
    answer(window, shifted, served)
    window.flush()
    drift = windows.drift(served)
    assert drift is not None
    assert len(drift.drifted) > 20
    assert drift == judged(served, shifted[-300:])
    answer(window, held_out, served)
    window.flush()
    again = windows.drift(served)
    assert again is not None
    assert again.drifted == ()


def test_without_a_window_nothing_is_judged(served: Served) -> None:
    """A window of 0 rows takes none and judges none."""
    windows, (window,) = windows_of(served, rows=0)
    answer(window, DIGITS.X, served)
    window.flush()
    assert windows.drift(served) is None
    assert "drift" not in ServerMetrics(windows, 0, served).response(served, "", ready=True).body.decode()


def test_an_empty_window_is_judged_of_no_rows(served: Served) -> None:
    """Before the first row there is a verdict, of nothing."""
    windows, _ = windows_of(served)
    drift = windows.drift(served)
    assert drift is not None
    assert (drift.rows, drift.tested) == (0, 0)


def test_the_windows_of_all_workers_are_judged_together(served: Served, held_out: NDArray[np.float64]) -> None:
    """Whichever worker is asked, what all have answered is judged, but for one that serves another model already."""
    windows, (first, second) = windows_of(served, workers=2, rows=100)
    answer(first, held_out[:100], served)
    answer(second, held_out[100:160], served)
    first.flush()
    second.flush()
    assert windows.drift(served) == judged(served, held_out[:160])
    other = replace(served, version="f" * 64)
    second.serve(other)
    assert windows.drift(served) == judged(served, held_out[:100])
    answer(second, held_out[160:200], served)  # answered by the old one, as its last
    answer(second, held_out[200:240], other)
    second.flush()
    assert windows.drift(other) == judged(served, held_out[200:240])
    assert windows.drift(served) == judged(served, held_out[:100])


# What is counted


counts = st.tuples(st.sampled_from(ROUTES), st.sampled_from((200, 400, 503)), st.floats(0, 9), st.integers(0, 99))


@settings(max_examples=50)
@given(st.lists(counts, max_size=40), st.lists(st.sampled_from(OUTCOMES), max_size=9))
@example([("infer", 200, bound, 1) for bound in BOUNDS], [])
def test_the_figures_are_a_plain_count(
    served: Served, requests: list[tuple[str, int, float, int]], reloads: list[Any]
) -> None:
    """Requests, latencies, rows, reloads and levels are what a plain count of them gives."""
    metrics = ServerMetrics(Windows(1, 0, served.features), 0, served)
    for each in requests:
        metrics.request(*each)
    for outcome in reloads:
        metrics.reload(outcome)
    metrics.waiting, metrics.in_progress = 3, 30
    found = samples(open_metrics(metrics.response(served, OPEN, ready=True).body.decode()))

    def figure(name: str, /, **labels: str) -> float:
        return found[f"artifact_pipeline_{name}", tuple(sorted(labels.items()))]

    pairs = [(route, status) for route, status, _, _ in requests]
    for route, status in pairs:
        assert figure("requests_total", route=route, status=str(status)) == pairs.count((route, status))
    assert sum(value for (name, _), value in found.items() if name == "artifact_pipeline_requests_total") == len(pairs)
    times = [seconds for route, _, seconds, _ in requests if route == "infer"]
    for bound in BOUNDS:
        assert figure("inference_seconds_bucket", le=str(bound)) == sum(each <= bound for each in times)
    assert figure("inference_seconds_count") == figure("inference_seconds_bucket", le="+Inf") == len(times)
    assert figure("inference_seconds_sum") == pytest.approx(sum(times), abs=1e-7)
    assert figure("rows_total") == sum(rows for route, _, _, rows in requests if route == "infer")
    assert (figure("queue"), figure("requests_in_progress")) == (3, 30)
    assert [figure("reloads_total", outcome=each) for each in OUTCOMES] == [reloads.count(each) for each in OUTCOMES]
    assert figure("reload_refused") == (reloads[-1:] == ["refused"])


# What Prometheus reads


@pytest.fixture(scope="module")
def shifted(served: Served, held_out: NDArray[np.float64]) -> ServerMetrics:
    """Requests, reloads and drifted rows."""
    metrics = ServerMetrics(Windows(2, 1000, served.features), 0, served)
    answer(metrics.window, np.roll(held_out.reshape(-1, 8, 8), 1, axis=2).reshape(-1, 64), served)
    for seconds in (0.0001, 0.0003, 7.0):
        metrics.request("infer", 200, seconds, 120)
    metrics.request("infer", 400, 0.0001, 0)
    metrics.request("health", 200, 0.0001, 0)
    metrics.reload("refused")
    return metrics


def samples(families: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value for family in families for each in family.samples
    }


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=x.\x1b", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=" + "9" * 5000, "text/plain; version=0.0.4; charset=utf-8"),
        (OPEN, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text;version=a.b", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (
            "Application/OpenMetrics-Text;version=0.0.1,*/*",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ],
)
def test_the_format_is_the_one_that_is_asked_for(
    served: Served, shifted: ServerMetrics, accept: str, kind: str
) -> None:
    """Prometheus' text or OpenMetrics, each as its own parser reads it, and with the same figures in it."""
    response = shifted.response(served, accept, ready=True)
    assert response.status == 200
    assert dict(response.headers)[b"content-type"].decode() == kind
    read = open_metrics if "openmetrics" in kind else parser.text_string_to_metric_families
    found = samples(read(response.body.decode()))
    assert found["artifact_pipeline_requests_total", (("route", "infer"), ("status", "200"))] == 3
    assert found["artifact_pipeline_rows_total", ()] == 360


def test_the_figures_are_those_of_the_board(served: Served, shifted: ServerMetrics) -> None:
    """Every figure stands under its name with its labels: what was counted, what is served, and the worst drift."""
    found = samples(open_metrics(shifted.response(served, OPEN, ready=False).body.decode()))

    def figure(name: str, /, **labels: str) -> float:
        return found[f"artifact_pipeline_{name}", tuple(sorted(labels.items()))]

    assert figure("requests_total", route="infer", status="400") == 1
    assert figure("requests_total", route="health", status="200") == 1
    assert figure("inference_seconds_count") == 4
    assert figure("inference_seconds_sum") == pytest.approx(7.0005)
    assert figure("inference_seconds_bucket", le="0.0001") == 2
    assert figure("inference_seconds_bucket", le="2.5") == 3
    assert figure("inference_seconds_bucket", le="+Inf") == 4
    assert [figure("reloads_total", outcome=outcome) for outcome in OUTCOMES] == [0, 0, 1]
    assert figure("reload_refused") == 1
    assert figure("ready") == 0
    manifest = served.verified.manifest
    names = {"digest": served.verified.digest, "model": manifest.model.digest, "name": "digits", "gate": "passed"}
    assert figure("artifact_info", **names) == 1
    drift = shifted.windows.drift(served)
    assert drift is not None
    assert figure("drift_rows") == drift.rows == 360
    assert figure("drift_tested") == drift.tested
    assert figure("drift_found") == len(drift.drifted) > WORST
    told = [key for key in found if key[0] == "artifact_pipeline_drift_effect"]
    assert len(told) == WORST
    for shift in drift.worst():
        labels = {"name": shift.name, "kind": shift.kind, "rule": shift.rule}
        assert (figure("drift_effect", **labels), figure("drift_p", **labels)) == (shift.effect, shift.p)
    assert found["process_resident_memory_bytes", ()] > 1 << 20


def test_the_figures_are_plain_text(served: Served, shifted: ServerMetrics) -> None:
    """The names of features, which are anybody's, are escaped as the format has it."""
    hostile = 'a"b\\c\nd{e="f"} 1'
    features = [structs.replace(each, name=f"{hostile}{at}") for at, each in enumerate(served.reference.features)]
    named = replace(served, reference=structs.replace(served.reference, features=tuple(features)))
    for accept, read in (("", parser.text_string_to_metric_families), (OPEN, open_metrics)):
        found = samples(read(shifted.response(named, accept, ready=True).body.decode()))
        names = {dict(key)["name"] for name, key in found if name == "artifact_pipeline_drift_effect"}
        assert len(names) == WORST
        assert any(name.startswith(hostile) for name in names)
