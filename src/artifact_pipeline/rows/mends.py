"""Hints about a table that cannot be read or learned from, with the options and commands to type."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from artifact_pipeline.rows.limits import MAX_SHOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from artifact_pipeline.rows.batches import Rejected

HINTS = {
    "row-width": "give each row as many values as the header has columns; a value with a comma stands in quotes",
    "json-invalid": "write one object in JSON a line, in UTF-8",
    "duplicate-key": "write each key once",
    "column-late": "give all rows the same keys",
    "label-missing": "leave out the rows that have no label: -S dataset.unlabelled=leave_out",
    "label-lines": (
        "mend the quotes around it: one opens in its first line and closes in its last; "
        "or, if the label has these lines, write it in one"
    ),
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

_TAB = "\t"
_UNPACKED_BY = {"gz": "gzip -dc", "zst": "zstd -dc", "bz2": "bzip2 -dc", "xz": "xz -dc", "zip": "unzip -p"}
"""Programs that print what a packed file holds, by the end of its name."""
_READ_BY = {
    **dict.fromkeys(("xlsx", "xlsm", "xls", "ods"), "read_excel"),
    **dict.fromkeys(("sas7bdat", "xpt"), "read_sas"),
    "sav": "read_spss",
    "dta": "read_stata",
    "json": "read_json",
    "xml": "read_xml",
    "orc": "read_orc",
}
"""The function of pandas that reads a format, by the end of its name."""
_MARKED_NUMBER = re.compile(r"[^\w\s]?\s?[+-]?[0-9]{1,3}([ .,'\u2019\u00a0\u202f]?[0-9]{3})*([.,][0-9]+)?\s?[^\w\s]?")
"""A number as people write it: `1 234,50`, `1'234.50`, `12,5`, `12 %`, `$3`."""
_FEW_LEVELS = 20
"""Most levels that are not looked at as numbers: codes and counts such as `3+` are levels."""
_MOSTLY = 0.5
"""The share of levels, or of values, from which on a column is taken for one of numbers."""


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


def why_no_numbers(levels: Collection[str], odd: str, numbers: int, values: int) -> str | None:
    """Return why texts that look like measured numbers are levels, and what to do; None where they do not look so.

    Args:
        levels: each different text.
        odd: the first that is not a number.
        numbers: how many values are numbers.
        values: how many there are.
    """
    if len(levels) <= _FEW_LEVELS:
        return None
    if numbers >= _MOSTLY * values:
        why = f"holds texts, since {odd!r:.{MAX_SHOWN}} is not a number"
        return f"{why}, though {numbers:,} of its {values:,} values are; mend it, or leave the cell empty"
    marked = [name for name in levels if _MARKED_NUMBER.fullmatch(name.strip())]
    if len(marked) < _MOSTLY * len(levels):
        return None
    plain = "without marks and spaces, and with a point before decimals"
    return f"holds texts, such as {marked[0]!r:.{MAX_SHOWN}}; write numbers {plain}"


def with_commas(place: str, separator: str) -> str:
    """The command that writes separated values as CSV; of semicolons, decimal commas become points."""
    read = f"csv.reader(sys.stdin, delimiter={json.dumps(separator)})"
    if separator == ";":
        read = rf'([re.sub(r"^(-?\d+),(\d+)$", r"\1.\2", cell) for cell in row] for row in {read})'
    call = f"import csv, re, sys; csv.writer(sys.stdout).writerows({read})"
    return f"{_text_of(place)} | python -c {shlex.quote(call)} > {new_name(place)}"


def without_first_line(place: str) -> str:
    """The command that writes a file of text without its first line."""
    return f"{_text_of(place)} | tail -n +2 > {new_name(place)}"


def _text_of(place: str) -> str:
    """The command that prints a file of text, which may be packed."""
    program = _UNPACKED_BY.get(place.rpartition(".")[2].lower(), "cat")
    return f"{program} {shlex.quote(place)}"


def new_name(place: str) -> str:
    """A name, as it is typed, for what is made of a file: never the file's own."""
    stem = Path(place).name.partition(".")[0].strip("-")
    return shlex.quote(f"{stem or 'rows'}-new.csv")


def format_hint(place: str, *, otherwise: str) -> str:
    """What to do about a file whose name tells no format that is read."""
    suffix = place.rpartition(".")[2].lower()
    if suffix in {"tsv", "tab"}:
        return f"write it with commas: {with_commas(place, _TAB)}"
    if suffix in _UNPACKED_BY:
        return f"unpack it: {_text_of(place)} > {new_name(place)}"
    if suffix in _READ_BY:
        call = f"import pandas, sys; pandas.{_READ_BY[suffix]}({json.dumps(place)}).to_csv(sys.stdout, index=False)"
        return f"write it as CSV, such as by pandas: python -c {shlex.quote(call)} > {new_name(place)}"
    return otherwise


def hint_of_columns(bad: Sequence[Rejected]) -> str:
    """Return a hint about bad values."""
    others = [each.column for each in bad if each.rule in _OTHER_KINDS]
    categories = [each.column for each in bad if each.rule in _AS_CATEGORY]
    hints = [mends(drop=others, category=categories)] if others else []
    hints += [HINTS[rule] for rule in dict.fromkeys(each.rule for each in bad) if rule in HINTS]
    return "; ".join(hints)
