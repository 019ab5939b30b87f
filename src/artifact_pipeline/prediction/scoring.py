"""Scoring: a verified artifact answers batches, in calls of the same size whatever is read, cut or resumed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from artifact_pipeline.artifact.manifest2 import Manifest2
from artifact_pipeline.artifact.reference import Reference
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.model.predictor import open_predictor
from artifact_pipeline.prediction.hash_split import HashSplit
from artifact_pipeline.rows.batches import Rejected, Wanted
from artifact_pipeline.rows.columns import FORMULA

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.model.predictor import AnswerKind, Predictor
    from artifact_pipeline.rows.batches import Batch
    from artifact_pipeline.rows.formats.opening import Reader
    from artifact_pipeline.rows.sources import Source

_RANGE_MARGIN = 0.5
"""How far beyond the trained range a value may be, as a share of that range, where the recipe does not say."""
_BLOCK_COLUMNS = 32
"""Columns that are transposed together: the values of one call then fit into the processor's cache."""
_PADDING = 16
"""Values between two columns of the block: at the distance of a power of two, all would share a few lines of cache."""
FILE, IMAGE, SPLIT = "file", "image", "split"
"""The columns of a row's file, of its picture, and of its side of the split."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a prediction that decide what is written; the first four are those of a `PredictionRequest`.

    Attributes:
        form: the format of the output.
        named: whether a column names the file of each row.
        texts: whether kept columns are written as text, since not every input has types.
    """

    keep: tuple[str, ...] = ()
    on_error: Literal["stop", "quarantine"] = "stop"
    out_of_range: Literal["warn", "reject", "ignore"] = "warn"
    drift: bool = True
    form: Literal["parquet", "csv", "jsonl"] = "csv"
    named: bool = False
    texts: bool = False


@dataclass(frozen=True, slots=True)
class Scored:
    """The answers to a batch.

    Attributes:
        batch: the rows that were answered.
        labels: the predicted labels, of shape (rows,).
        positions: their positions in the model's classes, int64 of shape (rows,).
        probabilities: float64 of shape (classes, rows), as they are written; or the scores of a model without them.
        rejected: the rows of the batch that were not answered.
        kind: whether there are probabilities or scores.
    """

    batch: Batch
    labels: NDArray[Any]
    positions: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    rejected: tuple[Rejected, ...]
    kind: AnswerKind = "probabilities"

    @property
    def confidence(self) -> NDArray[np.float64]:
        """The highest probability of each row, of shape (rows,); 0 where the model gives none."""
        import numpy as np

        if self.kind == "probabilities":
            highest: NDArray[np.float64] = self.probabilities.max(axis=0)
            return highest
        return np.zeros(len(self.labels))


class BatchPredictor:
    """An open predictor that answers batches, in calls of the same size for every caller."""

    def __init__(self, predictor: Predictor) -> None:
        import numpy as np

        self._predictor = predictor
        # One piece of memory for the rows of all calls, since the system clears new memory first.
        self._rows = np.empty((predictor.rows, predictor.features), dtype=predictor.dtype)
        width = min(_BLOCK_COLUMNS, predictor.features)
        self._block = np.empty((width, predictor.rows + _PADDING), dtype=predictor.dtype)

    def score(self, batch: Batch) -> Scored:
        """Answer a batch; rows with values so large that the answers are no numbers are added to the bad rows."""
        import numpy as np

        labels, probabilities = self._answers(batch)
        rejected = batch.rejected
        # Either all probabilities of a row are numbers or none, since each is divided by their sum. Scores differ.
        deciding = probabilities[:1] if self._predictor.kind == "probabilities" else probabilities
        good: NDArray[np.bool_] = np.asarray(np.isfinite(deciding).all(axis=0))
        if not good.all():
            message = "the values are too large for the model to answer"
            large = [Rejected(int(row), "", "", "not-finite", message, "") for row in batch.numbers[~good]]
            batch, labels, probabilities = _take(batch, good), labels[good], probabilities[:, good]
            rejected = tuple(sorted([*rejected, *large]))
        positions = self._predictor.positions(labels)
        return Scored(batch, labels, positions, probabilities, rejected, self._predictor.kind)

    def _answers(self, batch: Batch) -> tuple[NDArray[Any], NDArray[np.float64]]:
        import numpy as np

        count, columns, predictor = len(batch.numbers), batch.columns, self._predictor
        labels = np.empty(count, dtype=predictor.classes.dtype)
        probabilities = np.empty((len(predictor.classes), count))
        for start in range(0, count, predictor.rows):
            end = min(start + predictor.rows, count)
            rows = self._rows[: end - start]
            self._fill(rows, columns, start)
            labels[start:end], shares = predictor.answer(rows, self._texts(batch, start, end))
            probabilities[:, start:end] = shares.T
        return labels, probabilities

    def _fill(self, rows: NDArray[Any], columns: Sequence[NDArray[Any]], start: int) -> None:
        """Copy the values of columns, from `start` on, into rows.

        Some columns at a time are copied into a block, which is transposed into the rows. That takes half as long as a
        copy of each column into the rows, where each of its values is in another line of the cache.
        """
        count = len(rows)
        for first in range(0, len(columns), _BLOCK_COLUMNS):
            some = columns[first : first + _BLOCK_COLUMNS]
            for values, column in zip(self._block, some, strict=False):
                values[:count] = column[start : start + count]
            rows[:, first : first + len(some)] = self._block[: len(some), :count].T

    @staticmethod
    def _texts(batch: Batch, start: int, end: int) -> NDArray[Any] | None:
        import numpy as np

        return np.stack([column[start:end] for column in batch.texts], axis=1) if batch.texts else None


