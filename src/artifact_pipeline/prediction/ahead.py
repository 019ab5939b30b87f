"""Reading ahead: while a batch is answered, the next one is read in another thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.rows.sources import STDIN
from artifact_pipeline.storage import places as storage

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from artifact_pipeline.rows.batches import Batch
    from artifact_pipeline.rows.formats.opening import Reader
    from artifact_pipeline.rows.sources import Source


def read_ahead(source: Source, rows: Reader, batches: Iterator[Batch]) -> Generator[tuple[Batch, float]]:
    """Yield batches in their order, each with the share of the source that had been read with it.

    One batch is read ahead, since each has some megabytes. Standard input and objects in a store are not read ahead:
    Ctrl-C could not end the waiting for them in another thread.

    Args:
        source: where the batches are from.
        rows: its reader, which must stay open until the result is exhausted or closed.
        batches: the batches that the reader has yet to give.
    """
    shared = ((batch, rows.done()) for batch in batches)
    if source.place == STDIN or storage.is_url(source.place):
        yield from shared
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, shared, None)
        while (read := coming.result()) is not None:
            coming = reader.submit(next, shared, None)
            yield read
