"""A hash of a row's own values, by which a split holds rows out.

BLAKE2b (RFC 7693) of 64 bits, over bytes that are the same on every platform and for every file format: so a row has
one hash wherever it stands, whatever stands around it, and equal rows have equal ones. It is in Python's standard
library, anyone can compute it again, and its bits are even, which the share of held-out rows needs; a checksum's are
not. Nothing secret depends on it.
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
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.features import Column, Features

_PERSON = b"row-split-1"
"""Sets these hashes apart from others; another way of writing a row's bytes gets another one."""
_BITS = 64
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+([eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)", re.ASCII)
"""A number that is not written by digits alone."""
_WHOLE = re.compile(r"-?[0-9]+\.0")
_BOOLEANS = {**dict.fromkeys(TRUE, "true"), **dict.fromkeys(FALSE, "false")}
_PIECE = 1 << 11
"""Rows whose bytes stand in memory at once: more of them do not stay in the processor's cache."""


def feature_hashes(columns: Sequence[Column], rows: Features, *, seed: int) -> NDArray[np.uint64]:
    """Return the hash of each row's features, in whatever order the columns stand in the file.

    The level `1.0` is hashed as `1`, and a spelling of true or false as `true` or `false`: the next program may write
    them so.

    Args:
        columns: the columns of the rows, numbers and booleans in the order of `rows.X`, categories in that of `rows.S`.
        rows: the rows.
        seed: another one gives other hashes, 0 to 2^32 - 1.
    """
    import numpy as np

    from artifact_pipeline.rows.features import category_columns, number_columns

    def by_name(kind: Sequence[Column]) -> NDArray[np.int64]:
        return np.array(sorted(range(len(kind)), key=lambda position: kind[position].name), dtype=np.int64)

    numbers, texts = by_name(number_columns(columns)), by_name(category_columns(columns))
    pieces = [rows[start : start + _PIECE] for start in range(0, len(rows), _PIECE)]
    hashes = [
        _hashes(
            _number_bytes(piece.X[:, numbers]), _text_bytes(piece.S[:, texts].T.tolist(), _level_text), len(piece), seed
        )
        for piece in pieces
    ]
    return np.concatenate([np.empty(0, dtype=np.uint64), *hashes])


def key_hashes(columns: Mapping[str, Sequence[Any] | NDArray[Any]], *, seed: int) -> NDArray[np.uint64]:
    """Return the hash of each row's key: the values of some columns, such as the number of a patient.

    A number and a text that writes it are one key, and so are a boolean and a spelling of it: a CSV and a Parquet file
    of the same rows have the same hashes. `007` is not 7: a text that begins with a zero is no number.

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
        texts = [[*map(_key_text, each)] for each in values]
        found.append(_hashes(None, _text_bytes(texts), len(texts[0]), seed))
    return np.concatenate(found)


def below(hashes: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """Return whether each hash is among the lowest ones: of all hashes that there can be, this share is."""
    import numpy as np

    return hashes < np.uint64(int(Fraction(share) * 2**_BITS))


def _number_bytes(X: NDArray[np.float64]) -> Sequence[bytes] | None:
    """Each row's numbers as little-endian float64; both zeros are one, and so are all NaN."""
    import numpy as np

    if not X.shape[1]:
        return None
    plain = np.add(X, 0.0, dtype="<f8", order="C")
    gaps = np.isnan(plain)
    if gaps.any():
        plain[gaps] = np.nan
    rows: list[bytes] = plain.view(f"V{plain.shape[1] * 8}").ravel().tolist()
    return rows


def _text_bytes(columns: Sequence[Sequence[str]], text_of: Callable[[str], str] = str) -> Iterable[bytes] | None:
    """Each row's texts, as `text_of` writes them, in UTF-8; the length before each tells all rows apart."""
    if not columns:
        return None
    parts = []
    for column in columns:
        known: dict[str, bytes] = {}
        parts.append([known.get(each) or known.setdefault(each, _sized(text_of(each).encode())) for each in column])
    return parts[0] if len(parts) == 1 else map(b"".join, zip(*parts, strict=True))


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def _hashes(numbers: Sequence[bytes] | None, texts: Iterable[bytes] | None, rows: int, seed: int) -> NDArray[np.uint64]:
    import numpy as np

    start = hashlib.blake2b(digest_size=_BITS // 8, person=_PERSON, salt=seed.to_bytes(8, "little"))
    if numbers is None and texts is None:
        found = [start.digest()] * rows
    elif numbers is None or texts is None:
        found = []
        for data in numbers or texts or ():
            own = start.copy()
            own.update(data)
            found.append(own.digest())
    else:
        found = []
        for data, text in zip(numbers, texts, strict=True):
            own = start.copy()
            own.update(data)
            own.update(text)
            found.append(own.digest())
    return np.frombuffer(b"".join(found), dtype="<u8").astype(np.uint64)


def is_missing(value: object) -> bool:
    """Whether a value of a key stands for none: None, NaN, NaT or an empty text."""
    if isinstance(value, Real):
        return math.isnan(value)
    return value is None or str(value) in {"", "NaT"}


def _key_text(value: Any) -> str:
    """A key's value as text; a whole number is written as one, whatever type it has."""
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
    """A level as the hash takes it."""
    if text.endswith(".0") and _WHOLE.fullmatch(text):
        return text.removesuffix(".0")
    return _BOOLEANS.get(text, text)


def _canonical(text: str) -> str:
    """A text as the number or the boolean that it writes is written; whole digits, and any other text, as they are."""
    if text.isdecimal():  # as most keys are
        return text
    if text[-1:].isdecimal() and _DECIMAL.fullmatch(text):
        number = float(text)
        if abs(number) < float("inf"):
            return f"{int(number)}" if number.is_integer() else repr(number)
    return _BOOLEANS.get(text, text)
