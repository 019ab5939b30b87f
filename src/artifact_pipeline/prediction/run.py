"""A prediction from its inputs to its receipt, and what is refused before a row is read.

The order: the name of the output is read; the inputs are found; an output that is an input is refused; the artifact is
verified and its golden rows are replayed; the rows are answered; the receipt is written; the drift is judged.
"""

from __future__ import annotations

import os
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypedDict

from artifact_pipeline.artifact.pointer import artifact_places, resolve
from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import ConfigError, DriftFound, Problem, plural
from artifact_pipeline.files import check_writable
from artifact_pipeline.plugins import data_set
from artifact_pipeline.prediction.ahead import read_ahead
from artifact_pipeline.prediction.destination import STDOUT, Destination
from artifact_pipeline.prediction.hash_split import side_names
from artifact_pipeline.prediction.outcome import LEARNED, Predictions, receipt_of, scores_of_sides
from artifact_pipeline.prediction.parts import PredictionFile, ignore_progress
from artifact_pipeline.prediction.receipt import Receipt
from artifact_pipeline.prediction.scoring import Options, Scorer, refuse_formulas
from artifact_pipeline.prediction.training_rows import TrainingRows
from artifact_pipeline.registry import remote
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.sources import built_in_source, find_sources, places_of, readable
from artifact_pipeline.storage import places as storage
from artifact_pipeline.storage.outputs import Place, check_outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.prediction.counts import PredictionCounts
    from artifact_pipeline.prediction.parts import Progress
    from artifact_pipeline.prediction.receipt import Learned
    from artifact_pipeline.rows.batches import Batch
    from artifact_pipeline.rows.sources import Source
    from artifact_pipeline.trust.policy import Trust


@dataclass(frozen=True, slots=True)
class PredictionRequest:
    """The arguments of a prediction.

    Attributes:
        artifact: a pointer, an artifact's folder, a place in a registry, or a verified artifact.
        inputs: files, folders, patterns, URLs, or `-` for standard input; none for the built-in data set that has the
            model's columns.
        output: a file, a folder of parts (with a slash at its end), a URL, or `-` for standard output.
        keep: columns of the input that are copied to the output.
        on_error: stop at the first bad row, or set bad rows aside and continue.
        out_of_range: what is done about rows with a value beyond the trained range and its margin.
        drift: whether the rows are compared with the training data.
        input_format: the format of all inputs; None takes that of each name.
        output_format: `csv`, `parquet` or `jsonl`; None takes that of the output's name.
        receipt: where the receipt is written; None puts it beside the output.
        resume: continue an earlier run into a folder of parts.
        workers: how many processes answer the parts of a folder; None answers in this process.
        scheduler: the address of a Dask cluster that answers them, such as `tcp://host:8786`.
        stdout: the stream to which an output of `-` is written.
        fail_on_drift: whether drift is an error, once all is written.
        expect: the digest that the artifact must have.
        accept_failed_gate: whether to use a model whose gate is missing or failed.
        trust: the caller's policy; None trusts any artifact that is whole.
        read: what the caller reads beside the inputs; no output may replace it.
        outputs: what the caller writes beside the output.
    """

    artifact: Path | str | Verified
    inputs: tuple[str, ...] = ()
    output: str = "predictions.csv"
    keep: tuple[str, ...] = ()
    on_error: Literal["stop", "quarantine"] = "stop"
    out_of_range: Literal["warn", "reject", "ignore"] = "warn"
    drift: bool = True
    input_format: str | None = None
    output_format: str | None = None
    receipt: str | None = None
    resume: bool = False
    workers: int | None = None
    scheduler: str | None = None
    stdout: BinaryIO | None = None
    fail_on_drift: bool = False
    expect: str | None = None
    accept_failed_gate: bool = False
    trust: Trust | None = None
    read: tuple[Place, ...] = ()
    outputs: tuple[Place, ...] = ()


class PredictionOptions(TypedDict, total=False):
    """What `artifact_pipeline.predict_files` takes by name; `PredictionRequest` describes each.

    `workers` and `scheduler` need the extra `scale`.
    """

    on_error: Literal["stop", "quarantine"]
    out_of_range: Literal["warn", "reject", "ignore"]
    drift: bool
    fail_on_drift: bool
    resume: bool
    workers: int | None
    scheduler: str | None


@dataclass(frozen=True, slots=True)
class PredictionObserver:
    """The functions that are called while a prediction runs; by default none.

    Attributes:
        verified: called with the artifact, before the first row is read.
        progress: returns the context in which the work is done; it gives a function that is called with the rows of
            each batch, and the share of the input that has been read.
    """

    verified: Callable[[Verified], object] = lambda _: None
    progress: Callable[[], AbstractContextManager[Progress]] = lambda: nullcontext(ignore_progress)


