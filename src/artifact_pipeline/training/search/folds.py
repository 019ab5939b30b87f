"""How the training rows are folded, and which of them a round of halving uses; the held-out rows are never here.

As the split says: stratified by label; by group or key so that a group stays together; by the hash of the features so
that equal rows do; by time as forward chaining, where each fold is scored by what came before it.
"""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.row_hash import feature_hashes, key_hashes
from artifact_pipeline.training.splits import LabelledRows, complete

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.config import Config, Search
    from artifact_pipeline.training.dataset import Dataset
    from artifact_pipeline.training.splits import Labels

_HALVING_FACTOR = 3
"""From one round of halving to the next the rows grow by this factor, and the trials shrink by it."""
_ORDER_STREAM = 2**31
"""The stream of random numbers that orders the rows; those below draw the trials."""


class Fold(NamedTuple):
    """Positions among the training rows: those to fit on, and those to score."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]


def folds_of(data: Dataset, config: Config, search: Search) -> tuple[Fold, ...]:
    """Return the folds of the training rows, of each repeat after the other.

    Raises:
        DataRejected: the rows are too few, or the groups or times among them.
    """
    import numpy as np

    split, rows, train = config.split, data.rows, data.train
    y = data.y[train]
    table = LabelledRows.of(rows)
    if split.by == "time":
        assert split.column is not None
        found = _forward_chaining(np.asarray(complete(table, split.column))[train], search.folds)
    elif split.columns:
        keys = {name: complete(table, name) for name in split.columns}
        found = _stratified(y, search, groups=key_hashes(keys, seed=config.random_state)[train])
    elif split.by == "hash":
        hashes = feature_hashes(rows.columns, rows.features.take(train), seed=config.random_state)
        found = _by_hash(y, search, hashes)
    else:
        found = _stratified(y, search)
    folds = tuple(found)
    if not all(len(each.train) and len(each.test) for each in folds):
        raise _refused(f"they are too few, or too few differ, for {search.folds} folds")
    return folds


def _stratified(y: Labels, search: Search, *, groups: NDArray[np.uint64] | None = None) -> Iterator[Fold]:
    """Divide the rows, or whole groups of them, into folds with nearly the same share of each label."""
    import numpy as np
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    for repeat in range(search.repeats):
        folds = kind(search.folds, shuffle=True, random_state=search.seed + repeat)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a label of fewer rows than folds is in some folds alone
            try:
                found = list(folds.split(np.empty(len(y)), y, groups))
            except ValueError as error:
                raise _refused(str(error).splitlines()[0].removesuffix(".")) from error
        yield from (Fold(train, test) for train, test in found)


def _by_hash(y: Labels, search: Search, hashes: NDArray[np.uint64]) -> Iterator[Fold]:
    """Divide the rows into folds by their hash: equal rows stay together, and the order of rows has no effect."""
    import numpy as np

    _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    for fold in _stratified(y[first], search):
        inside = np.zeros(len(first), dtype=np.bool_)
        inside[fold.test] = True
        yield Fold(np.flatnonzero(~inside[which]), np.flatnonzero(inside[which]))


def _forward_chaining(times: NDArray[Any], count: int) -> Iterator[Fold]:
    """Cut the rows by time; the model of a fold learns from all earlier rows. Equal times stay together."""
    import numpy as np

    order = np.argsort(times, kind="stable")
    ordered, rows = times[order], len(times)
    starts = [ordered[min(rows * at // (count + 1), rows - 1)] for at in range(1, count + 1)]
    cuts = [*(int(np.searchsorted(ordered, each)) for each in starts), rows]
    for start, end in pairwise(cuts):
        yield Fold(np.sort(order[:start]), np.sort(order[start:end]))


def ranks_of(y: Labels, seed: int) -> NDArray[np.int64]:
    """Return the place of each row in an order whose first n rows have nearly the label shares of all, for each n."""
    import numpy as np

    shuffled = np.random.default_rng([seed, _ORDER_STREAM]).permutation(len(y))
    _, labels, counts = np.unique(y[shuffled], return_inverse=True, return_counts=True)
    by_label = np.argsort(labels, kind="stable")
    within = np.empty(len(y), dtype=np.int64)
    within[by_label] = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
    order = shuffled[np.lexsort((labels, (within + 0.5) / counts[labels]))]
    ranks = np.empty(len(y), dtype=np.int64)
    ranks[order] = np.arange(len(y))
    return ranks


def rounds_of(y: Labels, search: Search) -> tuple[tuple[int, int], ...]:
    """Return the rows and the trials of each round; without halving there is one, of all rows.

    The first round has at least two rows of each label a fold, as scikit-learn's halving has by default, if they are
    spread evenly, and there are no more rounds than it takes to be left with one trial.
    """
    import numpy as np

    rows, rounds, trials = len(y), 1, search.trials
    if search.rounds == "halving":
        least = 2 * search.folds * len(np.unique(y))
        while rows // _HALVING_FACTOR**rounds >= least and trials >= _HALVING_FACTOR**rounds:
            rounds += 1
    return tuple(
        (rows // _HALVING_FACTOR ** (rounds - 1 - at), -(-trials // _HALVING_FACTOR**at)) for at in range(rounds)
    )


def _refused(message: str) -> DataRejected:
    problem = Problem("rows", "folds", message)
    return DataRejected("the training rows cannot be folded", problems=[problem], hint="set fewer search.folds")
