"""The bytes of a pickle, read forward once, never past the end of the file and never across a frame's end."""

from __future__ import annotations

from artifact_pipeline.pickles.nodes import Refusal

_PROTO = 0x80


class Stream:
    """A position in a file.

    Attributes:
        position: the offset of the next byte to read.
    """

    def __init__(self, data: bytes) -> None:
        self.position = 0
        self._data = data
        self._frame_end = 0

    @property
    def in_frame(self) -> bool:
        """Whether the next byte belongs to a frame that has begun."""
        return self.position < self._frame_end

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return len(self._data) - self.position

    def take(self, count: int) -> bytes:
        """The next `count` bytes.

        Raises:
            Refusal: the file, or the frame, ends before.
        """
        start = self.position
        end = start + count
        if end > len(self._data):
            raise Refusal("export-truncated", f"ends at byte {len(self._data):,}, in the middle of the pickle")
        if start < self._frame_end < end:
            raise Refusal("export-frame", f"a value crosses the end of its frame at byte {self._frame_end:,}")
        self.position = end
        return self._data[start:end]

    def take_length(self, width: int) -> int:
        """A little-endian length of `width` bytes.

        Raises:
            Refusal: the file, or the frame, ends before.
        """
        return int.from_bytes(self.take(width), "little")

    def begin(self, *, hint: str) -> None:
        """Read PROTO, with which every pickle of protocol 4 and 5 begins.

        Raises:
            Refusal: it is another protocol, or no pickle; `hint` says how to write it again.
        """
        opcode, protocol = self.take(2)
        if opcode != _PROTO:
            raise Refusal("export-protocol", "not a pickle of protocol 4 or 5")
        if protocol not in {4, 5}:
            raise Refusal("export-protocol", f"a pickle of protocol {protocol}; 4 and 5 are read", hint=hint)

    def begin_frame(self) -> None:
        """FRAME: the extent that the next opcodes stay in.

        Raises:
            Refusal: it begins inside another frame, or goes past the end of the file.
        """
        length = self.take_length(8)
        if self.in_frame:
            raise Refusal("export-frame", f"a frame begins inside another at byte {self.position - 9:,}")
        if length > self.left:
            raise Refusal("export-truncated", f"a frame of {length:,} bytes, and {self.left:,} are left")
        self._frame_end = self.position + length
