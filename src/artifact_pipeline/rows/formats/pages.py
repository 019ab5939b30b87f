"""The sizes of a Parquet file's pages, read from their headers before a row group is unpacked (ADR 9).

A page is unpacked whole, and every row may refer to the same text of a dictionary. So the memory for reading depends
neither on the file's size nor on its footer, but on the headers of the pages. The numbers of their fields are those of
apache/parquet-format, `parquet.thrift`.
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
"""Bytes of the rows that are unpacked at a time."""
_SHORT = 1024
"""Bytes of a dictionary whose longest text is not searched for."""
_HEADER_READ = 512
"""Bytes that are read first for a page's header; long texts in its statistics make it larger."""
_MIN_HEADER = 16

_TEXT = 6  # Type.BYTE_ARRAY
_VALUE_SIZE = 8  # bytes of any other value, or of a reference to a text
_DATA, _DICTIONARY, _DATA_2 = 0, 2, 3  # PageType
_BY_DICTIONARY = {2, 8}  # Encoding.PLAIN_DICTIONARY, RLE_DICTIONARY
_BY_PREFIX = 7  # Encoding.DELTA_BYTE_ARRAY
_REPEATED = 2  # FieldRepetitionType
_LOW_RATIO = {0, 1, 5, 7}  # none, Snappy, LZ4: their ratio is at most 255
_CODECS = {1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}  # CompressionCodec, without 0 for none

_OWN_HEADER = {_DATA: 5, _DICTIONARY: 7, _DATA_2: 8}  # the field of a page's header with the header of its type

_FOOTER: FieldTypes = {
    2: [{1: I32, 2: I32, 3: I32, 4: TEXT, 5: I32}],
    4: [{1: [{3: {4: I32, 5: I64, 9: I64, 11: I64}}]}],
}
_HEADER: FieldTypes = {1: I32, 2: I32, 3: I32, 5: {1: I32, 2: I32}, 7: {1: I32}, 8: {1: I32, 4: I32}}

_SMALLER = "write it with smaller pages, or with row groups of some ten thousand rows"


class _Leaf(NamedTuple):
    """A stored column.

    Attributes:
        names: its path, `a.b`, and the paths of its parents.
        text: whether its values have no fixed length.
        width: most bytes of a value in Arrow, without those of a text.
        repeated: whether a row may have several of its values.
    """

    names: frozenset[str]
    text: bool
    width: int
    repeated: bool

    @property
    def is_wide(self) -> bool:
        """Whether it may take much more memory than a number in each row."""
        return self.text or self.repeated or self.width > _VALUE_SIZE


class _Page(NamedTuple):
    """A page, as described by its header.

    Attributes:
        kind: its type, `PageType`.
        place: the position of its content in the file.
        packed: its bytes in the file.
        unpacked: its bytes after unpacking.
        values: the number of its values.
        encoding: their `Encoding`.
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
        self._headers_left = file.size // _MIN_HEADER  # headers do not overlap; a loop of pages ends with an error
        with self._refusing("its footer cannot be read"):
            (length,) = struct.unpack("<I4x", file.read_at(file.size - 8, 8))
            footer, _ = read_fields(file.read_at(file.size - 8 - length, length), 0, _FOOTER)
            self._leaves = list(_leaves(footer[2]))
            self._names = frozenset[str]().union(*(leaf.names for leaf in self._leaves))
            self._groups: list[list[Fields]] = [group[1] for group in footer.get(4, [])]

    def rows_at_once(self, group: int, columns: Sequence[str], most: int) -> int:
        """Return how many rows of some columns of a row group can be unpacked at a time, at most `most`.

        Raises:
            DataRejected: not one row can be unpacked, or a page breaks the format.
        """
        wanted, pages, row = set(columns), 0, 0.0
        with self._refusing(f"the pages of row group {group} cannot be read"):
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
        """Whether the many headers of a column of numbers are read.

        They are not if the codec keeps the pages in proportion to the file, or if each header takes a request.
        """
        return about[4] not in _LOW_RATIO and self._file.path is not None

    def _needed(self, leaf: _Leaf, about: Fields) -> tuple[int, float]:
        """Return the bytes of a column's largest pages, and those of its average row in the page where that is largest.

        If a row may have several values, one row may have all of them.
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
        """Yield the pages of a column of a row group, as Arrow finds them: from its beginning to its last value."""
        place, left = about[9], about[5]
        if 0 < about.get(11, 0) < place:
            place = about[11]
        while left > 0:
            header, size = self._header(place)
            kind, unpacked, packed = header[1], header[2], header[3]
            own = header[_OWN_HEADER[kind]] if kind in _OWN_HEADER else {}
            page = _Page(kind, place + size, packed, unpacked, own.get(1, 0), own.get(4 if kind == _DATA_2 else 2, 0))
            if min(packed, unpacked, page.values) < 0 or page.place + packed > self._file.size:
                raise ValueError(page)
            if kind != _DICTIONARY:
                left -= page.values
            place = page.place + packed
            if kind in _OWN_HEADER:
                yield page

    def _header(self, place: int) -> tuple[Fields, int]:
        """Return a page's header, and its size."""
        self._headers_left -= 1
        if self._headers_left < 0:
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
        """Return the length of a dictionary's longest text; of all texts together if that is short, or too much."""
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
    def _refusing(self, message: str) -> Iterator[None]:
        """Turn an error about broken bytes into a `DataRejected`."""
        try:
            yield
        except (IndexError, KeyError, ValueError, OSError, struct.error) as error:
            raise unreadable(self._file.place, message) from error


def _text(page: _Page, longest: int) -> float:
    """Return the average bytes of a text of a page; the most bytes if the page holds texts in a shorter form."""
    if page.encoding in _BY_DICTIONARY:
        return longest
    return page.unpacked if page.encoding == _BY_PREFIX else page.unpacked / max(page.values, 1)


def _leaves(schema: list[Fields]) -> Iterator[_Leaf]:
    """Yield the stored columns in the order of the schema: depth first, each after its parent."""
    parents: list[tuple[str, frozenset[str], bool]] = []  # of each child that follows
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
            yield _Leaf(names, text, _VALUE_SIZE if text else _VALUE_SIZE + element.get(2, 0), repeated)
