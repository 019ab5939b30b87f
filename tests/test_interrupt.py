"""Ctrl-C: a process that works on a large file ends at once with status 130, and leaves nothing half-written."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from artifact_pipeline.cli import boundary
from rowfiles import NAMES
from servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from artifact_pipeline.artifact.manifest import Verified

SRC = Path(__file__).resolve().parents[1] / "src"
PROMPT = 5.0
"""Seconds; on an idle machine it takes a third of one, and work that goes on takes a minute."""


def parquet_of_zeros(place: Path) -> Path:
    """Twenty million rows in some hundred kilobytes."""
    columns = dict.fromkeys(NAMES, pa.array(np.zeros(20_000_000)))
    parquet.write_table(pa.table(columns), place / "rows.parquet")
    assert (place / "rows.parquet").stat().st_size < 1 << 20
    return place / "rows.parquet"


def npz_of_zeros(place: Path) -> Path:
    """A member of 2 GiB in two megabytes: 134 million rows."""
    rows, block = (2 << 30) // 16, bytes(1 << 24)
    packed = zipfile.ZipFile(place / "rows.npz", "w", zipfile.ZIP_DEFLATED)
    with packed as archive, archive.open("X.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": (rows, 2)})
        for _ in range((2 << 30) // len(block)):
            member.write(block)
    assert (place / "rows.npz").stat().st_size < 4 << 20
    return place / "rows.npz"


def started(artifact: Verified, *arguments: str | Path, cwd: Path, **env: str) -> subprocess.Popen[str]:
    """`predict`, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "artifact_pipeline",
        "predict",
        *map(str, arguments),
        "--artifact",
        artifact.folder,
    ]
    kept = {**os.environ, "PYTHONPATH": str(SRC), **env}
    return subprocess.Popen(command, cwd=cwd, env=kept, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def interrupted(process: subprocess.Popen[str]) -> str:
    """What is said of Ctrl-C; the process ends promptly with status 130."""
    before = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, time.monotonic() - before < PROMPT) == (130, True), said
    return said


def staged(folder: Path) -> bool:
    """Whether rows have come into a file that is being written."""
    return any(path.stat().st_size for path in folder.rglob(".*.tmp"))


@pytest.fixture(scope="module", params=[parquet_of_zeros, pytest.param(npz_of_zeros, marks=pytest.mark.slow)])
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file of very many rows."""
    make: Callable[[Path], Path] = request.param
    return make(tmp_path_factory.mktemp("large"))


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_ctrl_c_ends_work_on_a_large_file(of_words: Verified, large: Path, tmp_path: Path, name: str) -> None:
    """Amid the rows: status 130, what stood there stands, and nothing is beside it."""
    (tmp_path / name).write_text("what stood there")
    with started(of_words, large, "-o", name, cwd=tmp_path) as process:
        wait_until(lambda: staged(tmp_path))
        said = interrupted(process)
    assert said.endswith("error: interrupted; nothing is left half-written\n")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "what stood there"


def test_ctrl_c_leaves_whole_parts(of_words: Verified, large: Path, tmp_path: Path) -> None:
    """A folder of parts holds whole ones alone, a million rows each, and its receipt says that there are more."""
    with started(of_words, large, "-o", "out/", cwd=tmp_path) as process:
        wait_until(lambda: any(tmp_path.glob("out/part-*")), 60)
        interrupted(process)
    assert not any(tmp_path.rglob(".*.tmp"))
    for path in tmp_path.glob("out/part-*"):
        assert parquet.read_metadata(path).num_rows == 1 << 20
    assert json.loads((tmp_path / "out.receipt.json").read_text())["complete"] is False


@pytest.mark.parametrize("pressed", [True, False])
def test_an_error_that_ctrl_c_has_caused_is_no_error(monkeypatch: pytest.MonkeyPatch, *, pressed: bool) -> None:
    """What a library makes of Ctrl-C amid its code, such as a failed import, ends with 130; without one it is a bug."""

    def fail(*_: object) -> int:
        if pressed:
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        raise ImportError("initialization failed")

    monkeypatch.setattr(boundary, "_invoke", fail)
    monkeypatch.setattr(boundary, "_set_up_process", lambda output: signal.signal(signal.SIGINT, output.interrupt))
    monkeypatch.setattr("sys.argv", ["artifact-pipeline"])
    before = signal.getsignal(signal.SIGINT)
    try:
        if pressed:
            assert boundary.main() == 130
        else:
            with pytest.raises(ImportError):
                boundary.main()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a store that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        for each in taken:
            each.close()


@pytest.mark.needs("obstore")
@pytest.mark.parametrize(
    "arguments", [["s3://bucket/rows.csv", "-o", "out.csv"], ["s3://bucket/rows/", "-o", "out.csv"]]
)
def test_ctrl_c_ends_the_waiting_for_a_store(
    of_words: Verified, silent: str, tmp_path: Path, arguments: list[str]
) -> None:
    """A store that swallows what is sent is waited for some twenty seconds, unless Ctrl-C ends that."""
    settings = {"AWS_ENDPOINT_URL": silent, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
    with started(of_words, *arguments, "--debug", cwd=tmp_path, **settings, **keys) as process:
        connected = Path(f"/proc/{process.pid}/net/tcp")
        port = f":{int(silent.rpartition(':')[2]):04X} "
        wait_until(lambda: re.search(rf"{port}01 ", connected.read_text()) is not None, 60)
        interrupted(process)
    assert list(tmp_path.iterdir()) == []
