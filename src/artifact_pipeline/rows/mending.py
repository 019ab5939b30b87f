"""How a table that cannot be learned is mended: the hints of its refusals, which can be typed as they stand."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from artifact_pipeline.rows.faults import listed_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.rows.batches import Rejected

_GAPS = frozenset({"", "na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "#n/a", "<na>"})
"""What stands in tables where a value is missing, in lower case."""
_COLUMN = frozenset({"not-a-number", "not-a-boolean"})
_HINTS = {
    "row-width": "give each row as many values as the header has columns; a value with a comma stands in quotes",
    "json-invalid": "write one object in JSON a line, in UTF-8",
    "duplicate-key": "write each key once",
    "column-late": "give all rows the same keys",
    "label-missing": "leave out the rows that have no label",
    "label-lines": "mend the quotes around it: one opens in its first line and closes in its last",
    "label-invalid": "a label is text or a whole number; to tell measured numbers apart, sort them into classes first",
    "not-exact": "write whole numbers beyond 2^53 as labels or leave their column out",
    "not-finite": "replace infinite and huge values, or leave out their rows",
    "too-many-digits": "round the decimals to 15 digits, or write the column as float64",
}


def drop_hint(names: Sequence[str]) -> str:
    """How columns are left out, as an option of the command line."""
    return f"-S {shlex.quote(f'dataset.drop={json.dumps([*names], ensure_ascii=False)}')}"


def mend(bad: Sequence[Rejected]) -> str:
    """What to do about bad values."""
    gaps = [each.column for each in bad if each.column and _is_gap(each)]
    texts = [each.column for each in bad if each.rule in _COLUMN and not _is_gap(each)]
    told = []
    if texts:
        told.append(f"only numbers and booleans are learned; leave the other columns out: {drop_hint(texts)}")
    if gaps:
        words = "fill in the values that are missing, or leave out their rows; or the columns"
        told.append(f"{words} {listed_names(gaps)}: {drop_hint([*texts, *gaps])}")
    others = dict.fromkeys(each.rule for each in bad if each.column not in {*gaps, *texts})
    told += [_HINTS[rule] for rule in others if rule in _HINTS]
    return "; ".join(told)


def _is_gap(bad: Rejected) -> bool:
    """Whether a value stands for one that is missing."""
    value = bad.rule in {*_COLUMN, "not-finite"} and bad.value.strip().lower() in _GAPS
    return bad.rule == "missing" or value
