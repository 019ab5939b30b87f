"""A folder of parts: a prediction that can be killed and resumed.

A part is a million rows of one input. Its file is renamed into its place when it is whole, then the receipt names it.
So after a kill the receipt says which parts are done, and a part that is done again has the same bytes.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import convert

from artifact_pipeline.artifact.parts import Count
from artifact_pipeline.errors import ArtifactRejected, ConfigError
from artifact_pipeline.files import held, storage_error
from artifact_pipeline.prediction.counts import PredictionCounts
from artifact_pipeline.prediction.destination import PIECES
from artifact_pipeline.prediction.outcome import Predictions, receipt_of, scores_of_sides
from artifact_pipeline.prediction.parts import PART, Part, score_parts
from artifact_pipeline.prediction.receipt import MAX_BYTES, RULE, Receipt
from artifact_pipeline.prediction.writers import HashedFile
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.sources import STDIN, readable
from artifact_pipeline.storage import places as storage
from artifact_pipeline.storage.opened import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from artifact_pipeline.prediction.destination import Destination
    from artifact_pipeline.prediction.scoring import Scorer
    from artifact_pipeline.rows.sources import Source

    Key = tuple[int, int]


class _Finished(NamedTuple):
    """What the receipt says of a part: its file, the file of its bad rows, and how many rows of its input it read."""

    output: Receipt.Output
    rejected: Receipt.Output | None
    read: int


class _Opened(NamedTuple):
    """What is known of a source once it was opened; `total` is how many rows it has, where its format says it."""

    stamp: str
    total: int | None
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


_MAX_PARTS = 16_000
"""Parts, which can have 16 thousand million rows, at most: the receipt of more would be too large to be read."""
_SAVING = 10
"""Saving the receipt takes at most one part in so many of the time: a long receipt is not saved after each part."""
_BEGIN_AGAIN = "remove the folder and its receipt, and begin again"


def _check_part_count(parts: int) -> None:
    if parts > _MAX_PARTS:
        message = f"{parts:,} files or parts are too many for one folder; allowed are {_MAX_PARTS:,}"
        raise ConfigError(message, hint="predict them in several runs, or join small files: a part has a million rows")


class Ledger:
    """The parts of a folder that are done, as its receipt lists them; a part that it does not list is done again."""

    def __init__(self, scorer: Scorer, to: Destination, sources: Sequence[Source]) -> None:
        self.scorer, self.to, self.sources = scorer, to, sources
        self.parts: dict[Key, _Finished] = {}
        self.digests: dict[int, str] = {}
        self.counts = PredictionCounts.zero(scorer)
        self._unsaved, self._due = False, 0.0
        _check_part_count(len(sources))
        self.opened = self._open_all()
        _check_part_count(sum(-(-(opened.total or 1) // PART) for opened in self.opened))
        self._job = self._described()

    def _open_all(self) -> list[_Opened]:
        if not any(storage.is_url(source.place) for source in self.sources):
            return [self._open(source) for source in self.sources]
        from artifact_pipeline.storage.waiting import ask_several

        return ask_several(self._open, self.sources)

    def _open(self, source: Source) -> _Opened:
        if source.place == STDIN:  # which can be read but once
            return _Opened("", None)
        with open_rows(source, self.scorer.wanted(source), digest=False) as rows:
            return _Opened(rows.stamp, rows.total, rows.left_out, tuple(self.scorer.split_notes(rows)))

    def _described(self) -> dict[str, Any]:
        """What must be the same when the work is resumed: artifact, options, and the inputs with their stamps."""
        pairs = zip(self.sources, self.opened, strict=True)
        inputs = [[source.name, source.format, opened.stamp] for source, opened in pairs]
        options = {**asdict(self.scorer.options), "keep": list(self.scorer.options.keep)}
        return {"artifact": self.scorer.artifact.digest, "options": options, "inputs": inputs, "rows a part": PART}

    def add(self, part: Part) -> None:
        """Add a part whose file is in its place; a part that was added before, and done again, changes nothing."""
        key = (part.source, part.number)
        if key in self.parts:
            return
        self.parts[key] = _Finished(part.output, part.rejected, part.counts.read)
        self.counts += part.counts
        self._unsaved = True
        if time.monotonic() >= self._due:
            self.save()

    def flush(self) -> None:
        """Save the receipt if parts were added since it was saved."""
        if self._unsaved:
            self.save()

    def save(self) -> None:
        """Write the receipt of the parts that are done.

        Raises:
            StorageError: it cannot be written.
        """
        assert self.to.receipt is not None
        begun = time.monotonic()
        storage.write(self.to.receipt, self.receipt(self._progress()).canonical())
        self._unsaved, ended = False, time.monotonic()
        self._due = ended + (_SAVING - 1) * (ended - begun)

    def _progress(self) -> dict[str, Any]:
        return {
            "job": self._job,
            "parts": [
                [*key, part.output.plain(), part.rejected.plain() if part.rejected else None, part.read]
                for key, part in sorted(self.parts.items())
            ],
            "tally": self.counts.plain(),
        }

    def receipt(self, progress: dict[str, Any] | None, rejected: Receipt.Output | None = None) -> Receipt:
        """Return the receipt of the parts that are done."""
        rows = Counter[int]()
        for (index, _), part in self.parts.items():
            rows[index] += part.read
        return receipt_of(
            self.scorer,
            [
                Receipt.Input(name=source.name, format=source.format, sha256=self.digests[index], rows=rows[index])
                for index, source in enumerate(self.sources)
                if index in self.digests
            ],
            outputs=[part.output for _, part in sorted(self.parts.items())],
            rejected=rejected,
            counts=self.counts,
            progress=progress,
        )

    def resume(self, found: Receipt) -> None:
        """Take the finished parts from a receipt of the same work.

        Raises:
            ConfigError: it is of another artifact, of other options or of other inputs, or these may have changed.
            ArtifactRejected: its progress is not what `save` writes, or a part that it lists is not there.
        """
        progress = found.progress or {}
        job = progress.get("job")
        differing = [name for name, value in self._job.items() if not isinstance(job, dict) or job.get(name) != value]
        if differing:
            words = f"what was begun there had another {' and '.join(differing).replace('inputs', 'input')}"
            raise ConfigError(f"--resume: {words}", hint="name another folder, or give what was given then")
        names = {source.name: index for index, source in enumerate(self.sources)}
        if progress.get("parts") and any(source.place == STDIN for source in self.sources):
            words = "standard input may hold other rows than those of the parts that are done"
            raise ConfigError(f"--resume: {words}", hint="name another folder, or write the rows to a file first")
        try:
            parts = convert(progress["parts"], list[tuple[Count, Count, Receipt.Output, Receipt.Output | None, Count]])
            self.counts = PredictionCounts.from_plain(progress["tally"], self.scorer.reference)
            self.digests = {names[each.name]: each.sha256 for each in found.inputs}
        except (KeyError, ValueError) as error:
            message = f"{self.to.receipt} does not say how to go on: {error}"
            raise ArtifactRejected(message, hint=_BEGIN_AGAIN) from error
        for source, number, output, rejected, read in parts:
            if output.name != self.to.part(source, number):  # no other file is opened
                message = f"{self.to.receipt} does not say how to go on: {output.name!r:.80} is no part's name"
                raise ArtifactRejected(message, hint=_BEGIN_AGAIN)
            self._check(self.to.inside(output.name), output)
            if rejected is not None:
                self._check(self.to.piece(source, number), rejected)
            self.parts[source, number] = _Finished(output, rejected, read)

    def _check(self, place: str, recorded: Receipt.Output) -> None:
        with storage.opened(place) as file:
            if file.size != recorded.size:
                message = f"{place} has {file.size:,} bytes, the receipt says {recorded.size:,}"
                raise ArtifactRejected(message, hint=_BEGIN_AGAIN)

    def first_missing(self, index: int) -> int:
        """Return the number of the first part of a source that is not done."""
        number = 0
        while (index, number) in self.parts:
            number += 1
        return number

    def complete(self) -> Receipt:
        """Join the bad rows of all parts, write the receipt of complete work, and remove the files that were joined."""
        self.counts.refuse_no_rows(self.sources[0].place)
        rejected = self._join() if self.scorer.options.on_error == "quarantine" else None
        written = self.receipt(None, rejected)
        assert self.to.receipt is not None
        storage.write(self.to.receipt, written.canonical())
        _clear_pieces(self.to)
        return written

    def _join(self) -> Receipt.Output:
        with storage.staged(self.to.rejected) as file:
            joined = HashedFile(file)
            for key in sorted(self.parts):
                with storage.opened(self.to.piece(*key)) as piece:
                    while block := piece.file.read(BLOCK):
                        joined.write(block)
        name = readable(self.to.rejected.rsplit("/", 1)[-1])
        return Receipt.Output(name=name, size=joined.size, sha256=joined.digest(), rows=self.counts.rejected)


def _clear_pieces(to: Destination) -> None:
    """Remove the files of the parts' bad rows, which have been joined, and what a killed writer left beside them."""
    if storage.is_url(to.place):
        for each in storage.list_files(f"{to.place}/{PIECES}/"):
            storage.remove(each.url)
    elif (folder := Path(to.place, PIECES)).is_dir():
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def predict_parts(
    scorer: Scorer, sources: Sequence[Source], *, to: Destination, resume: bool, run: Callable[[Ledger], None]
) -> Predictions:
    """Answer rows into a folder of parts.

    Args:
        scorer: what answers; the format of its options is that of `to`.
        sources: what to read.
        to: the folder.
        resume: go on where an earlier run ended.
        run: answers the parts that are missing, and adds each to the ledger.

    Raises:
        ConfigError: the folder is not empty, or what was begun there is other work.
        ArtifactRejected: the files of the parts that are done are not those of the receipt.
        DataRejected: the rows cannot be read, or one is bad and bad rows are not set aside.
        StorageError: a part cannot be written, or another run is writing into the folder.
    """
    ledger = Ledger(scorer, to, sources)
    assert to.receipt is not None
    with _held(to):
        found = storage.read(to.receipt, MAX_BYTES)
        begun = Receipt.parse(found, place=to.receipt, rule=RULE) if found is not None else None
        _check_folder(to, begun, resume=resume)
        if begun is not None and resume and begun.complete:
            return _already(ledger, begun)
        if begun is not None and resume:
            ledger.resume(begun)
        else:
            ledger.save()  # before the first part, so that no file in the folder is without a receipt
        already = len(ledger.parts)
        try:
            run(ledger)
        finally:
            ledger.flush()
        written = ledger.complete()
    return _outcome(ledger, written, already)


