"""The declared sizes of the messages of an Arrow IPC file, checked before any buffer is unpacked (ADR 9).

Arrow unpacks all buffers of a message at a time; the first eight bytes of each are its unpacked size. The tables are
FlatBuffers; the numbers of their fields are those of apache/arrow, `Message.fbs` and `File.fbs`.
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
"""The mark before each message, except in files from before 2019."""
_END_OF_STREAM = _CONTINUES + b"\0\0\0\0"
"""The end of a stream that was not truncated."""
_OLD_COMPRESSION = b"ARROW:experimental_compression"
"""A key in the metadata of a message that Arrow 0.17 has packed; later versions have a field for it."""

_DICTIONARY, _BATCH = 2, 3  # MessageHeader
_BLOCK, _BUFFER = 24, 16  # bytes of a Block, and of a Buffer
_UNPACKED = -1  # the declared size of a buffer that is not packed


class _Message(NamedTuple):
    """A message of a file.

    Attributes:
        place: its position in the file.
        table: its header, a FlatBuffers table `Message`.
        body: the position of its body.
    """

    place: int
    table: _Table
    body: int


class Messages:
    """The messages of an open file of Arrow IPC.

    Attributes:
        is_file: whether it has the file format, whose footer lists its messages, or the stream format.
    """

    def __init__(self, file: Opened, columns: int) -> None:
        """Detect the format of a file of which so many columns are wanted."""
        self._file, self._columns = file, columns
        self._left = file.size  # bytes of further headers, which do not overlap
        self.is_file = file.read_at(0, len(_MAGIC)) == _MAGIC

    def check(self) -> None:
        """Check that each batch, and all dictionaries together, unpack to an allowed size.

        Raises:
            DataRejected: one is too large, or is no message, or a stream is truncated.
        """
        if not self.is_file and self._file.read_at(max(0, self._file.size - 8), 8) != _END_OF_STREAM:
            raise unreadable(self._file.place, "ends before its end-of-stream mark", rule="truncated")
        dictionaries: dict[int, int] = {}
        place = 0
        try:
            for message in self._by_footer() if self.is_file else self._in_turn():
                place = message.place
                kind, size = self._size(message)
                if kind == _DICTIONARY:  # it extends the dictionary with the same key, or replaces it
                    dictionary = message.table.inner(2)
                    key, adds = dictionary.number(0, "<q"), dictionary.number(2, "<B")
                    dictionaries[key] = size + (dictionaries.get(key, 0) if adds else 0)
                    size = sum(dictionaries.values())
                self.check_size(size)
        except (struct.error, ValueError) as error:
            raise unreadable(self._file.place, f"no Arrow IPC: its byte {place:,} begins no message") from error

    def check_size(self, size: int) -> None:
        """Refuse a batch of `size` bytes if that is too large for the wanted columns.

        Raises:
            DataRejected: it is too large.
        """
        if size > (allowed := at_once(self._columns)):
            message = f"holds a batch of {size:,} bytes; allowed are {allowed:,}"
            hint = "write it with batches of some ten thousand rows"
            raise unreadable(self._file.place, message, rule="batch-too-large", hint=hint)

    def _by_footer(self) -> Iterator[_Message]:
        """Yield the messages that the footer of a file lists."""
        end = self._file.size - len(_MAGIC) - 4
        (length,) = struct.unpack("<I", self._file.read_at(end, 4))
        footer = _Table.root(self._file.read_at(end - length, length))
        for field in (2, 3):  # dictionaries, recordBatches
            for block in footer.vector(field, _BLOCK):
                place, length = struct.unpack_from("<qi", footer.data, block)
                yield self._message(place, length)

    def _in_turn(self) -> Iterator[_Message]:
        """Yield the messages of a stream."""
        place = 0
        while len(start := self._file.read_at(place, 8)) == 8:
            prefix = _prefix_size(start)
            (length,) = struct.unpack_from("<I", start, prefix - 4)
            if not length:
                return
            message = self._message(place, prefix + length)
            yield message
            place = message.body + message.table.number(3, "<q")

    def _message(self, place: int, length: int) -> _Message:
        data = self._file.read_at(place, min(length, LARGEST))
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(place)
        return _Message(place, _Table.root(data[_prefix_size(data) :]), place + length)

    def _size(self, message: _Message) -> tuple[int, int]:
        """Return a message's kind, and its bytes after unpacking."""
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
        """Yield the declared unpacked size of each packed buffer of a batch."""
        # An object is read by one request, since each one takes long.
        data = self._file.read_at(body, length) if self._file.path is None else None
        for buffer in batch.vector(2, _BUFFER):
            offset, size = struct.unpack_from("<qq", batch.data, buffer)
            if min(offset, size, length - offset - size) < 0:
                raise ValueError(offset)
            if size:  # an empty buffer has no declared size
                size_of = self._file.read_at(body + offset, 8) if data is None else data[offset : offset + 8]
                (unpacked,) = struct.unpack("<q", size_of)
                if unpacked < _UNPACKED:
                    raise ValueError(unpacked)
                yield size - 8 if unpacked == _UNPACKED else unpacked


def _prefix_size(message: bytes) -> int:
    """Return the number of bytes before a message's table: its length, and the mark if there is one."""
    return 8 if message.startswith(_CONTINUES) else 4


class _Table(NamedTuple):
    """A table of FlatBuffers; an offset out of its data is a `struct.error` or a ValueError."""

    data: bytes
    at: int

    @classmethod
    def root(cls, data: bytes) -> _Table:
        """Return the table that the first bytes point to."""
        return cls(data, struct.unpack_from("<I", data)[0])

    def slot(self, field: int) -> int:
        """Return the position of a field; 0 if it is absent."""
        fields = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        if fields < 0:
            raise ValueError(fields)
        place = 4 + 2 * field
        if struct.unpack_from("<H", self.data, fields)[0] < place + 2:
            return 0
        (offset,) = struct.unpack_from("<H", self.data, fields + place)
        return self.at + offset if offset else 0

    def number(self, field: int, form: str) -> int:
        """Return the value of a field that is a number; 0 if it is absent."""
        slot = self.slot(field)
        return int(struct.unpack_from(form, self.data, slot)[0]) if slot else 0

    def _target(self, field: int) -> int:
        """Return the position to which a field points."""
        if not (slot := self.slot(field)):
            raise ValueError(field)
        return slot + int(struct.unpack_from("<I", self.data, slot)[0])

    def inner(self, field: int) -> _Table:
        """Return the table in a field."""
        return _Table(self.data, self._target(field))

    def vector(self, field: int, size: int) -> range:
        """Return the positions of a vector's members, each of `size` bytes; none if the field is absent."""
        if not self.slot(field):
            return range(0)
        start = self._target(field)
        (count,) = struct.unpack_from("<I", self.data, start)
        end = start + 4 + count * size
        if end > len(self.data):
            raise ValueError(count)
        return range(start + 4, end, size)
