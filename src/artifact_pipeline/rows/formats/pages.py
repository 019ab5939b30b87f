"""The sizes of a Parquet file's pages, read from their headers before a row group is unpacked (ADR 9).

A page is unpacked whole, and a text that a dictionary holds once may stand in every row, so neither the file's size nor
its footer says how much memory reading takes. The headers of the pages do; their fields have the numbers of the
format's definition (apache/parquet-format, `parquet.thrift`).
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from artifact_pipeline.rows.formats.thrift import I32, I64, TEXT, read_fields
from artifact_pipeline.rows.limits import LARGEST, MAX_NESTING, MAX_PAGE_HEADER, at_once
from artifact_pipeline.storage.opened import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from artifact_pipeline.rows.formats.thrift import Fields, FieldTypes
    from artifact_pipeline.storage.opened import Opened

_PIECE = LARGEST // 4
"""Bytes of the rows that are unpacked at once."""
_SHORT = 1024
"""Bytes of a dictionary up to which its longest text is not looked for."""
_HEADER_READ = 512
"""Bytes that are read for a page's header at first; with long texts in its statistics it is larger."""
_MIN_HEADER = 16

_TEXT = 6  # Type.BYTE_ARRAY
_HELD = 8  # bytes of any other value, or of where a text stands
_DATA, _DICTIONARY, _DATA_2 = 0, 2, 3  # PageType
_BY_DICTIONARY = {2, 8}  # Encoding.PLAIN_DICTIONARY, RLE_DICTIONARY
_BY_PREFIX = 7  # Encoding.DELTA_BYTE_ARRAY
_REPEATED = 2  # FieldRepetitionType
_MILD = {0, 1, 5, 7}  # none, Snappy, LZ4: they pack to no less than a 255th
_CODECS = {1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}  # CompressionCodec, without 0 for none

_ABOUT = {_DATA: 5, _DICTIONARY: 7, _DATA_2: 8}  # the field of a page's header that is about pages of its type

_FOOTER: FieldTypes = {
    2: [{1: I32, 2: I32, 3: I32, 4: TEXT, 5: I32}],
    4: [{1: [{3: {4: I32, 5: I64, 9: I64, 11: I64}}]}],
}
_HEADER: FieldTypes = {1: I32, 2: I32, 3: I32, 5: {1: I32, 2: I32}, 7: {1: I32}, 8: {1: I32, 4: I32}}

_SMALLER = "write it with smaller pages, or with row groups of some ten thousand rows"


class _Leaf(NamedTuple):
    """A column as it is stored.

    Attributes:
        names: its path, `a.b`, and those of what it is a part of.
        text: whether its values have no fixed length.
        width: bytes of a value at most, as Arrow holds it, beside those of a text.
        repeated: whether a row may hold several of its values.
    """

    names: frozenset[str]
    text: bool
    width: int
    repeated: bool

    @property
    def is_wide(self) -> bool:
        """Whether a row may have much more of it than a number."""
        return self.text or self.repeated or self.width > _HELD


class _Page(NamedTuple):
    """A page, by its header.

    Attributes:
        kind: data, a dictionary, or what holds neither.
        place: where it begins in the file, behind its header.
        packed: its bytes there.
        unpacked: its bytes unpacked.
        values: its values.
        encoding: how they are written.
    """

    kind: int
    place: int
    packed: int
    unpacked: int
    values: int
    encoding: int


