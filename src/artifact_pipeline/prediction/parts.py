"""Writes a file of predictions and the file of its bad rows, and counts both; a part of a folder is such a file."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing, contextmanager
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self

from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.drift.histograms import Histograms
from artifact_pipeline.prediction.ahead import read_ahead
from artifact_pipeline.prediction.counts import MISTAKES, SAMPLES, PredictionCounts, Sample
from artifact_pipeline.prediction.hash_split import HELD_OUT_SIDE, TRAINING_SIDE, UNKNOWN_SIDE, side_names
from artifact_pipeline.prediction.receipt import Receipt
from artifact_pipeline.prediction.scoring import FILE, SPLIT, answer_names
from artifact_pipeline.prediction.writers import HashedFile, open_writer
from artifact_pipeline.rows.batches import CHUNK, UNLABELLED
from artifact_pipeline.rows.coded import coded
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.storage import places as storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.prediction.destination import Destination
    from artifact_pipeline.prediction.scoring import Scored, Scorer
    from artifact_pipeline.rows.batches import Batch, Rejected
    from artifact_pipeline.rows.sources import Source

    Progress = Callable[[int, float], None]

PART = 16 * CHUNK
"""Rows of the input in a part of a folder."""


def ignore_progress(_rows: int, _share: float) -> None:
    """Do nothing with the progress."""


class PredictionFile:
    """A file of predictions that is being written, and the file of its bad rows."""

    def __init__(self, scorer: Scorer, file: BinaryIO, rejected: BinaryIO | None) -> None:
        self._scorer = scorer
        self._file = HashedFile(file)
        self._rejected = HashedFile(rejected) if rejected is not None else None
        artifact = scorer.artifact.digest
        names = answer_names(scorer.classes, scorer.predictor.kind)
        self._writer = open_writer(scorer.options.form, self._file, names, artifact=artifact)
        self._counter = _Counter(scorer)
        self._with_split: bool | None = None  # the first batch decides

    @classmethod
    @contextmanager
    def staged(cls, scorer: Scorer, place: str, rejected: str) -> Iterator[PredictionFile]:
        """Open both files; they are renamed into their places, first that of the bad rows, if the block ends well.

        Raises:
            StorageError: one of them cannot be written.
        """
        with ExitStack() as stack:
            file = stack.enter_context(storage.staged(place))
            quarantine = scorer.options.on_error == "quarantine"
            bad = stack.enter_context(storage.staged(rejected)) if quarantine else None
            yield stack.enter_context(cls(scorer, file, bad))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._file.close()

    @property
    def counts(self) -> PredictionCounts:
        """The counts so far."""
        return self._counter.counts

    def add(self, source: Source, batch: Batch, extra: dict[str, Any]) -> Scored:
        """Answer a batch, and write the answers, with more columns in `extra`, and the bad rows.

        Raises:
            DataRejected: a row is bad, and bad rows are not to be set aside.
        """
        scored = self._scorer.score(batch)
        if scored.rejected:
            self._set_aside(source, scored.rejected)
        sides = self._sides(scored.batch)
        self._counter.add(scored, sides)
        names = self._scorer.columns(source, split=bool(self._with_split))
        constants = {FILE: source.name, **extra}
        if self._with_split and SPLIT not in extra:
            constants[SPLIT] = side_names(sides, len(scored.labels))
        columns = _columns(scored, names, constants, texts=self._scorer.options.texts)
        self._writer.write(columns, scored.probabilities)
        return scored

    def _sides(self, batch: Batch) -> NDArray[np.int8] | None:
        """On which side of a hash split each row is; None where that is unknown, or there are no labels."""
        split = self._scorer.split
        known = split is not None and batch.actual is not None and split.lacks(batch.kept) is None
        if self._with_split is None:
            self._with_split = known
        return split.sides(batch) if known and split is not None else None

    def _set_aside(self, source: Source, rejected: tuple[Rejected, ...]) -> None:
        if self._rejected is None:
            raise rejected[0].refusal(source.name, hint="mend it, or set bad rows aside: --on-error quarantine")
        for row in rejected:
            self._rejected.write(_rejected_line(source.name, row))

    def close(self, name: str) -> tuple[Receipt.Output, Receipt.Output | None]:
        """Write the end of the file, and return the receipt's entries for it and for the bad rows."""
        self._writer.close()
        counts, bad = self.counts, self._rejected
        output = Receipt.Output(name=name, size=self._file.size, sha256=self._file.digest(), rows=counts.written)
        if bad is None:
            return output, None
        return output, Receipt.Output(name=name, size=bad.size, sha256=bad.digest(), rows=counts.rejected)


