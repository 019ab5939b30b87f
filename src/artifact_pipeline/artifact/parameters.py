"""`parameters.npz` without NumPy: its form is checked byte for byte, and nothing in it is ever run.

The file is what `numpy.savez` writes and no more: a ZIP of four stored arrays, one after the other. Each byte belongs
to a header that is compared, or to an array of numbers or of short texts; a pickle has no place in it.
"""

from __future__ import annotations

import math
import re
import struct
from binascii import crc32
from typing import TYPE_CHECKING, NamedTuple

from artifact_pipeline.errors import ArtifactRejected, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.artifact.manifest import Manifest

_PLACE = "parameters.npz"
_NAMES = ("coef", "intercept", "classes", "iterations")
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_ZIP64 = struct.Struct("<HHQQ")
_IN_ZIP64 = 0xFFFFFFFF
"""As a size: it stands in the ZIP64 field, which `numpy.savez` always writes."""
_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '<(f8|i8|U[1-9]\d{0,2})', 'fortran_order': False, "
    rb"'shape': \((|\d{1,10},|\d{1,10}, \d{1,10})\), \} *\n"
)
"""What NumPy writes for float64, int64 and text, of at most two axes; objects (`|O`) would need a pickle."""


class _Array(NamedTuple):
    """One array: its type (`f8`, `i8` or `U` with the most characters of a text), its shape, and its bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    def labels(self) -> list[int] | list[str]:
        """The values of an array of whole numbers or of texts.

        Raises:
            ValueError: a text holds what is no character.
        """
        if self.dtype == "i8":
            return list(struct.unpack(f"<{len(self.data) // 8}q", self.data))
        width = 4 * int(self.dtype[1:])
        texts = (self.data[at : at + width].decode("utf-32-le") for at in range(0, len(self.data), width))
        return [text.rstrip("\0") for text in texts]


class _Member(NamedTuple):
    """One member of the archive: its array's name, its bytes, where these end, and the directory's next entry."""

    name: str
    data: bytes
    end: int
    next_entry: int


def parse_parameters(data: bytes) -> dict[str, _Array]:
    """The arrays of `parameters.npz` by name.

    Raises:
        ArtifactRejected: it is not just the four arrays as `numpy.savez` writes them.
    """
    try:
        return {name: _array(member) for name, member in _members(data)}
    except (ValueError, struct.error) as error:
        message = str(error) if isinstance(error, ValueError) else "ends within a header"
        problem = Problem(_PLACE, "parameters-invalid", f"not what numpy.savez writes: {message}")
        raise ArtifactRejected(f"{_PLACE} is not valid", problems=[problem]) from None


def parameter_problems(manifest: Manifest, data: bytes) -> Iterator[Problem]:
    """Yield where the arrays are not those of this manifest's model.

    Raises:
        ArtifactRejected: as `parse_parameters`.
    """
    arrays, model = parse_parameters(data), manifest.model
    rows = len(model.classes) if len(model.classes) > 2 else 1
    for name, shape in (("coef", (rows, len(model.inputs))), ("intercept", (rows,))):
        if (arrays[name].dtype, arrays[name].shape) != ("f8", shape):
            yield _wrong(name, arrays[name], f"float64 of shape {shape}")
    classes, iterations = arrays["classes"], arrays["iterations"]
    kinds = "U" if isinstance(model.classes[0], str) else "i8"
    if not classes.dtype.startswith(kinds) or classes.shape != (len(model.classes),):
        yield _wrong("classes", classes, f"the {len(model.classes):,} classes")
    elif not _are(classes, model.classes):
        yield Problem(_PLACE, "parameters-classes", "has other classes than the manifest")
    if iterations.dtype != "i8" or len(iterations.shape) != 1 or not 0 < iterations.shape[0] <= len(model.classes):
        yield _wrong("iterations", iterations, "int64, one number or one for each class")
    elif max(iterations.labels()) != model.iterations:
        yield Problem(_PLACE, "parameters-iterations", f"not the {model.iterations:,} iterations of the manifest")


def _wrong(name: str, found: _Array, wanted: str) -> Problem:
    return Problem(_PLACE, "parameters-shape", f"{name} is {found.dtype} of shape {found.shape}, not {wanted}")


def _are(found: _Array, classes: tuple[int | str, ...]) -> bool:
    try:
        return found.labels() == list(classes)
    except ValueError:
        return False


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The members of the archive, which must fill it without a gap."""
    sign, disk, first, here, count, size, central, comment = _END.unpack(data[-_END.size :])
    whole = sign == b"PK\5\6" and central + size + _END.size == len(data)
    if not whole or (disk, first, comment) != (0, 0, 0) or not here == count == len(_NAMES):
        raise ValueError(f"no ZIP of {len(_NAMES)} arrays")
    place, entry, missing = 0, central, set(_NAMES)
    for _ in range(count):
        found = _member(data, place, entry)
        if found.name not in missing:
            raise ValueError(f"the arrays must be {', '.join(_NAMES)}, each once")
        missing.remove(found.name)
        yield found.name, found.data
        place, entry = found.end, found.next_entry
    if place != central or entry != central + size:
        raise ValueError("there is something beside the arrays")


