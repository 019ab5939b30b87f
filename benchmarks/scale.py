"""Measure `predict` on a Dask cluster of two workers beside one process, and what a task, a worker and a row cost.

The rows are one Parquet file of 10^6 float32 rows of 64 columns under several names, so that the page cache holds it.
The cluster stands before: a scheduler and two workers of one thread, processes of this machine. Everything is written
to `--folder`; where that is memory (/dev/shm), no disk is measured. With each wall stands what other processes took of
the machine meanwhile. From these figures `scale_model.py` reckons 10^9 rows by 8, 64 and 512 workers.

Run it as `make bench-scale`, or as `python -m benchmarks.scale` from the project's root, by its environment's Python.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil  # type: ignore[import-untyped]
from benchmarks.environments import ROOT
from benchmarks.measure import Command, Series, add_json_option, clean_environment, measure
from benchmarks.scale_model import Costs, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.measure import Usage

PROGRAM = str(Path(sys.executable).with_name("artifact-pipeline"))
FILE_ROWS = 1_000_000
SMALL_ROWS = 100
PARTS = 954
"""Parts of 10^9 rows, whose counts are added up."""
LIMIT = 0.6
"""Of the wall of two workers against that of one process."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: what the client took, what the other processes of the cluster took, and what the machine did beside.

    Attributes:
        client: of the command.
        scheduler: CPU seconds.
        workers: CPU seconds of all workers.
        others: the share of all cores that processes took which do not belong to it.
    """

    client: Usage
    scheduler: float
    workers: float
    others: float

    @property
    def cpu(self) -> float:
        """CPU seconds of all processes."""
        return self.client.cpu + self.scheduler + self.workers


@dataclass(frozen=True, slots=True)
class Cluster:
    """A scheduler and its workers, processes of this machine."""

    address: str
    scheduler: psutil.Process
    workers: tuple[psutil.Process, ...]


def cpu_of(*processes: psutil.Process) -> float:
    """CPU seconds that they have taken so far."""
    return float(sum(sum(each.cpu_times()[:2]) for each in processes))


def wait_for_quiet(patience: float) -> None:
    """Wait until others take less than a tenth of the machine for some seconds, or until patience is at its end."""
    end = time.monotonic() + patience
    while time.monotonic() < end and psutil.cpu_percent(3) > 10:
        pass


@contextmanager
def cluster(folder: Path, workers: int, variables: dict[str, str] | None = None) -> Iterator[Cluster]:
    """Start a scheduler and workers; with the block they end."""
    address_file, environment = folder / "scheduler.json", {**clean_environment(), **(variables or {})}
    address_file.unlink(missing_ok=True)

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", *arguments, "--no-dashboard"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process

    with ExitStack() as stack:
        scheduler = start(
            "distributed.cli.dask_scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--scheduler-file",
            str(address_file),
        )
        while not (address_file.exists() and address_file.read_text().endswith("}")):
            time.sleep(0.05)
        address = json.loads(address_file.read_text())["address"]
        options = ("--nthreads", "1", "--no-nanny", "--memory-limit", "0", "--local-directory", str(folder))
        started = [start("distributed.cli.dask_worker", address, *options) for _ in range(workers)]
        wait_for(address, workers)
        yield Cluster(address, psutil.Process(scheduler.pid), tuple(psutil.Process(each.pid) for each in started))


def wait_for(address: str, workers: int) -> None:
    """Wait until the scheduler knows so many workers."""
    distributed: Any = import_module("distributed")
    with distributed.Client(address) as client:
        client.wait_for_workers(workers, timeout=120)


def predict(folder: Path, rows: str, to: str, *options: str, variables: Sequence[tuple[str, str]] = ()) -> Command:
    """`predict` into a folder of parts."""
    arguments = (PROGRAM, "predict", rows, "-o", f"{to}/", "--to", "parquet", "--quiet", *options)
    return Command(arguments, folder, (to, f"{to}.receipt.json"), variables)


def timed(command: Command, there: Cluster | None = None) -> Run:
    """Run a command once, on a cluster that stands or by itself."""
    processes = (there.scheduler, *there.workers) if there else ()
    before, machine = [cpu_of(each) for each in processes], psutil.cpu_times()
    client = measure(command)
    took = [cpu_of(each) - was for each, was in zip(processes, before, strict=True)] or [0.0]
    after = psutil.cpu_times()
    busy = sum(getattr(after, name) - getattr(machine, name) for name in ("user", "nice", "system"))
    others = max(0.0, busy - client.cpu - sum(took)) / client.wall / (os.cpu_count() or 1)
    return Run(client, took[0], sum(took[1:]), others)


def prepared(folder: Path, files: int) -> None:
    """Train, and write the rows: a million under several names, a hundred under a thousand."""
    config = str(ROOT / "config" / "config.json")
    subprocess.run([PROGRAM, "train", "--config", config, "--quiet"], cwd=folder, env=clean_environment(), check=True)
    for kind, rows, names in (("rows", FILE_ROWS, files), ("small", SMALL_ROWS, 500), ("tiny", SMALL_ROWS, 2)):
        place = folder / kind
        place.mkdir()
        script = [sys.executable, str(ROOT / "benchmarks" / "batch_rows.py"), "write", str(place / "0000.parquet")]
        subprocess.run([*script, str(rows), "continuous"], env=clean_environment(), check=True)
        for number in range(1, names):
            os.link(place / "0000.parquet", place / f"{number:04}.parquet")


def measure_walls(folder: Path, runs: int, series: Series, *, patience: float) -> dict[str, list[Run]]:
    """One process, two workers that stand, and two that are started, in turn."""
    sides: dict[str, list[Run]] = {"one process": [], "--scheduler, two workers": [], "--workers 2": []}
    with cluster(folder, 2) as there:
        timed(predict(folder, "tiny", "warm", "--scheduler", there.address), there)
        for at in range(runs):
            wait_for_quiet(patience)
            sys.stderr.write(f"walls: round {at + 1} of {runs}\n")
            one, two, own = sides.values()
            one.append(timed(predict(folder, "rows", "one")))
            two.append(timed(predict(folder, "rows", "two", "--scheduler", there.address), there))
            own.append(timed(predict(folder, "rows", "own", "--workers", "2")))
    receipts = {(folder / f"{name}.receipt.json").read_bytes() for name in ("one", "two", "own")}
    assert len(receipts) == 1, "the receipts differ"
    series.add("rows", "CPU s", {side: [each.cpu for each in done] for side, done in sides.items()})
    series.add("rows", "wall s", {side: [each.client.wall for each in done] for side, done in sides.items()})
    series.add("rows", "others", {side: [each.others for each in done] for side, done in sides.items()})
    return sides


def measure_fixed(folder: Path, runs: int, series: Series) -> dict[str, float]:
    """What a client, a worker and a task cost beside their rows, in CPU seconds: medians."""
    found: dict[str, list[float]] = {
        name: [] for name in ("client", "worker", "client task", "scheduler task", "worker task")
    }
    for at in range(runs):
        sys.stderr.write(f"fixed: round {at + 1} of {runs}\n")
        with cluster(folder, 2) as there:
            first = timed(predict(folder, "tiny", "warm", "--scheduler", there.address), there)
            found["client"].append(first.client.cpu)
            found["worker"].append(cpu_of(*there.workers) / 2)
            many = timed(predict(folder, "small", "many", "--scheduler", there.address), there)
            found["client task"].append((many.client.cpu - first.client.cpu) / 500)
            found["scheduler task"].append(many.scheduler / 500)
            found["worker task"].append(many.workers / 500)
    series.add("fixed", "CPU s", found)
    return {name: median(values) for name, values in found.items()}


def measure_merge(folder: Path, runs: int, series: Series) -> dict[str, float]:
    """Add one part's counts up, under 954 names, with the saving of the receipt: seconds a part, and bytes."""
    from artifact_pipeline.prediction.counts import PredictionCounts
    from artifact_pipeline.prediction.destination import Destination
    from artifact_pipeline.prediction.folders import Ledger
    from artifact_pipeline.prediction.parts import ignore_progress, score_parts
    from artifact_pipeline.prediction.scoring import Options, Scorer
    from artifact_pipeline.rows.sources import find_sources
    from artifact_pipeline.verification import verify

    scorer = Scorer(verify(folder / "artifact"), Options(form="parquet"))
    (folder / "merge").mkdir()
    to = Destination.of(f"{folder}/merge/", to="parquet", receipt=None)
    source = find_sources((str(folder / "rows" / "0000.parquet"),), None)
    parts: list[Any] = []
    score_parts(scorer, to, (0, source[0]), parts=slice(0, 1), done=parts.append, progress=ignore_progress)
    plain = parts[0].counts.plain()
    took, crossed = [], len(pickle.dumps((plain, parts[0].output.plain())))
    small, begun = find_sources((f"{folder}/small/",), None), time.process_time()
    Ledger(scorer, to, small)
    opening = (time.process_time() - begun) / len(small)
    for _ in range(runs):
        ledger, begun = Ledger(scorer, to, source), time.process_time()
        for number in range(PARTS):
            ledger.add(parts[0]._replace(number=number, counts=PredictionCounts.from_plain(plain, scorer.reference)))
        ledger.flush()
        took.append((time.process_time() - begun) / PARTS)
    assert to.receipt is not None
    size = Path(to.receipt).stat().st_size
    series.add("merge", "CPU s", {"a part": took, "a file, opened": [opening]})
    series.add("merge", "bytes", {"result of a part": [crossed], "receipt of 954 parts, in progress": [size]})
    return {"merge": median(took), "opening": opening, "result": crossed, "receipt": size}


