"""Folders of typed tables: the same bytes of answers however they are cut, resumed or spread over a Dask cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from artifact_pipeline.prediction.run import PredictionObserver, PredictionRequest, predict
from artifact_pipeline.verification import verify
from mixedmodels import COLUMNS, MODELS, mixed_rows, new_rows, train_mixed, write_mixed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from artifact_pipeline.prediction.outcome import Predictions


@pytest.fixture(scope="module", params=["logistic", "ridge"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of a mixed table, and `rows/`: the same rows in three formats, and a file with bad rows."""
    root = tmp_path_factory.mktemp(request.param)
    train_mixed(root, MODELS[request.param])
    rows = root / "rows"
    rows.mkdir()
    good = [row[:-1] for row in mixed_rows(5_000, seed=9)] + new_rows()
    table = pa.table({name: [row[place] for row in good] for place, name in enumerate(COLUMNS)})
    parquet.write_table(table, rows / "a.parquet", row_group_size=3_000)
    write_mixed(rows / "b.csv", good)
    for_json = [dict(zip(COLUMNS, row, strict=True)) for row in good]
    (rows / "c.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in for_json))
    bad = [list(row) for row in good[:500]]
    bad[7][1] = bad[9][4] = None
    bad[8][3] = "a\0b"
    bad[400][2] = "soon"
    write_mixed(rows / "d.csv", bad)
    return root


def asked(scene: Path, to: Path, **more: Any) -> Predictions:
    request = PredictionRequest(
        verify(scene / "artifact"), (str(scene / "rows"),), f"{to}/", **{"on_error": "quarantine", **more}
    )
    return predict(request, PredictionObserver(progress=lambda: nullcontext(lambda _rows, _share: None)))


def written(to: Path) -> dict[str, bytes]:
    """Every file that a prediction has written, with the receipt and the bad rows, by its name."""
    files = [path for path in (*to.rglob("*"), *to.parent.glob(f"{to.name}.*")) if path.is_file()]
    return {str(path.relative_to(to.parent)): path.read_bytes() for path in files}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a scheduler with two workers, each a process."""
    pytest.importorskip("distributed")
    told = tmp_path / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    scheduler = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    running = [subprocess.Popen([sys.executable, "-m", *scheduler, "--scheduler-file", str(told)], **quiet)]
    try:
        while not (told.exists() and told.read_text().endswith("}")):
            assert running[0].poll() is None
        address = json.loads(told.read_text())["address"]
        worker = ["distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        running += [subprocess.Popen([sys.executable, "-m", *worker], **quiet) for _ in range(2)]
        yield address
    finally:
        for process in reversed(running):
            process.kill()
            process.wait()


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_bad_rows_of_a_typed_table_are_set_aside(scene: Path, tmp_path: Path, form: str) -> None:
    """A folder of typed tables is answered whole; each bad row is told with its column, its rule and its record."""
    outcome = asked(scene, tmp_path / "out", output_format=form)
    rows = outcome.receipt.rows
    assert (rows.read, rows.written, rows.rejected) == (15_680, 15_676, 4)
    rejected = tmp_path / "out.rejected.jsonl"
    told = [json.loads(line) for line in rejected.read_text().splitlines()]
    found = [(each["row"], each["column"], each["rule"]) for each in told]
    assert found == [
        (7, "income", "missing"), (8, "city", "null-character"), (9, "plan", "missing"), (400, "made", "not-a-number"),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_cluster_gives_the_bytes_of_one_process(scene: Path, cluster: str, tmp_path: Path) -> None:
    """Categories, gaps and bad rows that a real Dask cluster answers become the files that one process writes."""
    for folder in ("alone", "spread"):
        (tmp_path / folder).mkdir()
    asked(scene, tmp_path / "alone" / "out")
    asked(scene, tmp_path / "spread" / "out", scheduler=cluster)
    alone, spread = written(tmp_path / "alone" / "out"), written(tmp_path / "spread" / "out")
    assert alone.keys() == spread.keys()
    assert {name for name in alone if alone[name] != spread[name]} == set()
