"""What the first bytes of a file say that is not what its name says, and how to mend it."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from artifact_pipeline.storage.opened import unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIGNS = (
    (b"\x1f\x8b", "is packed by gzip, which its name does not say", "mv {place} {place}.gz"),
    (b"\x28\xb5\x2f\xfd", "is packed by Zstandard, which its name does not say", "mv {place} {place}.zst"),
    (b"PK\x03\x04", "is a ZIP archive, such as a workbook of Excel", "save its table as CSV, in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "is an old workbook of Excel", "save its table as CSV, in UTF-8"),
    (b"PAR1", "is a Parquet file, which its name does not say", "mv {place} {place}.parquet"),
    (b"ARROW1", "is an Arrow file, which its name does not say", "mv {place} {place}.arrow"),
)
_WIDE = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


def refuse_other_formats(place: str, block: bytes) -> None:
    """Refuse the beginning of a text file that is none.

    Raises:
        DataRejected: it is packed, of another format, or text of another encoding.
    """
    for sign, words, hint in _SIGNS:
        if block.startswith(sign):
            raise unreadable(place, words, rule="another-format", hint=hint.format(place=shlex.quote(place)))
    wide = next((name for sign, name in _WIDE if block.startswith(sign)), None)
    line = block.partition(b"\n")[0]
    if wide is None and 3 * line.count(b"\0") > len(line):
        wide = "UTF-16, or no text"
    if wide is not None:
        raise unreadable(place, f"is no UTF-8: it looks like {wide}", rule="not-utf-8", hint=utf8_hint(place, "UTF-16"))


def utf8_hint(place: str, encoding: str = "WINDOWS-1252") -> str:
    """How to write a text as UTF-8."""
    return f"save the file as UTF-8: iconv -f {encoding} -t UTF-8 {shlex.quote(place)} > utf8.csv"


def separator_hint(place: str, names: Sequence[str]) -> str | None:
    """What a header of one column says that is separated by something else than commas."""
    if len(names) != 1:
        return None
    found = next((sign for sign in _SEPARATORS if sign in names[0]), None)
    if found is None:
        return None
    read = f'csv.reader(open({json.dumps(place)}, newline=""), delimiter={json.dumps(found)})'
    call = f"import csv, sys; csv.writer(sys.stdout).writerows({read})"
    looks = f"it looks like values that are separated by {_SEPARATORS[found]}, and they must be separated by commas"
    return f"{looks}: python -c {shlex.quote(call)} > commas.csv"
