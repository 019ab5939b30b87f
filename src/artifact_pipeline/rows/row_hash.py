"""A hash of a row's own values, by which a split holds rows out.

BLAKE2b (RFC 7693) of 64 bits, over bytes that are the same on every platform and for every file format: the hash of a
row does not depend on its file or its position, and equal rows have equal hashes. Its values are evenly distributed, as
the share of held-out rows needs; those of a checksum are not. Nothing secret depends on it.
"""

from __future__ import annotations

import hashlib
import math
import re
from fractions import Fraction
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from artifact_pipeline.rows.values import FALSE, TRUE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.features import Column, Features

_PERSON = b"row-split-1"
"""Makes these hashes differ from others; a change of a row's bytes needs a new one."""
_BITS = 64
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+([eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)", re.ASCII)
"""A number that has a point or an exponent."""
_WHOLE = re.compile(r"-?[0-9]+\.0")
_BOOLEANS = {**dict.fromkeys(TRUE, "true"), **dict.fromkeys(FALSE, "false")}
_PIECE = 1 << 11
"""Rows that are hashed at a time: the bytes of more would not fit into the processor's cache."""


def feature_hashes(columns: Sequence[Column], rows: Features, *, seed: int) -> NDArray[np.uint64]:
    """Return the hash of each row's features, which does not depend on the order of the columns.

    The level `1.0` is hashed as `1`, and a spelling of true or false as `true` or `false`, since another program may
    write them so.

    Args:
        columns: the columns of the rows, numbers and booleans in the order of `rows.X`, categories in that of `rows.S`.
        rows: the rows.
        seed: 0 to 2^32 - 1; each seed gives other hashes.
    """
    import numpy as np

    from artifact_pipeline.rows.features import category_columns, number_columns

    def by_name(kind: Sequence[Column]) -> NDArray[np.int64]:
        return np.array(sorted(range(len(kind)), key=lambda position: kind[position].name), dtype=np.int64)

    numbers, texts = by_name(number_columns(columns)), by_name(category_columns(columns))
    hashes = [np.empty(0, dtype=np.uint64)]
    for start in range(0, len(rows), _PIECE):
        piece = rows[start : start + _PIECE]
        parts = []
        if len(numbers):
            parts.append(_number_bytes(piece.X[:, numbers]))
        parts += [_text_bytes(column, _level_text) for column in piece.S[:, texts].T.tolist()]
        hashes.append(_hashes(parts, len(piece), seed))
    return np.concatenate(hashes)


def key_hashes(columns: Mapping[str, Sequence[Any] | NDArray[Any]], *, seed: int) -> NDArray[np.uint64]:
    """Return the hash of each row's key: the values of some columns, such as the number of a patient.

    A number and its text are the same key, and so are a boolean and its spellings: a CSV and a Parquet file of the same
    rows have the same hashes. `007` is not 7: a text that begins with a zero is no number.

    Args:
        columns: the values of each column by its name, at least one; None and NaN are missing.
        seed: as in `feature_hashes`.
    """
    import numpy as np

    names = sorted(columns)
    rows = len(columns[names[0]])
    found = [np.empty(0, dtype=np.uint64)]
    for start in range(0, rows, _PIECE):
        values = [columns[name][start : start + _PIECE] for name in names]
        found.append(_hashes([_text_bytes([*map(_key_text, each)]) for each in values], len(values[0]), seed))
    return np.concatenate(found)


def below(hashes: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """Return whether each hash is among the lowest `share` of all possible hashes."""
    import numpy as np

    return hashes < np.uint64(int(Fraction(share) * 2**_BITS))


def _number_bytes(X: NDArray[np.float64]) -> list[bytes]:
    """Return each row's numbers as little-endian float64, with one zero and one NaN."""
    import numpy as np

    plain = np.add(X, 0.0, dtype="<f8", order="C")
    gaps = np.isnan(plain)
    if gaps.any():
        plain[gaps] = np.nan
    rows: list[bytes] = plain.view(f"V{plain.shape[1] * 8}").ravel().tolist()
    return rows


def _text_bytes(texts: Sequence[str], text_of: Callable[[str], str] = str) -> list[bytes]:
    """Return each text as `text_of` writes it, in UTF-8, behind its length, so that different rows stay different."""
    known: dict[str, bytes] = {}
    for text in dict.fromkeys(texts):
        data = text_of(text).encode()
        known[text] = len(data).to_bytes(4, "little") + data
    return [known[text] for text in texts]


def _hashes(parts: Sequence[Sequence[bytes]], rows: int, seed: int) -> NDArray[np.uint64]:
    """Return the hash of each row, whose bytes are those of all parts."""
    import numpy as np

    start = hashlib.blake2b(digest_size=_BITS // 8, person=_PERSON, salt=seed.to_bytes(8, "little"))
    found = []
    for data in map(b"".join, zip(*parts, strict=True)) if parts else [b""] * rows:
        own = start.copy()
        own.update(data)
        found.append(own.digest())
    return np.frombuffer(b"".join(found), dtype="<u8").astype(np.uint64)


def is_missing(value: object) -> bool:
    """Whether a value of a key is missing: None, NaN, NaT or an empty text."""
    if isinstance(value, Real):
        return math.isnan(value)
    return value is None or str(value) in {"", "NaT"}


def _key_text(value: Any) -> str:
    """Return a key's value as text; a whole number of any type is written without a point."""
    if isinstance(value, str):
        return _canonical(value.strip(" \t"))
    if is_missing(value):
        return ""
    if type(value).__name__ in {"bool", "bool_"}:
        return "true" if value else "false"
    if isinstance(value, Real):
        whole = isinstance(value, Integral) or float(value).is_integer()
        return f"{int(value)}" if whole else repr(float(value))  # type: ignore[call-overload]
    return str(value)


def _level_text(text: str) -> str:
    """Return a level as it is hashed."""
    if text.endswith(".0") and _WHOLE.fullmatch(text):
        return text.removesuffix(".0")
    return _BOOLEANS.get(text, text)


def _canonical(text: str) -> str:
    """Return the text of a number or a boolean in its standard spelling; digits and any other text as they are."""
    if text.isdecimal():  # as most keys are
        return text
    if text[-1:].isdecimal() and _DECIMAL.fullmatch(text):
        number = float(text)
        if abs(number) < float("inf"):
            return f"{int(number)}" if number.is_integer() else repr(number)
    return _BOOLEANS.get(text, text)
