"""Measure `serve` beside a server that answers a constant, FastAPI with scikit-learn, and LitServe.

All are started as a user would start them, stay up meanwhile, and get the same load by wrk in turn, over loopback:
the same digits, as JSON each in its own form, or as bytes where the server takes them. CPU is the user and system time
of all processes of the server for one request, latency what wrk sees. All of a server runs on one core and wrk on
another, so requests per second are those of one core. Nobody logs requests.

The bare server (`serving_peers/bare_server.py`) is the limit: it runs Granian on uvloop, as `serve` does, reads what we
get, answers as many bytes as we do, and knows no model. Before anything is measured, every server must give
scikit-learn's labels for all digits. An answer other than 200 under load ends the run. `ready` is the time from the
start of the process to its first answer; memory is what is resident after the load.

Run it as `make bench-serving`, or as `python -m benchmarks.serving` from the project's root, by its environment's
Python. It needs Linux and wrk.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import numpy as np
from benchmarks.environments import ROOT, serving_python
from benchmarks.measure import Ratio, Series, Summary, add_json_option, clean_environment
from benchmarks.serving_load import Cores, Load, Memory, Target, memory, put_load, require_wrk
from benchmarks.serving_servers import FORMATS, mixed_row, servers, started

from artifact_pipeline.digits.dataset import load_digits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from benchmarks.serving_servers import Matrix, Running, Server

NAMES = ("bare", "ours", "mixed", "fastapi", "litserve")
CONNECTIONS = (1, 16)
CHECKED = 64
"""Rows of a request, while labels are compared."""
AGAINST_BARE = {("json", 1, 16): 2.0, ("json", 64, 16): 5.0, ("binary", 64, 16): 3.0}
AGAINST_FASTAPI = {("json", 1, 16): 0.15}
AGAINST_LITSERVE = {("json", 1, 16): 0.08}
"""Of a request by its form, rows and connections: the most of our CPU against theirs."""
AGAINST_DIGITS = {("json", 1, 16): 1.5}
"""The most CPU of a mixed row, column by column, against one of the digits."""
MAX_READY, MAX_RESIDENT = 1.0, 110


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of load."""

    rows: int
    form: str
    connections: int


