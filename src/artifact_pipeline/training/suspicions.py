"""What is suspicious about the columns of a table: which should not be learned from, and what a person should look at.

The rules are stated with each function. A column is left out only where it cannot help a model on new rows: an index,
an id, a constant, a copy of the target, or cells that cannot be learned. Anything else is said, and learned from.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import listing, plural
from artifact_pipeline.training.targets import distinct, is_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.survey import Survey, SurveyedColumn
    from artifact_pipeline.training.targets import Target

_IDS = frozenset({"id", "ids", "uuid", "guid", "key", "index", "idx", "no", "nr", "number", "seqno", "case", "row"})
"""Words of the names of ids."""
_GROUPS = frozenset({
    "id", "patient", "subject", "person", "user", "customer", "client", "household", "family", "group", "session",
    "participant", "respondent", "student", "firm", "litter",
})  # fmt: skip
"""Words of the names of columns that say which rows belong together."""
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_FEW_LEVELS = 20
"""Most levels of a column that is compared with the target level by level."""
_NEAR_TARGET = 0.98
"""The share of the rows outside the most frequent class that a suspicious column predicts alone."""
_RARE_SHARE, _RARE_SHARE_OF_EVEN = 0.05, 0.5
"""A class is rare if it has less than this share of the rows, and of the rows that it had if all had as many."""
_DOMINANT_SHARE = 0.9
"""The share of one class from which on hardly a model is more often right than that class alone."""
_FEW_ROWS = 10
"""Rows of a class below which its figures say little."""
_SHOWN = 5


def reason_to_drop(column: SurveyedColumn, survey: Survey, target: Target) -> str | None:
    """Return why a column should not be learned from; None where it should."""
    if column.fault is not None:
        return _fault_reason(column.fault.rule, column.fault.message)
    if column.row_number is not None:
        last = column.row_number + survey.rows - 1
        return f"it counts the rows, {column.row_number} to {last:,}"
    if column.is_index:
        return "it looks like an index that pandas has written"
    values = distinct(column)
    if values < 2 and not column.missing:
        return "it has the same value in all rows"
    if column.kind == "number" and values > survey.rows / 2 and _has_word(column.name, _IDS) and is_whole(column):
        return f"it has the name of an id, and {values:,} different whole numbers in {survey.rows:,} rows"
    return "it is a copy of the target: each of its values has one class" if _is_copy(column, target) else None


def _fault_reason(rule: str, message: str) -> str:
    if rule == "no-values":
        return "it has no value"
    return _FAULT_PREFIXES.get(rule, "") + message


_FAULT_PREFIXES = {"free-text": "free text or an id: ", "date": "a date: "}


def _has_word(name: str, words: frozenset[str]) -> bool:
    return any(word.lower() in words for word in _WORDS.findall(name))


def _levels(column: SurveyedColumn, target: Target) -> NDArray[np.int64] | None:
    """Each labelled row's position among the column's values; None where these are more than a few."""
    import numpy as np

    values, codes = np.unique(column.values[target.labelled], return_inverse=True)
    return codes.astype(np.int64) if len(values) <= _FEW_LEVELS else None


def _is_copy(column: SurveyedColumn, target: Target) -> bool:
    """Whether a column has one value for each class of the target."""
    import numpy as np

    codes = _levels(column, target)
    if codes is None or int(codes.max()) + 1 != len(target.labels):
        return False
    pairs = np.unique(codes * len(target.labels) + target.codes)
    return len(pairs) == len(target.labels)


def column_suspicions(columns: Sequence[SurveyedColumn], target: Target) -> list[str]:
    """Return what is suspicious about the columns that are learned from, a sentence each."""
    found = []
    for column in columns:
        if (share := _explained_share(column, target)) >= _NEAR_TARGET:
            drop = shlex.quote(f"dataset.drop={json.dumps([column.name], ensure_ascii=False)}")
            found.append(
                f"column {column.name!r} alone tells the class of {share:.1%} of the rows that the most frequent class "
                f"misses; if it is known only when the label is, leave it out: -S {drop}"
            )
    return found


def _explained_share(column: SurveyedColumn, target: Target) -> float:
    """The share of the rows outside the most frequent class whose class the column alone predicts.

    Of a column with few values each value answers with its most frequent class. A number with many values answers by
    one threshold, where there are two classes.
    """
    import numpy as np

    rows, classes = len(target.codes), len(target.labels)
    codes = _levels(column, target)
    if codes is not None:
        counts = np.bincount(codes * classes + target.codes, minlength=(int(codes.max()) + 1) * classes)
        right = int(counts.reshape(-1, classes).max(axis=1).sum())
    elif classes == 2 and column.kind == "number" and not column.missing:
        right = _best_threshold(column.values[target.labelled], target.codes)
    else:
        return 0.0
    base = target.counts[0]
    return (right - base) / (rows - base)


def _best_threshold(values: NDArray[Any], codes: NDArray[np.int64]) -> int:
    """The most rows that one threshold classifies correctly, of two classes."""
    import numpy as np

    order = np.argsort(values, kind="stable")
    ones = np.concatenate([[0], np.cumsum(codes[order])])
    rows, total = np.arange(len(values) + 1), int(ones[-1])
    ends = np.concatenate([[True], np.diff(values[order]) > 0, [True]])
    right = (rows - ones) + (total - ones)  # zeros below the threshold, ones above it
    return int(max(right[ends].max(), (len(values) - right[ends]).max()))


def target_suspicions(target: Target) -> list[str]:
    """Return what is suspicious about the classes, a sentence each: how rare some are, and how many there are."""
    rows = len(target.codes)
    found = []
    largest, most = target.counts[0] / rows, min(_RARE_SHARE, _RARE_SHARE_OF_EVEN / len(target.labels))
    rare = [
        f"{label!r} ({plural(count, 'row')})"
        for label, count in zip(target.labels, target.counts, strict=True)
        if count / rows < most
    ]
    if largest >= _DOMINANT_SHARE or rare:
        words = f"{target.labels[0]!r} is the label of {largest:.1%} of the rows"
        if rare:
            words += f"; rare: {listing(rare, _SHOWN)}"
        mend = "-S gate.min_recall=0.5 asks that each is found, -S model.class_weight=balanced weighs them more"
        if largest >= _DOMINANT_SHARE:
            mend += (
                ", -S gate.beats_baseline=false does not ask for an accuracy above that share, "
                "which finding them may cost"
            )
        found.append(f"the classes are imbalanced: {words}; {mend}")
    few = [label for label, count in zip(target.labels, target.counts, strict=True) if count < _FEW_ROWS]
    if few:
        found.append(
            f"{plural(len(few), 'class')} with fewer than {_FEW_ROWS} rows: {listing([*map(repr, few)], _SHOWN)}"
        )
    return found


def split_suggestions(survey: Survey, target: Target) -> list[str]:
    """Return which other split may be meant, a sentence each: by a group of rows, or by time."""
    found = []
    for column in survey.columns:
        if column.name == target.name or column.missing:
            continue
        if column.fault is not None and "time" in column.fault.mend:
            words = f"{column.name!r} is a date; if the model is to answer later rows, hold the latest out"
            found.append(f"{words}: {_split_by('time', column)}")
        elif groups := _groups(column, survey):
            words = f"each of the {groups:,} values of {column.name!r} stands in {survey.rows / groups:.1f} rows"
            found.append(
                f"{words}; if it names a person or a thing, keep its rows together: {_split_by('group', column)}"
            )
    return found


def _groups(column: SurveyedColumn, survey: Survey) -> int:
    """How many groups of rows a column names; 0 where it does not look like one that does."""
    if column.kind in {None, "boolean"} or not _has_word(column.name, _GROUPS) or not is_whole(column):
        return 0
    groups = distinct(column)
    return groups if _FEW_LEVELS < groups <= survey.rows / 2 else 0


def _split_by(kind: str, column: SurveyedColumn) -> str:
    split = json.dumps({"by": kind, "column": column.name}, ensure_ascii=False)
    return f"-S {shlex.quote(f'split={split}')}"