@contextmanager
def _held(to: Destination) -> Iterator[None]:
    """Make the folder, and lock it for the block: two runs into one folder would mix their parts."""
    if storage.is_url(to.place):
        yield
        return
    folder = Path(to.place)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(folder, error) from error
    with held(folder):
        yield


def _check_folder(to: Destination, begun: Receipt | None, *, resume: bool) -> None:
    """Refuse a folder that holds anything else than this work, and make the folder of bad rows."""
    hint = "--resume goes on with what was begun there; or name another folder"
    if storage.is_url(to.place):
        there = bool(storage.list_files(f"{to.place}/"))
    else:
        there = any(each.name != PIECES for each in Path(to.place).iterdir())
    if there and (begun is None or not resume):
        raise ConfigError(f"there is something in {to.place} already", hint=hint)
    if not storage.is_url(to.place):
        try:
            Path(to.place, PIECES).mkdir(exist_ok=True)
        except OSError as error:
            raise storage_error(Path(to.place), error) from error


def _already(ledger: Ledger, begun: Receipt) -> Predictions:
    if begun.artifact != ledger.scorer.artifact.digest:
        raise ConfigError("--resume: what stands there is of another artifact", hint="name another folder")
    if [each.name for each in begun.inputs] != [source.name for source in ledger.sources]:
        raise ConfigError("--resume: what stands there is of other inputs", hint="name another folder")
    _clear_pieces(ledger.to)
    return Predictions(ledger.to, begun, ledger.counts, {}, None, None, (), already=len(begun.outputs))


def _outcome(ledger: Ledger, written: Receipt, already: int) -> Predictions:
    return Predictions(
        destination=ledger.to,
        receipt=written,
        counts=ledger.counts,
        scores={**scores_of_sides(ledger.counts), "all": written.metrics} if written.metrics is not None else {},
        drift=ledger.counts.judged(ledger.scorer),
        held_out=None,
        left_out=tuple(dict.fromkeys(name for opened in ledger.opened for name in opened.left_out)),
        already=already,
        notes=tuple(note for opened in ledger.opened for note in opened.notes),
    )


def answer_parts(ledger: Ledger, progress: Callable[[int, float], None]) -> None:
    """Answer the missing parts in this process, source by source."""
    count = len(ledger.sources)
    for index, source in enumerate(ledger.sources):

        def _progress(rows: int, share: float, index: int = index) -> None:
            progress(rows, (index + share) / count)

        missing = slice(ledger.first_missing(index), None)
        digest, _ = score_parts(
            ledger.scorer, ledger.to, (index, source), parts=missing, done=ledger.add, progress=_progress
        )
        assert digest is not None
        ledger.digests[index] = digest
