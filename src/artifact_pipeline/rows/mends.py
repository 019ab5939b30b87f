"""Hints about a table that cannot be learned from, with the options to type."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.rows.batches import Rejected

HINTS = {
    "row-width": "give each row as many values as the header has columns; a value with a comma stands in quotes",
    "json-invalid": "write one object in JSON a line, in UTF-8",
    "duplicate-key": "write each key once",
    "column-late": "give all rows the same keys",
    "label-missing": "leave out the rows that have no label: -S dataset.unlabelled=leave_out",
    "label-lines": "mend the quotes around it: one opens in its first line and closes in its last",
    "label-invalid": "a label is text or a whole number; to tell measured numbers apart, sort them into classes first",
    "not-exact": "write whole numbers beyond 2^53 as labels or leave their column out",
    "not-finite": "replace infinite and huge values, or leave out their rows",
    "split-missing": "fill in the value, or leave out the row; or split the rows by another column",
    "not-a-key": "split the rows by a column of texts or whole numbers",
    "not-a-time": "write each time as 2024-05-31, as 2024-05-31T12:30:00, or as a number",
    "mixed-times": "write all times of the column alike: all with a time zone, or none",
    "too-many-digits": "round the decimals to 15 digits, or write the column as float64",
}
"""The hint about a bad value, by its rule."""
_OTHER_KINDS = frozenset({"not-a-number", "not-a-boolean", "not-a-level", "date", "nested", "mixed-kinds"})
"""Rules that a column of another kind breaks."""
_AS_CATEGORY = frozenset({"date", "mixed-kinds"})
"""Those of them that a category does not break."""


def drop_hint(names: Sequence[str]) -> str:
    """Return the option that leaves columns out."""
    return f"-S {shlex.quote(f'dataset.drop={json.dumps([*names], ensure_ascii=False)}')}"


def mends(empty: Sequence[str] = (), drop: Sequence[str] = (), category: Sequence[str] = ()) -> str:
    """Return a hint with the columns whose empty cells, omission or kind would help, and the options to type."""
    hints = []
    if empty:
        hints.append("leave a cell empty where its value is missing")
    if drop:
        hints.append(f"leave the columns out: {drop_hint(drop)}")
    if category:
        kinds = json.dumps(dict.fromkeys(category, "category"), ensure_ascii=False)
        hints.append(f"learn them as categories: -S {shlex.quote(f'dataset.columns={kinds}')}")
    return "; or ".join(hints)


def hint_of_columns(bad: Sequence[Rejected]) -> str:
    """Return a hint about bad values."""
    others = [each.column for each in bad if each.rule in _OTHER_KINDS]
    categories = [each.column for each in bad if each.rule in _AS_CATEGORY]
    hints = [mends(drop=others, category=categories)] if others else []
    hints += [HINTS[rule] for rule in dict.fromkeys(each.rule for each in bad) if rule in HINTS]
    return "; ".join(hints)
