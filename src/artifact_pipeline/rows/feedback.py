"""Feedback: files of labelled rows that are learned from beside the training rows, and never held out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.features import Features
from artifact_pipeline.rows.labelled_files import read_beside, refusing
from artifact_pipeline.rows.sources import find_sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.rows.matrix import Rows

_REFUSED = "the feedback cannot be used"


def with_feedback(rows: Rows, paths: Sequence[str], *, leave_out: bool = False) -> Rows:
    """Return the rows that are split, and behind them those of feedback.

    Files are in the order of their digests, so that the order in which they are named decides nothing; one without a
    row adds nothing.

    Args:
        rows: the rows that are split; they say what each column holds, and which labels there are.
        paths: each a file, a folder of parts or a pattern.
        leave_out: whether a row without a label is left out, and not refused.

    Raises:
        DataRejected: one cannot be read, does not have the columns, has a value or a label that the model cannot take,
            or holds just the rows of another one, or the training rows.
    """
    with refusing(_REFUSED):
        read = [(path, _read(rows, path, leave_out=leave_out)) for path in paths]
    known = {rows.sources[0].digest(): "the rows that it would stand beside"}
    found = {}
    for path, each in read:
        digest = each.digest()
        if digest in known:
            problem = Problem(path, "feedback-same", f"holds just the rows of {known[digest]}")
            raise DataRejected(_REFUSED, problems=[problem], hint="name it once, and the training rows not at all")
        if len(each.X):
            known[digest], found[digest] = path, each
    return beside(rows, [found[digest] for digest in sorted(found)])


def beside(rows: Rows, feedback: Sequence[Rows]) -> Rows:
    """Return the rows that are split, and behind them feedback as far as there is any."""
    import numpy as np

    pieces = [each for each in feedback if len(each.X)]
    if not pieces:
        return rows
    assert rows.y is not None
    features = Features.concatenate([rows.features, *(each.features for each in pieces)])
    return replace(
        rows,
        X=features.X,
        y=np.concatenate([rows.y, *(each.y for each in pieces if each.y is not None)]),
        S=None if rows.S is None else features.S,
        split_by={
            name: np.concatenate([values, *(each.split_by[name] for each in pieces)])
            for name, values in rows.split_by.items()
        },
        feedback=tuple(len(each.X) for each in pieces),
    )


def _read(rows: Rows, path: str, *, leave_out: bool) -> Rows:
    found = read_beside(find_sources([path]), rows, leave_out=leave_out, keys=tuple(rows.split_by))
    S = None if rows.S is None else found.features.S
    return replace(rows, X=found.features.X, y=found.y, S=S, split_by=found.kept, held_out=0, feedback=())