class Pages:
    """The pages of an open Parquet file.

    Raises:
        DataRejected: its footer cannot be read.
    """

    def __init__(self, file: Opened) -> None:
        self._file = file
        # Pages do not share their headers: if there are more, the file leads to the same ones again and again.
        self._left = file.size // _MIN_HEADER
        with self._understood("its footer cannot be read"):
            (length,) = struct.unpack("<I4x", file.read_at(file.size - 8, 8))
            footer, _ = read_fields(file.read_at(file.size - 8 - length, length), 0, _FOOTER)
            self._leaves = list(_leaves(footer[2]))
            self._names = frozenset[str]().union(*(leaf.names for leaf in self._leaves))
            self._groups: list[list[Fields]] = [group[1] for group in footer.get(4, [])]

    def rows_at_once(self, group: int, columns: Sequence[str], most: int) -> int:
        """How many rows of a row group can be unpacked at once, up to `most`.

        Args:
            group: its number, from 0.
            columns: the columns that are read.
            most: the rows that are wanted.

        Raises:
            DataRejected: not one can be, or a page cannot be understood.
        """
        wanted, pages, row = set(columns), 0, 0.0
        with self._understood(f"the pages of row group {group} cannot be read"):
            if not wanted <= self._names:
                raise ValueError(wanted)
            for leaf, chunk in zip(self._leaves, self._groups[group], strict=True):
                if wanted & leaf.names and (leaf.is_wide or self._is_read(chunk[3])):
                    needed = self._needed(leaf, chunk[3])
                    pages, row = pages + needed[0], row + needed[1]
        allowed = at_once(len(wanted))
        if pages > allowed or row > LARGEST:
            message = f"row group {group} unpacks to {max(pages, int(row)):,} bytes at once; allowed are {allowed:,}"
            raise unreadable(self._file.place, message, rule="decompression-bomb", hint=_SMALLER)
        return min(most, max(1, int(_PIECE / row))) if row else most

    def _is_read(self, about: Fields) -> bool:
        """Whether the pages of a column of numbers are looked at: their headers are many.

        Those that are packed mildly are in proportion to the file. Those in a store take a request each.
        """
        return about[4] not in _MILD and self._file.path is not None

    def _needed(self, leaf: _Leaf, about: Fields) -> tuple[int, float]:
        """Bytes that a column of a row group takes: its largest pages, and a row of it by a page's average.

        Where a row may have several values, it may have all of them.
        """
        dictionary = largest = longest = 0
        row, codec = 0.0, about[4]
        for page in self._pages(about):
            if page.kind == _DICTIONARY:
                dictionary, longest = page.unpacked, self._longest(page, codec) if leaf.text else 0
                continue
            value = leaf.width + (_text(page, longest) if leaf.text else 0)
            row = row + page.values * value if leaf.repeated else max(row, value)
            largest = max(largest, page.unpacked)
        return dictionary + largest, row

    def _pages(self, about: Fields) -> Iterator[_Page]:
        """The pages of a column of a row group, as Arrow finds them: from its beginning, until all values are there."""
        place, left = about[9], about[5]
        if 0 < about.get(11, 0) < place:
            place = about[11]
        while left > 0:
            header, size = self._header(place)
            kind, unpacked, packed = header[1], header[2], header[3]
            own = header[_ABOUT[kind]] if kind in _ABOUT else {}
            page = _Page(kind, place + size, packed, unpacked, own.get(1, 0), own.get(4 if kind == _DATA_2 else 2, 0))
            if min(packed, unpacked, page.values) < 0 or page.place + packed > self._file.size:
                raise ValueError(page)
            if kind != _DICTIONARY:
                left -= page.values
            place = page.place + packed
            if kind in _ABOUT:
                yield page

    def _header(self, place: int) -> tuple[Fields, int]:
        """A page's header, and its size."""
        self._left -= 1
        if self._left < 0:
            raise ValueError(place)
        size = _HEADER_READ
        while True:
            data = self._file.read_at(place, size)
            try:
                return read_fields(data, 0, _HEADER)
            except IndexError:
                if len(data) < size or size >= MAX_PAGE_HEADER:
                    raise
                size *= 32

    def _longest(self, page: _Page, codec: int) -> int:
        """The length of the longest text of a dictionary; of all together where that is little, or too much."""
        if not _SHORT < page.unpacked <= LARGEST or (codec and codec not in _CODECS):
            return page.unpacked
        data = self._file.read_at(page.place, page.packed)
        if codec:
            import pyarrow as pa

            data = pa.Codec(_CODECS[codec]).decompress(data, page.unpacked, asbytes=True)
        longest = at = 0
        for _ in range(page.values):
            (length,) = struct.unpack_from("<I", data, at)
            at, longest = at + 4 + length, max(longest, length)
        return longest

    @contextmanager
    def _understood(self, words: str) -> Iterator[None]:
        """Refuse what breaks the format."""
        try:
            yield
        except (IndexError, KeyError, ValueError, OSError, struct.error) as error:
            raise unreadable(self._file.place, words) from error


def _text(page: _Page, longest: int) -> float:
    """Bytes of a text of a page, on average; as many as it may have where it can be longer than what stands there."""
    if page.encoding in _BY_DICTIONARY:
        return longest
    return page.unpacked if page.encoding == _BY_PREFIX else page.unpacked / max(page.values, 1)


def _leaves(schema: list[Fields]) -> Iterator[_Leaf]:
    """The columns as they are stored, in the order of the schema: depth first, each behind its parent."""
    parents: list[tuple[str, frozenset[str], bool]] = []  # of each child that is yet to come
    for at, element in enumerate(schema):
        path, names, repeated = parents.pop() if at else ("", frozenset[str](), False)
        if at:
            path = f"{path}.{element[4].decode()}" if path else element[4].decode()
            names, repeated = names | {path}, repeated or element.get(3) == _REPEATED
        children = element.get(5, 0)
        if len(parents) + children > len(schema) or len(names) > MAX_NESTING:
            raise ValueError(children)
        parents += [(path, names, repeated)] * children
        if at and not children:
            text = element[1] == _TEXT
            yield _Leaf(names, text, _HELD if text else _HELD + element.get(2, 0), repeated)
