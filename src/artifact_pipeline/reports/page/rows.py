"""Labelled rows, answered by the published model; those that it has not learned where these are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.plugins import NAMES, data_set
from artifact_pipeline.prediction.hash_split import HELD_OUT_SIDE, TRAINING_SIDE, UNKNOWN_SIDE
from artifact_pipeline.prediction.scoring import Options, Scorer
from artifact_pipeline.prediction.training_rows import TrainingRows
from artifact_pipeline.rows.batches import UNLABELLED
from artifact_pipeline.rows.features import Features
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.sources import Source, find_sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Manifest, Verified
    from artifact_pipeline.model.predictor import Predictor
    from artifact_pipeline.prediction.scoring import Scored
    from artifact_pipeline.rows.features import Column

Side = Literal["held out", "training", "unknown"]


@dataclass(frozen=True, slots=True, eq=False)
class AnsweredRows:
    """Labelled rows and the model's answers; arrays of shape (rows,) in the order of the file.

    Attributes:
        side: held out from the training, of the training, or not known.
        place: the name of the file, or of the data set; never a folder of this machine.
        known: whether the rows were recognised, by their digest, as those that the manifest names.
        left_out: how many labelled rows are not among these, since the model may have learned them.
        repeated: how many of these rows have just the values of a training row; None where that is not known.
        numbers: the number of each row in its file, from 0.
        actual: positions in the model's classes.
        predicted: likewise.
        given: the probability, or the score, of the predicted class.
        of_actual: the same for the actual class.
        of_second: the same for the second class.
        predictor: the model, for more of such rows.
    """

    side: Side
    place: str
    known: bool
    left_out: int
    unlabelled: int
    repeated: int | None
    numbers: NDArray[np.int64]
    features: Features
    actual: NDArray[np.int64]
    predicted: NDArray[np.int64]
    given: NDArray[np.float64]
    of_actual: NDArray[np.float64]
    of_second: NDArray[np.float64]
    predictor: Predictor

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.actual)

    @property
    def words(self) -> str:
        """The name of the rows in sentences."""
        return {"held out": "held-out rows", "training": "training rows", "unknown": f"rows of {self.place}"}[self.side]

    @property
    def has_probabilities(self) -> bool:
        """Whether the model gives probabilities, and not scores alone."""
        return self.predictor.kind == "probabilities"

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which rows were answered right."""
        found: NDArray[np.bool_] = self.actual == self.predicted
        return found

    def surest(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The positions of the chosen rows, the surest answers first: by probability, or by the gap of the scores."""
        sure = self.given if self.has_probabilities else self.given - self.of_actual
        positions = np.flatnonzero(chosen)
        return positions[np.argsort(-sure[positions], kind="stable")]


def _own_data_set(manifest: Manifest) -> str | None:
    """Return the name of the data set of the package that a model was trained from; None of any other."""
    name = manifest.recipe.get("dataset")
    if not isinstance(name, str) or name not in NAMES:
        return None
    found = data_set(name)
    same = found.features == tuple(each.name for each in manifest.model.inputs)
    return name if same and [each.digest for each in manifest.data.split_sources] == [found.digest] else None


def answer_rows(artifact: Verified, data: str | None) -> AnsweredRows | None:
    """Answer the labelled rows that are at hand; None where there are none.

    Rows that the model has not learned are taken where they are known: the held-out rows of the very file that the
    manifest names, or those on the held-out side of a hash split. Otherwise all labelled rows are taken.

    Args:
        artifact: the verified artifact.
        data: a table that `predict` reads, with the label's column; None for the built-in data set of the recipe.

    Raises:
        ArtifactRejected: the runtime refuses the model, or its golden answers differ here.
        DataRejected: the rows cannot be read, one is bad, or none has a label.
    """
    if data is not None:
        sources = find_sources([data])
    elif (name := _own_data_set(artifact.manifest)) is not None:
        sources = [Source(name, name, name)]
    else:
        return None
    scorer = Scorer(artifact, Options(out_of_range="ignore", drift=False, form="parquet"))
    training, pieces = TrainingRows(artifact), []
    for source in sources:
        with open_rows(source, scorer.wanted(source)) as rows:
            for batch in rows.batches(0):
                scored = scorer.score(batch)
                if scored.rejected:
                    raise scored.rejected[0].refusal(source.name, hint="mend the row, or leave it out of the table")
                training.add(scored)
                pieces.append(_piece(scored, scorer))
    place = sources[0].name if len(sources) == 1 else f"{sources[0].name} and {len(sources) - 1:,} more"
    return _answered(pieces, scorer, training, place)


class _Piece(NamedTuple):
    """A batch: its rows, and of each row the values that `AnsweredRows` has."""

    features: Features
    actual: NDArray[np.int64]
    predicted: NDArray[np.int64]
    given: NDArray[np.float64]
    of_actual: NDArray[np.float64]
    of_second: NDArray[np.float64]
    sides: NDArray[np.int8]


def _piece(scored: Scored, scorer: Scorer) -> _Piece:
    batch, values, rows = scored.batch, scored.probabilities, np.arange(len(scored.labels))
    actual = np.full(len(rows), UNLABELLED) if batch.actual is None else batch.actual
    return _Piece(
        features=batch.features,
        actual=actual,
        predicted=scored.positions,
        given=values[scored.positions, rows],
        of_actual=values[actual, rows],  # a row without a label is not used
        of_second=values[1],
        sides=np.full(len(rows), UNKNOWN_SIDE, np.int8) if scorer.split is None else scorer.split.sides(batch),
    )


def _answered(pieces: Sequence[_Piece], scorer: Scorer, training: TrainingRows, place: str) -> AnsweredRows:
    """Choose the rows that are shown."""
    if not any((piece.actual != UNLABELLED).any() for piece in pieces):
        target = scorer.artifact.manifest.data.target
        problem = Problem(place, "no-labels", f"has no labelled row: a report needs the column {target!r}")
        raise DataRejected("the rows cannot be compared with the answers", problems=[problem])
    features, *columns = zip(*pieces, strict=True)
    whole = _Piece(Features.concatenate(features), *map(np.concatenate, columns))
    labelled = whole.actual != UNLABELLED
    known = bool(training.by_split())
    sides = training.held_out().astype(np.int8) if known else whole.sides
    side, chosen = _chosen(sides, labelled)
    positions = np.flatnonzero(chosen)
    repeated = None
    if known and side == "held out":
        repeated = _repeated(scorer.artifact.manifest.model.columns, whole.features, sides, positions)
    return AnsweredRows(
        side=side,
        place=place,
        known=known,
        left_out=int(labelled.sum() - len(positions)),
        unlabelled=int((~labelled).sum()),
        repeated=repeated,
        numbers=positions,
        features=whole.features.take(positions),
        actual=whole.actual[positions],
        predicted=whole.predicted[positions],
        given=whole.given[positions],
        of_actual=whole.of_actual[positions],
        of_second=whole.of_second[positions],
        predictor=scorer.predictor,
    )


def _repeated(
    columns: Sequence[Column], features: Features, sides: NDArray[np.int8], held_out: NDArray[np.int64]
) -> int | None:
    """How many of the held-out rows have just the values of a training row; None where these are not at hand."""
    from artifact_pipeline.rows.row_hash import feature_hashes

    training = np.flatnonzero(sides == TRAINING_SIDE)
    if not len(training):
        return None
    hashes = feature_hashes(columns, features, seed=0)
    return int(np.isin(hashes[held_out], hashes[training]).sum())


def _chosen(sides: NDArray[np.int8], labelled: NDArray[np.bool_]) -> tuple[Side, NDArray[np.bool_]]:
    """Which rows are shown: those that are held out, or else all that have a label."""
    held_out = labelled & (sides == HELD_OUT_SIDE)
    if held_out.any():
        return "held out", held_out
    return ("training" if (sides[labelled] == TRAINING_SIDE).all() else "unknown"), labelled
