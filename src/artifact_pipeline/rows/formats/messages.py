"""The sizes that the messages of an Arrow IPC file declare, read before any of their buffers is unpacked (ADR 9).

Arrow reads a message whole, and unpacks its buffers whole: the first eight bytes of each are its unpacked size. The
tables are FlatBuffers, read here by the numbers of the fields in the format's definition (apache/arrow, `Message.fbs`
and `File.fbs`).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from artifact_pipeline.rows.limits import LARGEST, at_once
from artifact_pipeline.storage.opened import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.storage.opened import Opened

_MAGIC = b"ARROW1"
_CONTINUES = b"\xff\xff\xff\xff"
"""Stands before each message, but in files from before 2019."""
_END_OF_STREAM = _CONTINUES + b"\0\0\0\0"
"""Without it a stream may have been cut off."""
_OLD_COMPRESSION = b"ARROW:experimental_compression"
"""Stands in the metadata of a message that Arrow 0.17 has packed; later ones have a field for it."""

_DICTIONARY, _BATCH = 2, 3  # MessageHeader
_BLOCK, _BUFFER = 24, 16  # bytes of a Block, and of a Buffer
_UNPACKED = -1  # stands for the size of a buffer that is not packed after all


class _Message(NamedTuple):
    """A message of a file.

    Attributes:
        place: where it begins.
        table: its head, a table `_Message`.
        body: where its body begins.
    """

    place: int
    table: _Table
    body: int


class Messages:
    """The messages of an open file of Arrow IPC.

    Attributes:
        is_file: whether it is of the file format, whose end says where its messages are, or else a stream.
    """

    def __init__(self, file: Opened, columns: int) -> None:
        """Read which format it is; `columns` is how many columns are wanted."""
        self._file, self._columns = file, columns
        self._left = file.size  # bytes of messages' heads: they do not share them
        self.is_file = file.read_at(0, len(_MAGIC)) == _MAGIC

    def check(self) -> None:
        """Check that no batch, and not all dictionaries together, unpack to more than is allowed.

        Raises:
            DataRejected: one does, or is no message, or a stream has no end.
        """
        if not self.is_file and self._file.read_at(max(0, self._file.size - 8), 8) != _END_OF_STREAM:
            raise unreadable(self._file.place, "ends before its end-of-stream mark", rule="truncated")
        dictionaries: dict[int, int] = {}
        place = 0
        try:
            for message in self._by_footer() if self.is_file else self._in_turn():
                place = message.place
                kind, size = self._size(message)
                if kind == _DICTIONARY:  # it adds to the one before it, or takes its place
                    dictionary = message.table.inner(2)
                    key, adds = dictionary.number(0, "<q"), dictionary.number(2, "<B")
                    dictionaries[key] = size + (dictionaries.get(key, 0) if adds else 0)
                    size = sum(dictionaries.values())
                self.check_size(size)
        except (struct.error, ValueError) as error:
            raise unreadable(self._file.place, f"no Arrow IPC: its byte {place:,} begins no message") from error

    def check_size(self, size: int) -> None:
        """Refuse a batch of `size` bytes, if that is too large for the wanted columns.

        Raises:
            DataRejected: it is.
        """
        if size > (allowed := at_once(self._columns)):
            message = f"holds a batch of {size:,} bytes; allowed are {allowed:,}"
            hint = "write it with batches of some ten thousand rows"
            raise unreadable(self._file.place, message, rule="batch-too-large", hint=hint)

    def _by_footer(self) -> Iterator[_Message]:
        """The messages that the end of a file names."""
        end = self._file.size - len(_MAGIC) - 4
        (length,) = struct.unpack("<I", self._file.read_at(end, 4))
        footer = _Table.root(self._file.read_at(end - length, length))
        for field in (2, 3):  # dictionaries, recordBatches
            for block in footer.vector(field, _BLOCK):
                place, length = struct.unpack_from("<qi", footer.data, block)
                yield self._message(place, length)

    def _in_turn(self) -> Iterator[_Message]:
        """The messages of a stream."""
        place = 0
        while len(start := self._file.read_at(place, 8)) == 8:
            before = _before(start)
            (length,) = struct.unpack_from("<I", start, before - 4)
            if not length:
                return
            message = self._message(place, before + length)
            yield message
            place = message.body + message.table.number(3, "<q")

    def _message(self, place: int, length: int) -> _Message:
        data = self._file.read_at(place, min(length, LARGEST))
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(place)
        return _Message(place, _Table.root(data[_before(data) :]), place + length)

    def _size(self, message: _Message) -> tuple[int, int]:
        """A message's kind, and the bytes that it has once it is unpacked."""
        table, body = message.table, message.table.number(3, "<q")
        if body < 0:
            raise ValueError(body)
        kind = table.number(1, "<B")
        if kind not in {_DICTIONARY, _BATCH} or body > at_once(self._columns):
            return kind, body
        batch = table.inner(2)
        batch = batch.inner(1) if kind == _DICTIONARY else batch
        if batch.slot(3) or _OLD_COMPRESSION in table.data:
            return kind, max(body, sum(self._unpacked(message.body, body, batch)))
        return kind, body

    def _unpacked(self, body: int, length: int, batch: _Table) -> Iterator[int]:
        """The unpacked size that each of a batch's packed buffers declares."""
        # From a store all is asked at once, since each request takes its time.
        data = self._file.read_at(body, length) if self._file.path is None else None
        for buffer in batch.vector(2, _BUFFER):
            offset, size = struct.unpack_from("<qq", batch.data, buffer)
            if min(offset, size, length - offset - size) < 0:
                raise ValueError(offset)
            if size:  # an empty buffer stays one
                size_of = self._file.read_at(body + offset, 8) if data is None else data[offset : offset + 8]
                (unpacked,) = struct.unpack("<q", size_of)
                if unpacked < _UNPACKED:
                    raise ValueError(unpacked)
                yield size - 8 if unpacked == _UNPACKED else unpacked