class Scorer:
    """A verified artifact that answers the rows of files, and says which of their columns it reads."""

    def __init__(self, artifact: Verified, options: Options, predictor: Predictor | None = None) -> None:
        """Open the predictor and replay the golden rows, unless the caller has done so.

        Raises:
            ArtifactRejected: the runtime refuses the model, or the golden answers differ.
            ConfigError: a kept column has the name of one that is written anyway, or a spreadsheet would run a label.
        """
        self.artifact, self.options = artifact, options
        self.predictor = open_predictor(artifact) if predictor is None else predictor
        self.reference = Reference.read(artifact.role("reference"))
        self._low, self._high = self._bounds()
        self.split = HashSplit.of(artifact.manifest)
        self._batch_predictor = BatchPredictor(self.predictor)
        self._check_names()

    def _bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        import numpy as np

        margin = float(self.artifact.manifest.recipe.get("range_margin", _RANGE_MARGIN))
        low, high = (np.array([getattr(each, end) for each in self.reference.features]) for end in ("low", "high"))
        margins = margin * (high - low)
        for place, column in enumerate(self.artifact.manifest.model.columns):
            margins[place] = np.inf if column.kind == "category" else margins[place]
        return low - margins, high + margins

    @property
    def classes(self) -> tuple[int | str, ...]:
        """The model's classes, in its order."""
        return self.artifact.manifest.model.classes

    def columns(self, source: Source, *, split: bool = False) -> list[str]:
        """Return the columns that are written for a source, in their order.

        Args:
            source: where the rows are from.
            split: whether there is a column of the side of the split.
        """
        extra = [SPLIT, "actual"] if source.built_in else [*([SPLIT] if split else []), *self.wanted(source).keep]
        named = [FILE] if self.options.named else []
        return ["row", *named, *extra, "predicted", *answer_names(self.classes, self.predictor.kind)]

    def wanted(self, source: Source) -> Wanted:
        """Return what is read of a source."""
        manifest, keep = self.artifact.manifest, self.options.keep
        return Wanted(
            features=tuple(feature.name for feature in manifest.model.inputs),
            dtype=manifest.model.dtype,
            target=manifest.data.target,
            classes=manifest.model.classes,
            keep=tuple(dict.fromkeys([IMAGE, *keep])) if source.format == "image" else keep,
            low=self._low,
            high=self._high,
            out_of_range=self.options.out_of_range,
            formulas=self.options.form != "csv",
            kinds=tuple(each.kind for each in manifest.model.columns if each.kind != "category"),
            columns=manifest.model.columns if isinstance(manifest, Manifest2) else None,
            keys=() if self.split is None else self.split.key,
        )

    def split_notes(self, rows: Reader) -> list[str]:
        """Return a sentence where a labelled file lacks a column of the split's key, so that its sides are unknown."""
        if self.split is None or not self.split.key or self.artifact.manifest.data.target not in rows.names:
            return []
        lacking = self.split.lacks({*rows.names, *rows.partitions})
        if lacking is None:
            return []
        return [f"{rows.place} has no column {lacking!r}, by which training rows were told from held-out ones"]

    def _check_names(self) -> None:
        split = [] if self.split is None else [SPLIT]
        written = {"row", FILE, *split, "predicted", *answer_names(self.classes, self.predictor.kind)}
        taken = [name for name in self.options.keep if name in written]
        if taken or len(set(self.options.keep)) < len(self.options.keep):
            words = f"{taken[0]!r} is a column that is written anyway" if taken else "a column is named twice"
            raise ConfigError(f"--keep: {words}", hint="rename it in the input, or leave it out")
        refuse_formulas(
            [*map(str, self.options.keep), *(each for each in self.classes if isinstance(each, str))], self.options.form
        )

    def score(self, batch: Batch) -> Scored:
        """Answer a batch, as `BatchPredictor.score` does."""
        return self._batch_predictor.score(batch)


def answer_names(classes: Sequence[int | str], kind: AnswerKind) -> list[str]:
    """Return the names of the columns of probabilities or of scores, one for each class."""
    prefix = {"probabilities": "probability", "scores": "score"}[kind]
    return [f"{prefix}_{each}" for each in classes]


def refuse_formulas(texts: Iterable[str], form: str) -> None:
    """Refuse texts that a spreadsheet would run, if they are written into a CSV.

    Raises:
        ConfigError: one begins like a formula.
    """
    risky = [text for text in texts if text.startswith(tuple(FORMULA))]
    if form == "csv" and risky:
        words = f"{risky[0]!r} begins like a formula, which a spreadsheet would run"
        raise ConfigError(f"a CSV cannot be written: {words}", hint="write Parquet or JSON Lines: --to parquet")


def _take(batch: Batch, good: NDArray[np.bool_]) -> Batch:
    """The rows of a batch that are marked; the others were out of the trained range."""
    import pyarrow as pa

    return replace(
        batch,
        numbers=batch.numbers[good],
        columns=[column[good] for column in batch.columns],
        texts=tuple(column[good] for column in batch.texts),
        actual=batch.actual[good] if batch.actual is not None else None,
        outside=max(0, batch.outside - int(len(good) - good.sum())),
        kept={name: column.filter(pa.array(good)) for name, column in batch.kept.items()},
    )
