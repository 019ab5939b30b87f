"""Predictions: a verified artifact answers files of any size, and a receipt says what came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from artifact_pipeline import storage
from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import ConfigError, DataRejected, Problem
from artifact_pipeline.inference import receipt
from artifact_pipeline.inference.destination import STDOUT, Destination, destination
from artifact_pipeline.inference.receipt import Measured, Receipt
from artifact_pipeline.inference.scoring import Options, Scorer, refuse_formulas
from artifact_pipeline.inference.sheets import Sheet, input_of, sheet
from artifact_pipeline.inference.training_rows import TrainingRows, held_out_rows
from artifact_pipeline.rows.formats import open_rows
from artifact_pipeline.rows.sources import DIGITS, find_sources, places_of, readable
from artifact_pipeline.storage.outputs import Place, check_outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.verify import Verified
    from artifact_pipeline.inference.drift import Drift
    from artifact_pipeline.inference.receipt import Input, Learned, Output
    from artifact_pipeline.inference.tally import Tally
    from artifact_pipeline.rows.batches import Batch
    from artifact_pipeline.rows.sources import Source


@dataclass(frozen=True, slots=True)
class Predictions:
    """What came of a prediction.

    Attributes:
        receipt: what was read and written, by digests.
        tally: the counts behind it, with the first rows and the first mistakes.
        scores: figures by split, `all` the last; empty where no label came with the rows.
        drift: the verdict on drift, or None where nobody asked, or where these are the model's own rows.
        held_out: bool of shape (rows,), or None where these are not just the rows of the training file.
        left_out: columns of the input that were not used.
        already: parts that an earlier run had finished.
        notes: what is suspicious about the input, a sentence each.
    """

    receipt: Receipt
    tally: Tally
    scores: dict[str, Measured]
    drift: Drift | None
    held_out: NDArray[np.bool_] | None
    left_out: tuple[str, ...]
    already: int = 0
    notes: tuple[str, ...] = ()

    def split_of(self, row: int) -> str:
        """`held-out`, `training`, or `unknown`: the artifact holds one digest of all its rows, and none of each."""
        if self.held_out is None:
            return UNKNOWN
        return "held-out" if self.held_out[row] else "training"


UNKNOWN: Literal["unknown"] = "unknown"
"""Whether a row is new, or one that the model has seen, where these are not just the rows of its training file."""
OF_SPLIT: dict[str, Learned] = {"held-out": "none", "training": "all"}


def quietly(_rows: int, _share: float) -> None:
    """Tell nobody how far it is."""


def predict(
    artifact: Verified,
    inputs: Sequence[str] = (),
    *,
    to: str | Destination,
    options: Options | None = None,
    resume: bool = False,
    progress: Callable[[int, float], None] = quietly,
) -> Predictions:
    """Replay the golden rows, then answer rows into a file, or into a folder of parts.

    Args:
        artifact: the verified artifact.
        inputs: files, folders, patterns or URLs; none for the built-in digits.
        to: where the predictions go, a folder's name with a slash at its end.
        options: what is asked; its format is that of `to`.
        resume: go on with a folder of parts where an earlier run ended.
        progress: is told the rows of each batch, and the share of the input that has been read.

    Raises:
        ArtifactRejected: the golden answers differ here.
        ConfigError: an option does not fit the model or the output, or an output is an input.
        DataRejected: the rows cannot be read, or one is bad and bad rows are not set aside.
        StorageError: a file cannot be written; what stood there before still stands.
    """
    to = destination(to) if isinstance(to, str) else to
    options = options or Options()
    sources = find_sources(inputs) if inputs else [DIGITS]
    read = [*places_of(inputs, sources), Place("the artifact", str(artifact.folder), "folder")]
    check_outputs(read, to.places(quarantine=options.on_error == "quarantine"))
    if not to.folder:
        return predict_sources(artifact, sources, to=to, options=options, progress=progress)
    from artifact_pipeline.inference.folders import in_turn, predict_parts

    run = in_turn(progress)
    return predict_parts(artifact, sources, to=to, options=options, resume=resume, run=run)


def predict_sources(
    artifact: Verified,
    sources: Sequence[Source],
    *,
    to: Destination,
    options: Options,
    progress: Callable[[int, float], None] = quietly,
    stdout: BinaryIO | None = None,
) -> Predictions:
    """Answer sources into one file, or into standard output.

    Args:
        artifact: the verified artifact.
        sources: what has been found.
        to: where the predictions go, no folder.
        options: what is asked; its format is that of `to`.
        progress: as in `predict`, whose errors these are too.
        stdout: where `-` writes; rows that are written there cannot be taken back.
    """
    scorer = Scorer(artifact, options_for(options, to, sources))
    run = _Run(scorer, progress, len(sources))
    if to.place == STDOUT:
        assert stdout is not None
        if options.on_error == "quarantine":
            raise ConfigError("bad rows have no place beside standard output", hint="name a file: -o FILE")
        with Sheet(scorer, stdout, None) as filled:
            output, rejected = run.fill(filled, sources, "standard output")
    else:
        with sheet(scorer, to.place, to.rejected) as filled:
            output, rejected = run.fill(filled, sources, to.name)
    written = receipt_of(scorer, run.inputs, outputs=[output], rejected=_named(rejected, to), tally=run.tally)
    written = run.with_splits(written)
    if to.receipt is not None:
        storage.write(to.receipt, written.canonical())
    return run.outcome(written)


def options_for(options: Options, to: Destination, sources: Sequence[Source]) -> Options:
    """The options with what the output and the sources settle.

    Raises:
        ConfigError: a spreadsheet would run the name of a file, which stands in each of its rows.
    """
    several = len(sources) > 1
    names = [
        name for source in sources for name in (*([source.name] if several else []), *dict(source.members).values())
    ]
    refuse_formulas(names, to.form)
    untyped = any(source.format.startswith(("csv", "jsonl")) for source in sources)
    return replace(options, form=to.form, named=several, texts=several and untyped)


def _named(rejected: Output | None, to: Destination) -> Output | None:
    from msgspec import structs

    return structs.replace(rejected, name=readable(to.rejected.rsplit("/", 1)[-1])) if rejected is not None else None


class _Run:
    """One run over sources into one sheet."""

    def __init__(self, scorer: Scorer, progress: Callable[[int, float], None], sources: int) -> None:
        self.scorer, self._progress, self._count = scorer, progress, sources
        self.inputs: list[Input] = []
        self._left_out: dict[str, None] = {}
        self._notes: list[str] = []
        self._own = TrainingRows(scorer.artifact) if sources == 1 else None
        self.tally: Tally
        self._splits: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}

    def fill(self, into: Sheet, sources: Sequence[Source], name: str) -> tuple[Output, Output | None]:
        """Answer all rows of all sources."""
        for index, source in enumerate(sources):
            before = into.tally.read
            with open_rows(source, self.scorer.wanted(source)) as rows:
                self._left_out |= dict.fromkeys(rows.left_out)
                for batch in rows.batches(0):
                    scored = into.add(source, batch, self._extra(source, batch))
                    if self._own is not None:
                        self._own.add(scored)
                    self._progress(batch.count, (index + rows.done()) / self._count)
                digest = PREFIX + rows.digest()
                self._notes += rows.notes
            self.inputs.append(input_of(source, digest, into.tally.read - before))
        self.tally = into.tally
        refuse_nothing(self.tally, sources)
        self._splits = self._own.by_split() if self._own is not None else {}
        return into.close(name)

    def _extra(self, source: Source, batch: Batch) -> dict[str, Any]:
        """For the built-in digits: which of them were held out, and what they are."""
        import numpy as np

        if source.format != "digits":
            return {}
        artifact = self.scorer.artifact
        own = is_own_digits(artifact)
        split = np.where(held_out_rows(artifact), "held-out", "training") if own else np.full(batch.count, UNKNOWN)
        known = batch.actual is not None
        actual = np.array(self.scorer.classes)[batch.actual] if known else np.full(batch.count, "")
        return {"split": split, "actual": actual}

    def with_splits(self, written: Receipt) -> Receipt:
        """The receipt, which says that training rows are among those measured where that is known."""
        from msgspec import structs

        if written.metrics is None or not self._splits:
            return written
        return structs.replace(written, metrics=structs.replace(written.metrics, training_rows="some"))

    def outcome(self, written: Receipt) -> Predictions:
        """What the run tells."""
        from artifact_pipeline import metrics

        splits, classes = self._splits, len(self.scorer.classes)
        scores = {
            name: measured
            for name, pair in splits.items()
            if (measured := measure(metrics.confusion_matrix(*pair, classes), OF_SPLIT[name])) is not None
        }
        if written.metrics is not None:
            scores["all"] = written.metrics
        return Predictions(
            receipt=written,
            tally=self.tally,
            scores=scores,
            drift=None if splits else verdict(self.scorer, self.tally),
            held_out=held_out_rows(self.scorer.artifact) if splits else None,
            left_out=tuple(self._left_out),
            notes=tuple(self._notes),
        )


def is_own_digits(artifact: Verified) -> bool:
    """Whether the model was trained from the built-in digits."""
    from artifact_pipeline.rows.digits import load_digits

    return [source.digest for source in artifact.manifest.data.sources] == [load_digits().digest()]


def refuse_nothing(tally: Tally, sources: Sequence[Source]) -> None:
    """Refuse an input without a row.

    Raises:
        DataRejected: nothing was read.
    """
    if not tally.read:
        problem = Problem(sources[0].place, "no-rows", "holds no rows")
        raise DataRejected("there are no rows to predict", problems=[problem])


def verdict(scorer: Scorer, tally: Tally) -> Drift | None:
    """Judge what was counted; None where nobody asked."""
    from artifact_pipeline.inference import drift

    return None if tally.drift is None else drift.judge(scorer.reference, tally.drift, scorer.classes)


def measure(confusion: NDArray[np.int64], training_rows: Learned = UNKNOWN) -> Measured | None:
    """Figures from a confusion matrix, or None where no row had a label.

    Args:
        confusion: counts, a row for each actual class.
        training_rows: which of these rows the model has learned.
    """
    from artifact_pipeline import metrics

    if not confusion.sum():
        return None
    return Measured(
        rows=int(confusion.sum()),
        accuracy=metrics.accuracy(confusion),
        f1_weighted=float(metrics.weighted_f1(confusion)),
        confusion=tuple(map(tuple, confusion.tolist())),
        training_rows=training_rows,
    )


def receipt_of(
    scorer: Scorer,
    inputs: Sequence[Input],
    *,
    outputs: Sequence[Output],
    rejected: Output | None,
    tally: Tally,
    progress: dict[str, Any] | None = None,
) -> Receipt:
    """Write down what came of it.

    Args:
        scorer: what answered.
        inputs: what was read, as far as it has been read to its end.
        outputs: what was written.
        rejected: where the bad rows are.
        tally: the counts.
        progress: how to go on, where there is something left to do.
    """
    artifact, judged = scorer.artifact, verdict(scorer, tally)
    gate = receipt.gate_of(artifact)
    labels = zip(scorer.classes, tally.labels.tolist(), strict=True)
    return Receipt(
        format=1,
        complete=progress is None,
        artifact=artifact.digest,
        model=artifact.manifest.model.digest,
        gate=gate,
        failed_gate_accepted=gate != "passed",
        trust=artifact.trust,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        rejected=rejected,
        rows=receipt.Rows(
            read=tally.read,
            written=tally.written,
            rejected=tally.rejected,
            rules=dict(sorted(tally.rules.items())),
            out_of_range=tally.outside,
        ),
        labels=tuple(receipt.LabelCount(label=label, rows=count) for label, count in labels),
        metrics=measure(tally.confusion),
        drift=judged.plain() if judged is not None else None,
        environment=receipt.environment(),
        progress=progress,
    )