SILENT = PredictionObserver()


def predict(request: PredictionRequest, observer: PredictionObserver = SILENT) -> Predictions:
    """Verify the artifact, replay its golden rows, and answer rows into a file, a folder of parts or standard output.

    Args:
        request: its arguments.
        observer: the functions that are called meanwhile.

    Raises:
        ArtifactRejected: the artifact is not what it claims to be or not trusted, or its golden answers differ here.
        ConfigError: an option does not fit the model or the output, or an output is an input.
        DataRejected: the rows cannot be read, or one is bad and bad rows are not set aside.
        DriftFound: the rows have drifted, and that is an error; its `result` is the predictions, which are written.
        StorageError: a file cannot be written; what stood there before still stands.
    """
    to = _destination(request)
    if isinstance(request.artifact, Path):
        resolve(request.artifact)  # a missing artifact is the first thing to report
    sources = find_sources(request.inputs, request.input_format) if request.inputs else []
    read = [*places_of(request.inputs, sources), *_artifact_places(request.artifact), *request.read]
    check_outputs(read, [*to.places(quarantine=request.on_error == "quarantine"), *request.outputs])
    artifact = _verified(request)
    observer.verified(artifact)
    sources = sources or [built_in_source([each.name for each in artifact.manifest.model.inputs])]
    with observer.progress() as progress:
        scorer = Scorer(artifact, _options(request, to, sources))
        predictions = _answer(request, scorer, sources, to, progress=progress)
    if request.fail_on_drift and predictions.drift is not None and predictions.drift.drifted:
        raise _drifted(predictions)
    return predictions


def _destination(request: PredictionRequest) -> Destination:
    place = request.output
    if place != STDOUT and not storage.is_url(place):
        check_writable(Path(place), folder=place.endswith("/") or os.path.isdir(place))  # noqa: PTH112 - no error
    to = Destination.of(place, to=request.output_format, receipt=request.receipt)
    if not to.folder and (request.scheduler or request.workers):
        raise ConfigError("a cluster writes a folder of parts", hint="name one: -o predictions/")
    if request.scheduler is not None and request.workers is not None:
        raise ConfigError("--scheduler and --workers: a cluster that is there has its workers", hint="leave one out")
    if to.place == STDOUT and request.on_error == "quarantine":
        raise ConfigError("bad rows have no place beside standard output", hint="name a file: -o FILE")
    return to


def _options(request: PredictionRequest, to: Destination, sources: Sequence[Source]) -> Options:
    """The options of the request, with what follows from the output and the sources.

    Raises:
        ConfigError: a spreadsheet would run the name of a file, which is written in each of its rows.
    """
    several = len(sources) > 1
    names = [source.name for source in sources] if several else []
    refuse_formulas([*names, *(name for source in sources for _, name in source.members)], to.form)
    untyped = any(source.format.startswith(("csv", "jsonl")) for source in sources)
    return Options(
        request.keep,
        request.on_error,
        request.out_of_range,
        request.drift,
        form=to.form,
        named=several,
        texts=several and untyped,
    )


def _artifact_places(artifact: Path | str | Verified) -> Iterator[Place]:
    place = artifact if isinstance(artifact, Path | str) else artifact.place
    return artifact_places(place)


def _verified(request: PredictionRequest) -> Verified:
    if not isinstance(request.artifact, Path | str):
        return request.artifact
    return remote.verify(
        request.artifact, expect=request.expect, accept_failed_gate=request.accept_failed_gate, trust=request.trust
    )


def _answer(
    request: PredictionRequest, scorer: Scorer, sources: Sequence[Source], to: Destination, *, progress: Progress
) -> Predictions:
    if not to.folder:
        return _FileRun(scorer, progress, sources).write(to, request.stdout)
    from artifact_pipeline.prediction.folders import answer_parts, predict_parts

    run = partial(answer_parts, progress=progress)
    if request.scheduler or request.workers:
        from artifact_pipeline.prediction.cluster import answer_parts_on_cluster

        run = partial(answer_parts_on_cluster, progress=progress, scheduler=request.scheduler, workers=request.workers)
    return predict_parts(scorer, sources, to=to, resume=request.resume, run=run)


def _drifted(predictions: Predictions) -> DriftFound:
    assert predictions.drift is not None
    drifted, tested = predictions.drift.drifted, predictions.drift.tested
    error = DriftFound(
        f"the rows have drifted in {len(drifted)} of {plural(tested, 'respect')}",
        problems=[Problem(each.name, f"drift-{each.rule}", each.change) for each in drifted[:10]],
        hint="the predictions are written all the same; look at the rows, or train again",
    )
    error.result = predictions
    return error