def measure_store(folder: Path, files: int, runs: int, series: Series) -> dict[str, float]:
    """The same against moto's S3 server, which answers one request at a time: requests, bytes a row, and walls."""
    sys.path.insert(0, str(ROOT / "tests"))
    boto3, buckets = import_module("boto3"), import_module("buckets")

    seen: list[tuple[str, str, int]] = []
    with buckets.s3_server(seen) as server:
        keys = {"aws_access_key_id": "somebody", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        client = boto3.client("s3", endpoint_url=server, **keys)
        client.create_bucket(Bucket="bucket")
        for number in range(files):
            client.upload_file(str(folder / "rows" / "0000.parquet"), "bucket", f"rows/{number}.parquet")
        variables = {**buckets.KEYS, "AWS_ENDPOINT_URL": server}
        walls: dict[str, list[float]] = {"one process": [], "--scheduler, two workers": []}
        with cluster(folder, 2, variables) as there:
            for at in range(runs):
                sys.stderr.write(f"store: round {at + 1} of {runs}\n")
                pairs = (
                    (walls["one process"], ()),
                    (walls["--scheduler, two workers"], ("--scheduler", there.address)),
                )
                for side, options in pairs:
                    seen.clear()
                    to = f"s3://bucket/out-{at}-{len(options)}"
                    command = predict(folder, "s3://bucket/rows/", to, *options, variables=(*variables.items(),))
                    side.append(timed(command, there if options else None).client.wall)
    gets = [asked for method, asked, _ in seen if method == "GET" and asked]
    read = sum(1 + int(end) - int(start) for start, end in (each.removeprefix("bytes=").split("-") for each in gets))
    written = sum(brought for method, _, brought in seen if method == "PUT")
    series.add("store", "wall s", walls)
    found = {
        "requests": len(seen) / files,
        "read": read / files / FILE_ROWS,
        "written": written / files / FILE_ROWS,
    }
    series.add("store", "a part, or bytes a row", {name: [value] for name, value in found.items()})
    return found


def main() -> None:
    """Measure, and print what 10^9 rows would take."""
    options = _options()
    series = Series()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        prepared(folder, options.files)
        store = measure_store(folder, options.store_files, options.runs, series) if options.store_files else {}
        fixed = measure_fixed(folder, options.runs, series)
        merge = measure_merge(folder, options.runs, series)
        sides = measure_walls(folder, options.runs, series, patience=options.patience)
        size = (folder / "rows" / "0000.parquet").stat().st_size / FILE_ROWS
    for side, done in sides.items():
        cpu, wall, others = (
            median(values) for values in zip(*((each.cpu, each.client.wall, each.others) for each in done), strict=True)
        )
        print(f"{side:<26}  CPU {cpu:6.2f} s  wall {wall:6.2f} s  others {others:.0%} of the machine")
    one, two = (median(each.client.wall for each in sides[name]) for name in [*sides][:2])
    print(
        f"wall of two workers against one process: {two / one:.3f} <= {LIMIT}: {'yes' if two / one <= LIMIT else 'NO'}"
    )
    print()
    rows = options.files * FILE_ROWS
    measured = {**fixed, **merge, **store, "size": size}
    measured["row"] = median(each.workers for each in sides["--scheduler, two workers"]) / rows
    print(*shown(costs_of(measured), measured), sep="\n")
    series.write(options.json)


def costs_of(measured: Mapping[str, float]) -> Costs:
    """What the reckoning takes of what was measured; without a store, its bytes are those of the files."""
    return Costs(
        row=measured["row"],
        start=measured["client"] + measured["worker"],
        opening=measured["opening"],
        client=measured["client task"] - measured["opening"],
        scheduler=measured["scheduler task"],
        read=measured.get("read", 2 * measured["size"]),
        requests=measured.get("requests", 0.0),
    )


def _options() -> argparse.Namespace:
    summary, *_ = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=summary)
    add = parser.add_argument
    add("--files", type=int, default=10, metavar="N", help="files of a million rows (default: 10)")
    add("--store-files", type=int, default=2, metavar="N", help="of them in the object store; 0 for none (default: 2)")
    add("--runs", type=int, default=5, metavar="N", help="runs of each (default: 5)")
    add("--patience", type=float, default=0, metavar="S", help="seconds to wait for idle cores before each round")
    add("--folder", type=Path, metavar="DIR", help="where the files go while it runs, such as /dev/shm")
    add_json_option(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
