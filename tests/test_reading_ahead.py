"""While a batch is answered, the next one is read."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from artifact_pipeline.errors import DataRejected
from artifact_pipeline.prediction.ahead import read_ahead
from artifact_pipeline.rows.batches import CHUNK, Wanted
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.sources import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from artifact_pipeline.rows.batches import Batch

BATCHES = 3
WANTED = Wanted.columns_alone((), ("x",))
SECONDS = 60
"""How long a batch is waited for that another thread reads."""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A file of some batches, the last of one row."""
    place = tmp_path / "rows.parquet"
    parquet.write_table(pa.table({"x": np.arange((BATCHES - 1) * CHUNK + 1.0)}), place)
    return Source(str(place), place.name, "parquet")


class Noted:
    """Batches, of each of which is noted that it was read, and in which thread."""

    def __init__(self) -> None:
        self.read = threading.Semaphore(0)
        self.threads: set[threading.Thread] = set()

    def of(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches."""
        for batch in batches:
            self.threads.add(threading.current_thread())
            self.read.release()
            yield batch


def test_one_batch_is_read_ahead(source: Source) -> None:
    """While the caller has a batch the next one is read, and none behind it; leaving early ends the thread."""
    noted = Noted()
    with open_rows(source, WANTED) as rows, closing(read_ahead(source, rows, noted.of(rows.batches(0)))) as batches:
        first, _ = next(batches)
        assert noted.read.acquire(timeout=SECONDS)
        assert noted.read.acquire(timeout=SECONDS)
        assert not noted.read.acquire(blocking=False)
        assert first.start == 0
    assert not any(thread.is_alive() for thread in noted.threads)


@pytest.mark.parametrize(("place", "ahead"), [("", True), ("-", False), ("s3://bucket/rows.parquet", False)])
def test_what_may_keep_waiting_is_not_read_ahead(source: Source, place: str, *, ahead: bool) -> None:
    """The batches and their shares are the same in either way; a stream or a store is read in the caller's thread."""
    noted = Noted()
    with open_rows(source, WANTED) as rows:
        named = replace(source, place=place or source.place)
        read = [(batch.start, share) for batch, share in read_ahead(named, rows, noted.of(rows.batches(0)))]
    with open_rows(source, WANTED) as rows:
        assert read == [(batch.start, rows.done()) for batch in rows.batches(0)]
    assert len(read) == BATCHES
    assert (threading.current_thread() in noted.threads) is not ahead


def test_an_error_comes_behind_the_batches_before_it(source: Source) -> None:
    """What cannot be read is refused in its turn."""

    def broken(batches: Iterator[Batch]) -> Iterator[Batch]:
        yield next(batches)
        raise DataRejected("the rest cannot be read")

    with open_rows(source, WANTED) as rows, closing(read_ahead(source, rows, broken(rows.batches(0)))) as batches:
        assert next(batches)[0].start == 0
        with pytest.raises(DataRejected, match="the rest"):
            next(batches)