@dataclass(frozen=True, slots=True)
class Taken:
    """Everything that was measured, in turn.

    Attributes:
        loads: by case and server.
        ready: seconds, by server.
        held: memory, by server.
    """

    loads: dict[tuple[Case, str], list[Load]] = field(default_factory=dict)
    ready: dict[str, list[float]] = field(default_factory=dict)
    held: dict[str, list[Memory]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """One server under one load: medians, and CPU against the others', pair by pair.

    Attributes:
        rows: of a request.
        form: of a request.
        connections: at a time.
        server: which.
        cpu: microseconds for a request.
        per_second: requests.
        p50: microseconds.
        p99: microseconds.
        against_bare: the ratio to the limit's CPU.
        against_fastapi: the ratio to FastAPI's CPU for as many rows as JSON, which is all that it takes.
        against_litserve: the ratio to LitServe's, likewise.
        against_digits: the ratio of mixed rows to as many digits of ours.
    """

    rows: int
    form: str
    connections: int
    server: str
    cpu: float
    per_second: float
    p50: float
    p99: float
    against_bare: float | None
    against_fastapi: float | None
    against_litserve: float | None
    against_digits: float | None


@dataclass(frozen=True, slots=True)
class State:
    """One server: medians of its start and its memory."""

    server: str
    ready: float
    resident: float
    proportional: float
    processes: int


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement needs.

    Attributes:
        folder: the artifact, its export, and the peers' scripts.
        X: the digits.
        labels: what scikit-learn says they are.
        known: every server.
        cores: where they and the load run.
    """

    folder: Path
    X: Matrix
    labels: list[int]
    known: dict[str, Server]
    cores: Cores

    @classmethod
    def prepared(cls, folder: Path, python: str) -> Bench:
        """Train into the folder, and put the peers' scripts there."""
        program = str(Path(sys.executable).with_name("artifact-pipeline"))
        train = [program, "train", "--config", str(ROOT / "config" / "config.json"), "--quiet"]
        subprocess.run(train, cwd=folder, env=clean_environment(), check=True)
        for script in (ROOT / "benchmarks" / "serving_peers").glob("*.py"):
            shutil.copy(script, folder)
        _train_mixed(folder / "mixed", program)
        (folder / "answers").mkdir()
        name = json.loads((folder / "artifact" / "manifest.json").read_text())["name"]
        X = load_digits().X
        labels = joblib.load(folder / "model_train.pkl").predict(X).tolist()
        return cls(folder, X.astype(np.float32), labels, servers(name, python), Cores.apart())

    def start(self, name: str) -> AbstractContextManager[Running]:
        """The context in which a server runs."""
        server = self.known[name]
        return started(server, self.folder, server.call(self.X[:1], "json"), self.cores.server)

    def target(self, running: Running, case: Case) -> Target:
        """What a load posts, its body written into a file."""
        call = running.server.call(self.X[: case.rows], case.form)
        file = self.folder / "body"
        file.write_bytes(call.body)
        return Target(running.url + call.path, running.session, file, call.headers)


def _train_mixed(folder: Path, program: str) -> None:
    """Train a logistic regression on a table of three numbers, two categories and a boolean."""
    folder.mkdir()
    rows = [{**mixed_row(index), "label": "yes" if index % 5 < 2 + index % 3 else "no"} for index in range(500)]
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    config = {
        "name": "digits",
        "dataset": {"path": "rows.jsonl", "target": "label"},
        "preprocess": "auto",
        "model": {"estimator": "LogisticRegression", "max_iter": 1000},
        "gate": {"min_accuracy": 0.1, "min_f1": 0.1},
    }
    (folder / "config.json").write_text(json.dumps(config))
    command = [program, "train", "--config", "config.json", "--quiet"]
    subprocess.run(command, cwd=folder, env=clean_environment(), check=True)


def sizes(bench: Bench, rows: Sequence[int]) -> Iterator[str]:
    """Keep our answers for the bare server, and say how large requests and answers are."""
    with bench.start("ours") as running:
        for form in FORMATS:
            for count in sorted({1, *rows}):  # of one row is what a server is asked until it is ready
                call = running.server.call(bench.X[:count], form)
                answer = running.ask(call).body
                (bench.folder / "answers" / f"{form}-{count}").write_bytes(answer)
                yield f"{form}, {count} rows: request {len(call.body):,} bytes, our answer {len(answer):,}"


def check(bench: Bench, name: str) -> None:
    """Compare a server's labels for all digits, and the constants of the bare one.

    Raises:
        RuntimeError: something differs.
    """
    with bench.start(name) as running:
        server = running.server
        if name == "mixed":
            running.ask(server.call(bench.X, "json"))  # the tests compare its answers with those of predict
            return
        if server.labels is None:
            for file in (bench.folder / "answers").iterdir():
                form, _, rows = file.name.partition("-")
                if running.ask(server.call(bench.X[: int(rows)], form)).body != file.read_bytes():
                    raise RuntimeError(f"{name} does not answer what it should to {file.name}")
            return
        for form in server.formats:
            found: list[int] = []
            for first in range(0, len(bench.X), CHECKED):
                found += server.labels(running.ask(server.call(bench.X[first : first + CHECKED], form)))
            if found != bench.labels:
                raise RuntimeError(f"{name} gives other labels than scikit-learn to rows as {form}")


def measure_round(bench: Bench, taken: Taken, *, chosen: Sequence[str], cases: Sequence[Case], seconds: int) -> None:
    """Start every server, put every load on each in turn, and add what it took."""
    with ExitStack() as stack:
        up = {name: stack.enter_context(bench.start(name)) for name in chosen}
        for case in cases:
            for name, running in up.items():
                if case.form in running.server.formats:
                    target, core = bench.target(running, case), bench.cores.load
                    load = put_load(target, connections=case.connections, seconds=seconds, core=core)
                    taken.loads.setdefault((case, name), []).append(load)
        for name, running in up.items():
            taken.ready.setdefault(name, []).append(running.ready)
            taken.held.setdefault(name, []).append(memory(running.session))


def lines(taken: Taken) -> Iterator[Line]:
    """The medians of each load and server."""
    cpu = {key: [load.cpu for load in loads] for key, loads in taken.loads.items()}

    def against(case: Case, name: str, other: tuple[Case, str]) -> float | None:
        return Ratio.of(cpu[case, name], cpu[other]).of_pairs if other in cpu else None

    for (case, name), loads in taken.loads.items():
        yield Line(
            case.rows,
            case.form,
            case.connections,
            name,
            **{
                each: Summary.of([getattr(load, each) for load in loads]).median
                for each in ("cpu", "per_second", "p50", "p99")
            },
            against_bare=against(case, name, (case, "bare")),
            against_fastapi=against(case, name, (Case(case.rows, "json", case.connections), "fastapi")),
            against_litserve=against(case, name, (Case(case.rows, "json", case.connections), "litserve")),
            against_digits=against(case, name, (case, "ours")) if name == "mixed" else None,
        )


def states(taken: Taken) -> Iterator[State]:
    """The medians of each server's start and memory."""
    for name, ready in taken.ready.items():
        held = taken.held[name]
        yield State(
            server=name,
            ready=Summary.of(ready).median,
            resident=Summary.of([each.resident for each in held]).median,
            proportional=Summary.of([each.proportional for each in held]).median,
            processes=max(each.processes for each in held),
        )


def tables(measured: Sequence[Line], known: Sequence[State]) -> Iterator[str]:
    """A row for each server under each load, and one for each server."""
    yield (
        f"{'rows':>4}  {'form':<6}  {'connections':>11}  {'server':<8}  {'CPU us':>8}  {'req/s':>8}  "
        f"{'p50 us':>8}  {'p99 us':>8}  {'CPU/bare':>8}  {'CPU/FastAPI':>11}  {'CPU/LitServe':>12}"
    )
    for each in measured:
        found = (each.against_bare, each.against_fastapi, each.against_litserve)
        ratios = ["-" if ratio is None else f"{ratio:.3f}" for ratio in found]
        yield (
            f"{each.rows:>4}  {each.form:<6}  {each.connections:>11}  {each.server:<8}  {each.cpu:>8.1f}  "
            f"{each.per_second:>8,.0f}  {each.p50:>8,.0f}  {each.p99:>8,.0f}  "
            f"{ratios[0]:>8}  {ratios[1]:>11}  {ratios[2]:>12}"
        )
    yield ""
    yield f"{'server':<8}  {'ready s':>7}  {'RSS MiB':>7}  {'PSS MiB':>7}  {'processes':>9}"
    for one in known:
        yield (
            f"{one.server:<8}  {one.ready:>7.3f}  {one.resident:>7.1f}  {one.proportional:>7.1f}  {one.processes:>9}"
        )


def verdicts(measured: Sequence[Line], known: Sequence[State]) -> Iterator[tuple[str, str, bool]]:
    """Each figure of ours with its target, and whether it was reached."""
    for each in measured:
        bound = AGAINST_DIGITS.get((each.form, each.rows, each.connections))
        if bound is not None and (ratio := each.against_digits) is not None:
            name = f"{each.rows} mixed row, {each.connections} connections: CPU against one of the digits"
            yield name, f"{ratio:.3f} <= {bound}", ratio <= bound
        if each.server != "ours":
            continue
        name = f"{each.rows} rows as {each.form}, {each.connections} connections: CPU against"
        for other, ratio, bounds in (
            ("bare", each.against_bare, AGAINST_BARE),
            ("FastAPI", each.against_fastapi, AGAINST_FASTAPI),
            ("LitServe", each.against_litserve, AGAINST_LITSERVE),
        ):
            bound = bounds.get((each.form, each.rows, each.connections))
            if bound is not None and ratio is not None:
                yield f"{name} {other}", f"{ratio:.3f} <= {bound}", ratio <= bound
    for one in known:
        if one.server == "ours":
            yield "start to ready", f"{one.ready:.3f} s < {MAX_READY:.0f}", one.ready < MAX_READY
            yield "resident memory", f"{one.resident:.0f} MiB < {MAX_RESIDENT}", one.resident < MAX_RESIDENT


def main() -> None:
    """Measure, and print."""
    options = _options()
    require_wrk()
    cases = [Case(rows, form, connections) for form in FORMATS for rows in options.rows for connections in CONNECTIONS]
    taken = Taken()
    with tempfile.TemporaryDirectory() as name:
        python = str(options.bare_python.absolute()) if options.bare_python else serving_python()
        bench = Bench.prepared(Path(name), python)
        about = list(sizes(bench, options.rows))
        for server in options.servers:
            sys.stderr.write(f"{server}: all digits\n")
            check(bench, server)
        for at in range(options.repeats):
            sys.stderr.write(f"round {at + 1} of {options.repeats}: {len(cases)} loads, {options.seconds} s each\n")
            measure_round(bench, taken, chosen=options.servers, cases=cases, seconds=options.seconds)
    measured, known = list(lines(taken)), list(states(taken))
    print(*about, "", *tables(measured, known), "", sep="\n")
    for title, shown, reached in verdicts(measured, known):
        print(f"{title}: {shown}: {'yes' if reached else 'NO'}")
    series = Series()
    for (case, name), loads in taken.loads.items():
        what = f"{case.rows} rows, {case.form}, {case.connections} connections"
        series.add(what, "CPU µs a request", {name: [load.cpu for load in loads]})
        series.add(what, "p99 µs", {name: [load.p99 for load in loads]})
    series.write(options.json, measured=[*map(asdict, measured)], servers=[*map(asdict, known)])


def _options() -> argparse.Namespace:
    summary, *_ = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=summary)
    add = parser.add_argument
    add("--seconds", type=int, default=5, metavar="N", help="of each load (default: 5)")
    add("--repeats", type=int, default=3, metavar="N", help="how often each load is put on each server (default: 3)")
    add("--servers", nargs="+", default=[*NAMES], choices=NAMES, help="which (default: all)")
    add("--rows", type=int, nargs="+", default=[1, 64], metavar="N", help="of a request (default: 1 64)")
    add_json_option(parser)
    add("--bare-python", type=Path, metavar="PYTHON", help="run the other servers by this Python")
    options = parser.parse_args()
    if min(options.seconds, options.repeats, *options.rows) < 1:
        parser.error("--seconds, --repeats and --rows must be at least 1")
    return options


if __name__ == "__main__":
    main()
