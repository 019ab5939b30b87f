"""Predictions: a verified artifact answers files of any size, and a receipt says what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.plugins import data_set
from artifact_pipeline.prediction.destination import STDOUT, Destination, destination
from artifact_pipeline.prediction.outcome import (
    OF_SPLIT,
    UNKNOWN,
    Predictions,
    measure,
    options_for,
    quietly,
    receipt_of,
    refuse_nothing,
    verdict,
)
from artifact_pipeline.prediction.scoring import Options, Scorer
from artifact_pipeline.prediction.sheets import Sheet, input_of, sheet
from artifact_pipeline.prediction.training_rows import TrainingRows, held_out_rows
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.sources import built_in_source, find_sources, places_of, readable
from artifact_pipeline.storage import places as storage
from artifact_pipeline.storage.outputs import Place, check_outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.prediction.receipt import Input, Output, Receipt
    from artifact_pipeline.prediction.tally import Tally
    from artifact_pipeline.rows.batches import Batch
    from artifact_pipeline.rows.sources import Source


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
        inputs: files, folders, patterns or URLs; none for the built-in data set that has the model's columns.
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
    sources = find_sources(inputs) if inputs else [own_source(artifact)]
    read = [*places_of(inputs, sources), Place("the artifact", str(artifact.folder), "folder")]
    check_outputs(read, to.places(quarantine=options.on_error == "quarantine"))
    if not to.folder:
        return predict_sources(artifact, sources, to=to, options=options, progress=progress)
    from artifact_pipeline.prediction.folders import in_turn, predict_parts

    run = in_turn(progress)
    return predict_parts(artifact, sources, to=to, options=options, resume=resume, run=run)


def own_source(artifact: Verified) -> Source:
    """Return the built-in data set that has the model's columns.

    Raises:
        DataRejected: there is none.
    """
    return built_in_source([feature.name for feature in artifact.manifest.model.inputs])


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
        """For a built-in data set: which of its rows were held out, and their labels."""
        import numpy as np

        if not source.built_in:
            return {}
        artifact = self.scorer.artifact
        own = [each.digest for each in artifact.manifest.data.sources] == [data_set(source.format).digest]
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
        from artifact_pipeline.metrics import classification as metrics

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