class _Counter:
    """Counts scored batches."""

    def __init__(self, scorer: Scorer) -> None:
        self.counts = PredictionCounts.zero(scorer)
        self._classes = scorer.classes
        self._columns = scorer.artifact.manifest.model.columns
        self._histograms = Histograms(scorer.reference, scorer.predictor.dtype.name) if scorer.options.drift else None

    def add(self, scored: Scored, sides: NDArray[np.int8] | None) -> None:
        """Count a batch; `sides` are those of its rows, if they are known."""
        import numpy as np

        counts, batch = self.counts, scored.batch
        counts.read += batch.count
        counts.written += len(scored.labels)
        counts.outside += batch.outside
        counts.rules.update(each.rule for each in scored.rejected)
        counts.labels += np.bincount(scored.positions, minlength=len(counts.labels))
        if batch.actual is not None:
            self._compare(scored, batch.actual, sides)
        if self._histograms is not None and len(scored.labels):
            columns = coded(self._columns, batch.columns, batch.texts)
            self._histograms.add(columns, scored.positions, scored.confidence)
            counts.drift = self._histograms.counts()
        first = range(min(SAMPLES - len(counts.samples), len(scored.labels)))
        counts.samples += [self._sample(scored, position, sides) for position in first]

    def _compare(self, scored: Scored, actual: NDArray[np.int64], sides: NDArray[np.int8] | None) -> None:
        from artifact_pipeline.metrics import classification as metrics

        labelled = actual != UNLABELLED
        predicted = scored.positions[labelled]
        self.counts.confusion += metrics.confusion_matrix(actual[labelled], predicted, len(self.counts.labels))
        for side in (TRAINING_SIDE, HELD_OUT_SIDE) if sides is not None else ():
            own = labelled & (sides == side)
            matrix = metrics.confusion_matrix(actual[own], scored.positions[own], len(self.counts.labels))
            self.counts.sides[side] += matrix
        wrong = (labelled & (actual != scored.positions)).nonzero()[0]
        wanted = MISTAKES - len(self.counts.mistakes)
        self.counts.mistakes += [self._sample(scored, position, sides) for position in wrong[:wanted].tolist()]

    def _sample(self, scored: Scored, position: int, sides: NDArray[np.int8] | None) -> Sample:
        actual = scored.batch.actual
        known = actual is not None and actual[position] != UNLABELLED
        return Sample(
            row=int(scored.batch.numbers[position]),
            actual=self._classes[actual[position]] if actual is not None and known else "",
            predicted=self._classes[scored.positions[position]],
            probability=float(scored.confidence[position]),
            side=UNKNOWN_SIDE if sides is None else int(sides[position]),
        )


class Part(NamedTuple):
    """A finished part of a folder: its source, its number in it, the files that were written, and what was counted."""

    source: int
    number: int
    output: Receipt.Output
    rejected: Receipt.Output | None
    counts: PredictionCounts


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
        scorer: the model, and the options.
        to: the folder.
        source: the source's position among the sources, and the source.
        parts: the first part and the one after the last; None stands for the end of the source.
        done: called with each part whose file is in its place.
        progress: called with the rows of each batch, and the share of the source that has been read.

    Returns:
        The source's digest, or None where neither its first nor its last part was to be answered; and its stamp.

    Raises:
        DataRejected: the rows cannot be read.
        StorageError: a part cannot be written.
    """
    index, named = source
    first, whole = parts.start or 0, parts.stop is None
    digest = whole or first == 0
    with open_rows(named, scorer.wanted(named), digest=digest) as rows:
        # No batch beyond the last part is read.
        chunks = None if whole else (parts.stop - first) * (PART // scorer.wanted(named).chunk)
        with closing(read_ahead(named, rows, islice(rows.batches(first * PART), chunks))) as batches:
            for number, own in groupby(batches, key=lambda read: read[0].start // PART):
                name = to.part(index, number)
                with PredictionFile.staged(scorer, to.inside(name), to.piece(index, number)) as file:
                    for batch, share in own:
                        file.add(named, batch, {})
                        progress(batch.count, share)
                    output, rejected = file.close(name)
                done(Part(index, number, output, rejected, file.counts))
        return (PREFIX + rows.digest() if digest else None), rows.stamp


def _rejected_line(file: str, row: Rejected) -> bytes:
    """A bad row as a line of JSON: what is wrong, and the row as it was read."""
    line = {"file": file, "row": row.row, "column": row.column or None, "value": row.value, "rule": row.rule}
    record = row.record() if callable(row.record) else row.record
    return json.dumps({**line, "reason": row.message, "record": record}).encode() + b"\n"


def _columns(scored: Scored, names: list[str], constants: Mapping[str, Any], *, texts: bool) -> dict[str, Any]:
    """The columns of the answers, without probabilities, in their order: each an array, or one value for all rows."""
    batch = scored.batch
    kept = {name: column.cast("string") for name, column in batch.kept.items()} if texts else batch.kept
    there: dict[str, Any] = {"row": batch.numbers, "predicted": scored.labels, **kept, **constants}
    return {name: there[name] for name in names if name in there}