class _FileRun:
    """A prediction into one file, or to standard output."""

    def __init__(self, scorer: Scorer, progress: Progress, sources: Sequence[Source]) -> None:
        self._scorer, self._progress, self._sources = scorer, progress, sources
        self._inputs: list[Receipt.Input] = []
        self._left_out: dict[str, None] = {}
        self._notes: list[str] = []
        self._training_rows = TrainingRows(scorer.artifact) if len(sources) == 1 else None
        self._splits: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}

    def write(self, to: Destination, stdout: BinaryIO | None) -> Predictions:
        """Answer all rows; after an error, what was written to standard output stays."""
        if to.place == STDOUT:
            assert stdout is not None
            with PredictionFile(self._scorer, stdout, None) as filled:
                output, rejected = self._fill(filled, "standard output")
        else:
            with PredictionFile.staged(self._scorer, to.place, to.rejected) as filled:
                output, rejected = self._fill(filled, to.name)
        receipt = self._receipt(to, output, rejected, filled.counts)
        if to.receipt is not None:
            storage.write(to.receipt, receipt.canonical())
        return self._predictions(to, receipt, filled.counts)

    def _fill(self, into: PredictionFile, name: str) -> tuple[Receipt.Output, Receipt.Output | None]:
        for index, source in enumerate(self._sources):
            before = into.counts.read
            with open_rows(source, self._scorer.wanted(source)) as rows:
                self._left_out |= dict.fromkeys(rows.left_out)
                self._notes += self._scorer.split_notes(rows)
                with closing(read_ahead(source, rows, rows.batches(0))) as batches:
                    for batch, share in batches:
                        scored = into.add(source, batch, self._extra(source, batch))
                        if self._training_rows is not None:
                            self._training_rows.add(scored)
                        self._progress(batch.count, (index + share) / len(self._sources))
                digest = PREFIX + rows.digest()
                self._notes += rows.notes
            rows_read = into.counts.read - before
            self._inputs.append(Receipt.Input(name=source.name, format=source.format, sha256=digest, rows=rows_read))
        into.counts.refuse_no_rows(self._sources[0].place)
        self._splits = self._training_rows.by_split() if self._training_rows is not None else {}
        return into.close(name)

    def _extra(self, source: Source, batch: Batch) -> dict[str, Any]:
        """The columns `split` and `actual` of a built-in data set; none of any other source."""
        import numpy as np

        if not source.built_in or self._training_rows is None:
            return {}
        artifact = self._scorer.artifact
        own = [each.digest for each in artifact.manifest.data.split_sources] == [data_set(source.format).digest]
        split = side_names(self._training_rows.held_out()[: batch.count].astype(np.int8) if own else None, batch.count)
        known = batch.actual is not None
        actual = np.array(self._scorer.classes)[batch.actual] if known else np.full(batch.count, "")
        return {"split": split, "actual": actual}

    def _receipt(
        self, to: Destination, output: Receipt.Output, rejected: Receipt.Output | None, counts: PredictionCounts
    ) -> Receipt:
        from msgspec import structs

        if rejected is not None:
            rejected = structs.replace(rejected, name=readable(to.rejected.rsplit("/", 1)[-1]))
        receipt = receipt_of(self._scorer, self._inputs, outputs=[output], rejected=rejected, counts=counts)
        if receipt.metrics is None or not self._splits:
            return receipt
        # These are exactly the rows of a file of the training, so it is known which of them the model has learned.
        held_out, training = (len(self._splits[name][0]) for name in LEARNED)
        learned: Learned = "some" if held_out and training else "all" if training else "none"
        return structs.replace(receipt, metrics=structs.replace(receipt.metrics, training_rows=learned))

    def _predictions(self, to: Destination, receipt: Receipt, counts: PredictionCounts) -> Predictions:
        from artifact_pipeline.metrics import classification as metrics

        splits, classes = self._splits, len(self._scorer.classes)
        scores = {
            name: measured
            for name, pair in splits.items()
            if (measured := Receipt.Measured.of(metrics.confusion_matrix(*pair, classes), LEARNED[name])) is not None
        }
        scores = scores or scores_of_sides(counts)
        if receipt.metrics is not None:
            scores["all"] = receipt.metrics
        return Predictions(
            destination=to,
            receipt=receipt,
            counts=counts,
            scores=scores,
            drift=None if splits and len(splits["training"][0]) else counts.judged(self._scorer),
            held_out=self._training_rows.held_out() if splits and self._training_rows is not None else None,
            left_out=tuple(self._left_out),
            notes=tuple(self._notes),
        )
