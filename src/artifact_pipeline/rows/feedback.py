"""Feedback: files of labelled rows that are learned from beside the training rows, and never held out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.labelled_files import read_beside, refusing
from artifact_pipeline.rows.sources import find_sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.rows.matrix import Rows

_REFUSED = "the feedback cannot be used"


def with_feedback(rows: Rows, paths: Sequence[str], *, leave_out: bool = False) -> Rows:
    """Return the rows that are split, followed by those of feedback.

    The files are sorted by their digests, so that the order of the paths does not matter; a file without a row adds
    nothing.

    Args:
        rows: the rows that are split; they determine the kinds of the columns and the labels.
        paths: each a file, a folder of parts or a pattern.
        leave_out: whether a row without a label is left out instead of refused.

    Raises:
        DataRejected: one cannot be read, does not have the columns, has a value or a label that the model cannot take,
            or holds exactly the rows of another one, or the training rows.
    """
    with refusing(_REFUSED):
        read = [(path, read_beside(find_sources([path]), rows, leave_out=leave_out)) for path in paths]
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
    """Return the rows that are split, followed by each feedback that has a row."""
    pieces = [each for each in feedback if len(each.X)]
    if not pieces:
        return rows
    return replace(rows.followed_by(pieces), feedback=tuple(len(each.X) for each in pieces))
