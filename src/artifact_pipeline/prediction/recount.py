"""Counting again: how many rows a file holds, and of what, read by the reader that every file is read by."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING, cast

import msgspec

from artifact_pipeline.prediction.labels import PREDICTED
from artifact_pipeline.rows.batches import Wanted
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.sources import Source
from artifact_pipeline.storage import places as storage
from artifact_pipeline.storage.opened import BLOCK, Opened, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_LINE = 256 << 20
"""Bytes of a line that tells a bad row, which holds the row as it was read."""
_ARRAYS = frozenset({"npy", "npz"})


class _BadRow(msgspec.Struct, frozen=True):
    rule: str


def count_predictions(place: str) -> Counter[str]:
    """Rows by predicted label, as text.

    Raises:
        DataRejected: these are no predictions, or they cannot be read.
    """
    from pyarrow import compute

    form, counts = _form(place), Counter[str]()
    if form is None:
        return counts
    with open_rows(Source(place, place, form), Wanted.columns_alone((PREDICTED,)), digest=False) as rows:
        for batch in rows.batches(0):
            if batch.rejected:
                bad = batch.rejected[0]
                raise unreadable(f"{place}, {bad.place}", bad.message, rule=bad.rule)
            labels = batch.kept[PREDICTED].cast("large_string").fill_null("")
            counts.update({each["values"]: each["counts"] for each in compute.value_counts(labels).to_pylist()})
    return counts


def count_bad_rows(place: str) -> Counter[str]:
    """Rows that were set aside, by the rule that each breaks.

    Raises:
        DataRejected: a line is none that tells a bad row, or the file cannot be read.
    """
    counts = Counter[str]()
    with storage.opened(place) as file:
        for number, line in enumerate(_lines(file)):
            try:
                counts[msgspec.json.decode(line, type=_BadRow).rule] += 1
            except (ValueError, RecursionError) as error:
                raise unreadable(place, f"line {number + 1:,} tells no bad row: {str(error)[:200]}") from error
    return counts


def count_input(place: str, form: str) -> int | None:
    """Rows of an input; None where that cannot be counted without the model, as of pictures.

    Raises:
        DataRejected: it cannot be read as what it is said to be.
    """
    kind = form.partition(".")[0]
    if kind in _ARRAYS:
        from artifact_pipeline.rows.formats.arrays import count_rows

        with storage.opened(place) as file:
            return count_rows(place, file.file)
    if kind not in {"csv", "jsonl", "parquet", "arrow"}:
        return None
    source, keep = Source(place, place, form), tuple[str, ...]()
    if kind == "csv":  # whose reader wants at least one column
        with open_rows(source, Wanted.columns_alone(()), digest=False) as rows:
            keep = rows.left_out[:1]
    with open_rows(source, Wanted.columns_alone(keep), digest=False) as rows:
        return sum(batch.count for batch in rows.batches(0))


def _form(place: str) -> str | None:
    """What `predict` wrote there, by its first byte whatever its name is by now; None where that is nothing at all."""
    with storage.opened(place) as file:
        start = bytes(file.read_at(0, 4))
    if not start:
        return None
    return "parquet" if start == b"PAR1" else "jsonl" if start.startswith(b"{") else "csv"


def _lines(file: Opened) -> Iterator[bytes]:
    reader = io.BufferedReader(cast("io.RawIOBase", file.file), BLOCK)
    try:
        while line := reader.readline(_MAX_LINE + 1):
            if len(line) > _MAX_LINE:
                raise unreadable(file.place, f"has a line of more than {_MAX_LINE:,} bytes", rule="too-large")
            yield line
    finally:
        reader.detach()  # or it would close the file
