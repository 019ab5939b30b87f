"""The weights of a linear model, and the accuracy that any other model loses without a column."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from artifact_pipeline.metrics import curves
from artifact_pipeline.model.contributions import LinearScores
from artifact_pipeline.rows.features import Features, category_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.reports.page.rows import AnsweredRows
    from artifact_pipeline.rows.features import Column

_MAX_ROWS = 512
"""Most rows that are answered again with one column shuffled."""
_MAX_ANSWERS = 60_000
"""Most rows that are answered again in all: of many columns each gets fewer rows."""
_LEAST_ROWS = 64
_REPEATS = 3
_SEED = 20240229


class Weights(NamedTuple):
    """The weights of a linear model.

    Attributes:
        names: of each weight: a column, a level of a category, or that a column is missing.
        values: float64 of shape (classes, names); of two classes one row, towards the second.
        scaled: whether numbers are divided by their spread first, so that their weights can be compared.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    scaled: bool


def weights_of(artifact: Verified) -> Weights | None:
    """Return the weights of a model whose scores are linear in its columns; None of any other."""
    found = LinearScores.of(artifact.manifest, artifact.role("model"))
    names = found.names() if found is not None else None
    if found is None or names is None or len(names) != found.weights.shape[1]:
        return None
    values = found.weights if len(found.weights) > 2 else found.weights[1:] - found.weights[:1]
    return Weights(tuple(names), values, found.scaled)


class Importance(NamedTuple):
    """The accuracy that a model loses where a column is shuffled, the most important column first.

    Attributes:
        columns: positions among the model's columns.
        losses: of the share of right answers, each with its 95 % interval.
    """

    columns: tuple[int, ...]
    losses: tuple[curves.Loss, ...]
    rows: int
    repeats: int


def place_of(columns: Sequence[Column], position: int) -> int:
    """Return the place of a column in `Features.X`, or in `Features.S` if it is a category."""
    is_category = columns[position].kind == "category"
    return sum((each.kind == "category") == is_category for each in columns[:position])


def importance_of(answered: AnsweredRows, columns: Sequence[Column]) -> Importance | None:
    """Shuffle one column after the other, and count the right answers that are lost; None where that costs too much.

    L. Breiman (2001), Random forests, section 10. By the published model, over rows that it has not learned where these
    are known, with a fixed seed.
    """
    rows = min(len(answered), _MAX_ROWS, max(_LEAST_ROWS, _MAX_ANSWERS // (_REPEATS * len(columns))))
    repeats = max(1, min(_REPEATS, _MAX_ANSWERS // (rows * len(columns))))
    if rows * len(columns) > 2 * _MAX_ANSWERS:
        return None
    generator = np.random.default_rng(_SEED)
    chosen = np.sort(generator.permutation(len(answered))[:rows])
    features, actual = answered.features.take(chosen), answered.actual[chosen]
    before = (answered.predicted[chosen] == actual).astype(np.float64)
    orders = [generator.permutation(rows) for _ in range(repeats)]
    losses = []
    categories = bool(category_columns(columns))
    for position in range(len(columns)):
        whole = Features.concatenate([_shuffled(features, columns, position, order) for order in orders])
        found = answered.predictor.predict_rows(whole.X, whole.S if categories else None).positions
        right = (found.reshape(repeats, rows) == actual).mean(axis=0)
        losses.append(curves.Loss.of(before - right))
    ordered = sorted(range(len(columns)), key=lambda position: -losses[position].value)
    return Importance(tuple(ordered), tuple(losses[each] for each in ordered), rows, repeats)


def _shuffled(features: Features, columns: Sequence[Column], position: int, order: NDArray[np.int64]) -> Features:
    """The rows with the values of one column in another order."""
    place = place_of(columns, position)
    is_category = columns[position].kind == "category"
    changed = (features.S if is_category else features.X).copy()
    changed[:, place] = changed[order, place]
    return replace(features, S=changed) if is_category else replace(features, X=changed)
