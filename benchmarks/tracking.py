"""Measure an export into a server of MLflow beside MLflow's own client: whole processes, the same artifact and server.

The server is MLflow's own, on this machine, without telemetry; what it takes is counted for neither side. Each run
makes an experiment and a registered model of its own, so that none finds its work already done.

Run it as `python -m benchmarks.tracking` from the project's root, by its environment's Python, once `make test-slow`
has made `.venv-mlflow`.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.environments import ROOT
from benchmarks.measure import Command, Series, Usage, add_json_option, measure
from benchmarks.report import figure, figure_table, usage_table

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 0.3
ARTIFACT = str(ROOT / "tests" / "golden" / "v2" / "digits")
MLFLOW = ROOT / ".venv-mlflow" / "bin"
QUIET = (("MLFLOW_DISABLE_TELEMETRY", "true"), ("DO_NOT_TRACK", "true"))
TITLE = "export of the digits into MLflow, beside its own client"


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run a server with a database and files in a folder, and give its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(MLFLOW / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{folder}/tracking.db", "--artifacts-destination", f"{folder}/files"]
    environment = {**os.environ, **dict(QUIET)}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, *stores], cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _wait(url: str) -> None:
    for _ in range(600):
        try:
            with urlopen(url, timeout=5):  # noqa: S310 - it is ours
                return
        except URLError:
            time.sleep(0.2)
    raise RuntimeError("the server has not come")


def commands(uri: str, folder: Path, number: int) -> dict[str, Command]:
    """Both sides of one round."""
    name = f"ours-{number}"
    named = ("--tracking-uri", uri, "--experiment", name, "--model", name, "--alias", "champion")
    ours = (sys.executable, "-m", "artifact_pipeline", "export", "mlflow", ARTIFACT, *named)
    theirs = (str(MLFLOW / "python"), str(ROOT / "benchmarks" / "bare_mlflow.py"), ARTIFACT, uri, f"bare-{number}")
    return {"ours": Command(ours, folder), "bare": Command(theirs, folder, variables=QUIET)}


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracking", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=9, metavar="N", help="runs of each; the first is not counted")
    add_json_option(parser)
    options, series = parser.parse_args(), Series()
    runs = max(options.runs, 2)
    measured: dict[str, list[Usage]] = {"ours": [], "bare": []}
    with tempfile.TemporaryDirectory() as name, server(Path(name)) as uri:
        for number in range(runs):
            for side, command in commands(uri, Path(name), number).items():
                measured[side].append(measure(command))
    counted = {side: usages[1:] for side, usages in measured.items()}
    print(f"{runs - 1} runs of each command counted; `bare` is MLflow's own client\n")
    print(*usage_table({TITLE: counted}), "", *figure_table([figure(TITLE, "cpu", LIMIT, counted)]), sep="\n")
    series.add_usages(TITLE, counted)
    series.write(options.json)


if __name__ == "__main__":
    main()