def _before(message: bytes) -> int:
    """The bytes before a message's table: its length, and behind a mark where there is one."""
    return 8 if message.startswith(_CONTINUES) else 4


class _Table(NamedTuple):
    """A table of FlatBuffers; whatever points out of its data is a `struct.error` or a ValueError."""

    data: bytes
    at: int

    @classmethod
    def root(cls, data: bytes) -> _Table:
        """The table that the first bytes point to."""
        return cls(data, struct.unpack_from("<I", data)[0])

    def slot(self, field: int) -> int:
        """Where a field stands; 0 where it does not."""
        fields = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        if fields < 0:
            raise ValueError(fields)
        place = 4 + 2 * field
        if struct.unpack_from("<H", self.data, fields)[0] < place + 2:
            return 0
        (offset,) = struct.unpack_from("<H", self.data, fields + place)
        return self.at + offset if offset else 0

    def number(self, field: int, form: str) -> int:
        """A number, 0 where it is left out."""
        slot = self.slot(field)
        return int(struct.unpack_from(form, self.data, slot)[0]) if slot else 0

    def _behind(self, field: int) -> int:
        if not (slot := self.slot(field)):
            raise ValueError(field)
        return slot + int(struct.unpack_from("<I", self.data, slot)[0])

    def inner(self, field: int) -> _Table:
        """A table within this one."""
        return _Table(self.data, self._behind(field))

    def vector(self, field: int, size: int) -> range:
        """Where the members of a vector stand, each of `size` bytes; of none, where it is left out."""
        if not self.slot(field):
            return range(0)
        start = self._behind(field)
        (count,) = struct.unpack_from("<I", self.data, start)
        end = start + 4 + count * size
        if end > len(self.data):
            raise ValueError(count)
        return range(start + 4, end, size)
