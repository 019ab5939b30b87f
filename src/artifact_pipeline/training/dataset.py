"""The rows of a training: loaded, and split into those to learn from and those to measure on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from artifact_pipeline.plugins import data_set
from artifact_pipeline.training.splits import LabelledRows, held_out_beside, of_two_files, repeated, split

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.config import Config
    from artifact_pipeline.rows.features import Column
    from artifact_pipeline.rows.matrix import Rows

PACKAGED = "packaged"
"""The name of rows that came with a model that was trained elsewhere, also in its recipe."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled rows and their split.

    Attributes:
        rows: all rows, with labels.
        train: int64 positions of the training rows, in the order in which the estimator sees them.
        held_out: int64 positions of the rows that the estimator never sees.
        repeated: how many held-out rows have the very features of a training row.
        left_out: how many rows of feedback are not learned from, because the split holds them out.
    """

    rows: Rows
    train: NDArray[np.int64]
    held_out: NDArray[np.int64]
    repeated: int = 0
    left_out: int = 0

    @classmethod
    def load(cls, config: Config, rows: Rows | None = None) -> Dataset:
        """Return the rows that the config names, and their split; feedback is learned from, and changes no split.

        Args:
            config: says which rows, and how they are split.
            rows: those rows, where they are loaded already.

        Raises:
            DataRejected: the rows cannot be read, or cannot be split as asked.
        """
        whole = load_rows(config) if rows is None else rows
        rows = whole.split
        table = LabelledRows.of(rows)
        if rows.held_out:
            sides = of_two_files(table.y, len(table.y) - rows.held_out)
        else:
            sides = split(table, config.split, random_state=config.random_state)
        # A hash of the features has equal rows on one side.
        by_features = not rows.held_out and config.split.by == "hash" and config.split.key is None
        again = 0 if by_features else repeated(table.rows, sides)
        data = cls(rows=rows, train=sides.train, held_out=sides.held_out, repeated=again)
        return data._with_feedback(whole, config) if whole.feedback else data

    def _with_feedback(self, whole: Rows, config: Config) -> Dataset:
        """Return the data with the rows of feedback behind it, but for those that the split holds out."""
        import numpy as np

        from artifact_pipeline.rows import feedback

        held_out, kept, left_out = LabelledRows.of(self.rows.take(self.held_out)), [], 0
        for each in whole.sources[-len(whole.feedback) :]:
            out = held_out_beside(LabelledRows.of(each), held_out, config.split, random_state=config.random_state)
            kept.append(each.take(np.flatnonzero(~out)))
            left_out += int(out.sum())
        rows = feedback.beside(self.rows, kept)
        train = np.concatenate([self.train, np.arange(len(self.rows.X), len(rows.X))])
        return replace(self, rows=rows, train=train, left_out=left_out)

    @property
    def X(self) -> NDArray[np.float64]:  # noqa: N802 - the field's name for a feature matrix
        """All rows, float64 of shape (rows, features)."""
        return self.rows.X

    @property
    def y(self) -> NDArray[np.int64] | NDArray[np.str_]:
        """All labels, of shape (rows,)."""
        assert self.rows.y is not None
        return self.rows.y

    @property
    def described(self) -> NDArray[np.int64]:
        """The rows with which later ones are compared: the training rows, or all where there are none."""
        return self.train if len(self.train) else self.held_out

    def split_bits(self) -> bytes:
        """One bit a row that is split, 1 where it is held out; the first row is the lowest bit of the first byte."""
        import numpy as np

        flags = np.zeros(len(self.y) - sum(self.rows.feedback), dtype=np.uint8)
        flags[self.held_out] = 1
        return np.packbits(flags, bitorder="little").tobytes()


def load_rows(config: Config, *, columns: Sequence[Column] | None = None) -> Rows:
    """Return all rows that the config names: those that are split, as `load_split_rows` does, and feedback behind them.

    Raises:
        DataRejected: a file cannot be read, or does not have these columns.
    """
    from artifact_pipeline.rows import feedback

    rows = load_split_rows(config, columns=columns)
    if not config.feedback:
        return rows
    table = config.dataset
    leave_out = not isinstance(table, str) and table.unlabelled is not None
    return feedback.with_feedback(rows, config.feedback, leave_out=leave_out)


def load_split_rows(config: Config, *, columns: Sequence[Column] | None) -> Rows:
    """Return the rows that are split: a built-in data set, or a table, and the held-out file behind it.

    Args:
        config: says which rows.
        columns: the columns of a table to learn from, with their kinds, such as those of another model; None leaves
            them to the config, and to the table.

    Raises:
        DataRejected: the table cannot be read, or does not have these columns.
    """
    table = config.dataset
    if isinstance(table, str):
        own: Rows = data_set(table).load()
        return own

    from artifact_pipeline.rows.held_out import with_held_out
    from artifact_pipeline.rows.labels import LabelColumn
    from artifact_pipeline.rows.table import read_table

    kinds = None if columns is None else {each.name: each.kind for each in columns}
    leave_out = table.unlabelled is not None
    rows = read_table(
        table.path,
        target=LabelColumn(table.target, leave_out=leave_out),
        features=table.features if kinds is None else [*kinds],
        drop=table.drop or (),
        columns=kinds or table.columns or {},
        split_by=config.split.columns,
    )
    if config.split.path is None:
        return rows
    return with_held_out(rows, config.split.path, beside=table.path, leave_out=leave_out)
