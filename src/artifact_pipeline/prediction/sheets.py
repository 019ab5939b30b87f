"""A sheet: one file of predictions while it is written, with the bad rows beside it and everything counted."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self

from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.prediction.receipt import Input, Output
from artifact_pipeline.prediction.scoring import FILE, output_columns
from artifact_pipeline.prediction.tally import Counting, Tally
from artifact_pipeline.prediction.writers import Hashed, open_writer, rejected_line
from artifact_pipeline.rows.batches import CHUNK
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.storage import places as storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from artifact_pipeline.prediction.destination import Destination
    from artifact_pipeline.prediction.scoring import Scored, Scorer
    from artifact_pipeline.rows.batches import Batch, Rejected
    from artifact_pipeline.rows.sources import Source

    Progress = Callable[[int, float], None]

PART = 16 * CHUNK
"""Rows of the input that make a part of a folder."""


def ignore_progress(_rows: int, _share: float) -> None:
    """Do nothing, where a caller does not want to know how far the work is."""


class Sheet:
    """One file of predictions that is being written."""

    def __init__(self, scorer: Scorer, file: BinaryIO, rejected: BinaryIO | None) -> None:
        self._scorer = scorer
        self._file = Hashed(file)
        self._rejected = Hashed(rejected) if rejected is not None else None
        artifact = scorer.artifact.digest
        self._writer = open_writer(scorer.options.form, self._file, scorer.classes, artifact=artifact)
        self._counting = Counting(scorer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._file.close()

    @property
    def tally(self) -> Tally:
        """What was counted so far."""
        return self._counting.tally

    def add(self, source: Source, batch: Batch, extra: dict[str, Any]) -> Scored:
        """Answer a batch and write what came of it.

        Args:
            source: where the batch is from.
            batch: the rows.
            extra: columns for all of its rows that are known without the model.

        Raises:
            DataRejected: a row is bad, and bad rows are not to be set aside.
        """
        scored = self._scorer.score(batch)
        if scored.rejected:
            self._set_aside(source, scored.rejected)
        self._counting.add(scored)
        names = self._scorer.columns(source)
        columns = output_columns(scored, names, {FILE: source.name, **extra}, texts=self._scorer.options.texts)
        self._writer.write(columns, scored.probabilities)
        return scored

    def _set_aside(self, source: Source, rejected: tuple[Rejected, ...]) -> None:
        if self._rejected is None:
            raise rejected[0].refusal(source.name, hint="mend it, or set bad rows aside: --on-error quarantine")
        for row in rejected:
            self._rejected.write(rejected_line(source.name, row))

    def close(self, name: str) -> tuple[Output, Output | None]:
        """Write the end; what the receipt says of the file, and of the bad rows."""
        self._writer.close()
        tally, bad = self.tally, self._rejected
        output = Output(name=name, size=self._file.size, sha256=self._file.digest(), rows=tally.written)
        if bad is None:
            return output, None
        return output, Output(name=name, size=bad.size, sha256=bad.digest(), rows=tally.rejected)


@contextmanager
def sheet(scorer: Scorer, place: str, rejected: str) -> Iterator[Sheet]:
    """A sheet that takes its place if the block ends well, its bad rows first; or neither does.

    Raises:
        StorageError: one of them cannot be written.
    """
    with ExitStack() as stack:
        file = stack.enter_context(storage.staged(place))
        quarantine = scorer.options.on_error == "quarantine"
        bad = stack.enter_context(storage.staged(rejected)) if quarantine else None
        yield stack.enter_context(Sheet(scorer, file, bad))


class Part(NamedTuple):
    """A finished part of a folder: of which source, the how manieth, what was written, and its tally."""

    source: int
    number: int
    output: Output
    rejected: Output | None
    tally: Tally


def score_parts(
    scorer: Scorer,
    to: Destination,
    source: tuple[int, Source],
    *,
    parts: slice,
    done: Callable[[Part], None],
    progress: Progress,
) -> tuple[str | None, str]:
    """Answer parts of a source, one after the other.

    Args:
        scorer: what answers.
        to: the folder.
        source: its position among the sources, and itself.
        parts: the first part and the one after the last; None stands for the end of the source.
        done: is told each part that has its place.
        progress: is told the rows that were read and the share of the source.

    Returns:
        The source's digest, where its end was reached and its beginning asked for, and its stamp.

    Raises:
        DataRejected: the rows cannot be read.
        StorageError: a part cannot be written.
    """
    index, named = source
    first, whole = parts.start or 0, parts.stop is None
    digest = whole or first == 0
    with open_rows(named, scorer.wanted(named), digest=digest) as rows:
        # Batches, not one of which too many is read.
        chunks = None if whole else (parts.stop - first) * (PART // scorer.wanted(named).chunk)
        for number, batches in groupby(
            islice(rows.batches(first * PART), chunks), key=lambda batch: batch.start // PART
        ):
            name = to.part(index, number)
            with sheet(scorer, to.inside(name), to.piece(index, number)) as open_sheet:
                for batch in batches:
                    open_sheet.add(named, batch, {})
                    progress(batch.count, rows.done())
                output, rejected = open_sheet.close(name)
            done(Part(index, number, output, rejected, open_sheet.tally))
        return (PREFIX + rows.digest() if digest else None), rows.stamp


def input_of(source: Source, digest: str, rows: int) -> Input:
    """What the receipt says of a source."""
    return Input(name=source.name, format=source.format, sha256=digest, rows=rows)