def _member(data: bytes, place: int, entry: int) -> _Member:
    """Read the member whose own header is at `place`, and whose entry in the directory is at `entry`."""
    sign, _, _, flags, method, _, _, check, packed, size, length, extra, comment, disk, _, _, where = (
        _CENTRAL.unpack_from(data, entry)
    )
    if (sign, flags, method, packed) != (b"PK\1\2", 0, 0, size) or (extra, comment, disk, where) != (0, 0, 0, place):
        raise ValueError("an array is packed, encrypted, or not in its place")
    name_at, next_entry = entry + _CENTRAL.size, entry + _CENTRAL.size + length
    name = data[name_at:next_entry]
    start = _start(data, place, name, check=check, size=size)
    member = data[start : start + size]
    if len(member) != size or crc32(member) != check:
        raise ValueError("an array's checksum does not fit")
    if not name.endswith(b".npy"):
        raise ValueError("a member is no array")
    return _Member(name[:-4].decode("ascii", "replace"), member, start + size, next_entry)


def _start(data: bytes, place: int, name: bytes, *, check: int, size: int) -> int:
    """Where a member's bytes begin; its own header must say what the directory says."""
    sign, _, flags, method, _, _, own_check, packed, own_size, length, extra = _LOCAL.unpack_from(data, place)
    name_at = place + _LOCAL.size
    start: int = name_at + length + extra
    field = data[name_at + length : start]
    in_field = field == _ZIP64.pack(1, 16, size, size)
    sizes = (packed, own_size) == (size, size) or (in_field and packed == own_size == _IN_ZIP64)
    header = (sign, flags, method, own_check, data[name_at : name_at + length])
    if header != (b"PK\3\4", 0, 0, check, name) or not sizes or not (in_field or not extra):
        raise ValueError("an array's two headers differ")
    return start


def _array(member: bytes) -> _Array:
    """Read an array in NumPy's format 1.0; its header is compared with a pattern, and never evaluated."""
    start = len(_MAGIC) + 2
    length = int.from_bytes(member[len(_MAGIC) : start], "little")
    match = _HEADER.fullmatch(member[start : start + length])
    if not member.startswith(_MAGIC) or match is None:
        raise ValueError("a member is no array of float64, int64 or text")
    dtype = match[1].decode()
    shape = tuple(int(each) for each in match[2].decode().split(",") if each)
    width = 4 * int(dtype[1:]) if dtype.startswith("U") else 8
    data = member[start + length :]
    if len(data) != width * math.prod(shape):
        raise ValueError("an array has not as many bytes as its header says")
    return _Array(dtype, shape, data)
