"""Files of parameters that an artifact must not hold, each by its name and with the rule that it breaks."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from pickles import MALICIOUS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD: dict[str, Any] = {
    "coef": np.arange(640.0).reshape(10, 64),
    "intercept": np.zeros(10),
    "classes": np.arange(10),
    "iterations": np.array([155]),
}
"""Arrays of the shapes that the digits' model has."""


def savez(**changes: Any) -> bytes:
    """What NumPy writes of the good arrays with some of them changed; None leaves one out."""
    file = io.BytesIO()
    np.savez(file, **{name: array for name, array in {**GOOD, **changes}.items() if array is not None})
    return file.getvalue()


def npy(array: Any) -> bytes:
    """One array in NumPy's format."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array))
    return file.getvalue()


def zipped(compression: int = zipfile.ZIP_STORED, **changes: bytes) -> bytes:
    """An archive of the good arrays, some with other bytes, written by Python."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in {**{name: npy(array) for name, array in GOOD.items()}, **changes}.items():
            archive.writestr(f"{name}.npy", data)
    return file.getvalue()


def header(text: str, data: bytes = b"") -> bytes:
    """An array with a header that says what it likes."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + text.ljust(117).encode() + b"\n" + data


def described(descr: str, shape: str = "(10,)", *, fortran: bool = False) -> bytes:
    """An array of 80 bytes that says of itself what it likes."""
    return header(f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}", bytes(80))


def _patched(at: int, new: bytes, *, of: bytes = b"PK\1\2") -> bytes:
    """The good file with some bytes of its first header of a kind changed."""
    data = bytearray(savez())
    place = data.index(of) + at
    data[place : place + len(new)] = new
    return bytes(data)


def _behind(data: bytes) -> bytes:
    """Bytes between the arrays and the directory, which no reader of ZIP looks at."""
    good = savez()
    at = good.index(b"PK\1\2")
    end = bytearray(good[-22:])
    end[16:20] = struct.pack("<I", at + len(data))
    return good[:at] + data + good[at:-22] + bytes(end)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty file": lambda: b"",
    "one byte": lambda: b"P",
    "empty archive": lambda: b"PK\5\6" + bytes(18),
    "NPY and no archive": lambda: npy(GOOD["coef"]),
    "packed arrays": lambda: zipped(zipfile.ZIP_DEFLATED),
    "array missing": lambda: savez(iterations=None),
    "array more": lambda: savez(code=np.zeros(1)),
    "array of another name": lambda: savez(iterations=None, n_iter=GOOD["iterations"]),
    "member that is no array": lambda: savez().replace(b"coef.npy", b"coef.pkl"),
    "array twice": lambda: savez(iterations=None, class3s=GOOD["classes"]).replace(b"class3s", b"classes"),
    "array of objects": lambda: savez(classes=np.array([None] * 10, dtype=object)),
    "object in a header alone": lambda: zipped(classes=described("|O")),
    "structured array": lambda: savez(classes=np.zeros(10, dtype=[("a", "i8")])),
    "float32": lambda: savez(coef=GOOD["coef"].astype("f4")),
    "int32": lambda: savez(classes=GOOD["classes"].astype("i4")),
    "other order of bytes": lambda: savez(coef=GOOD["coef"].astype(">f8")),
    "bytes for texts": lambda: savez(classes=np.array([b"a"] * 10)),
    "texts of no characters": lambda: zipped(classes=described("<U0")),
    "texts of a thousand characters": lambda: zipped(classes=described("<U1000")),
    "times": lambda: savez(classes=np.zeros(10, dtype="M8[s]")),
    "Fortran's order": lambda: savez(coef=np.asfortranarray(GOOD["coef"])),
    "three axes": lambda: savez(coef=GOOD["coef"].reshape(10, 8, 8)),
    "more rows than bytes": lambda: zipped(coef=described("<f8", "(99999999999, 64)")),
    "rows that overflow": lambda: zipped(coef=described("<f8", "(4294967296, 4294967296)")),
    "row less than bytes": lambda: zipped(intercept=described("<f8", "(9,)")),
    "negative rows": lambda: zipped(intercept=described("<f8", "(-10,)")),
    "array without its data": lambda: zipped(coef=npy(GOOD["coef"])[:-1]),
    "array and more": lambda: zipped(coef=npy(GOOD["coef"]) + b"\0"),
    "array without bytes": lambda: zipped(coef=b""),
    "header that is code": lambda: zipped(coef=header("__import__('os').system('true')")),
    "header nested without end": lambda: zipped(coef=header("(" * 110)),
    "header of another version": lambda: zipped(coef=b"\x93NUMPY\x02\x00" + npy(GOOD["coef"])[8:]),
    "script before the archive": lambda: b"#!/bin/sh\ntrue\n" + savez(),
    "pickle before the directory": lambda: _behind(b"cos\nsystem\n(S'true'\ntR."),
    "byte after the archive": lambda: savez() + b"\0",
    "comment of the archive": lambda: savez()[:-2] + b"\1\0c",
    "encrypted": lambda: _patched(8, b"\1"),
    "checksum": lambda: _patched(16, b"\0\0\0\0"),
    "name that differs in the directory": lambda: _patched(46, b"COEF"),
    "name that leads out": lambda: _patched(46, b"../x"),
    "place of another member": lambda: _patched(42, b"\1"),
    "other size in the member's own header": lambda: _patched(18, b"\0\0\0\0", of=b"PK\3\4"),
    "other way of packing in the member's own header": lambda: _patched(8, b"\x08", of=b"PK\3\4"),
    "directory beyond the end": lambda: savez()[:-6] + b"\xff\xff\xff\x7f" + savez()[-2:],
    "cut off": lambda: savez()[:-100],
}
"""Broken in form: `parameters-invalid`."""

OTHERS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "coefficients of a class less": ("parameters-shape", lambda: savez(coef=GOOD["coef"][:9])),
    "coefficients of a feature more": ("parameters-shape", lambda: savez(coef=np.zeros((10, 65)))),
    "coefficients turned around": ("parameters-shape", lambda: savez(coef=np.zeros((64, 10)))),
    "coefficients in whole numbers": ("parameters-shape", lambda: savez(coef=np.zeros((10, 64), dtype="i8"))),
    "one intercept": ("parameters-shape", lambda: savez(intercept=np.zeros(1))),
    "classes of another kind": ("parameters-shape", lambda: savez(classes=np.arange(10).astype("U2"))),
    "class less": ("parameters-shape", lambda: savez(classes=np.arange(9))),
    "other classes": ("parameters-classes", lambda: savez(classes=np.arange(1, 11))),
    "other iterations": ("parameters-iterations", lambda: savez(iterations=np.array([156]))),
    "no iterations": ("parameters-shape", lambda: savez(iterations=np.array([], dtype="i8"))),
    "iterations of no axis": ("parameters-shape", lambda: savez(iterations=np.array(155))),
    "iterations in fractions": ("parameters-shape", lambda: savez(iterations=np.array([155.0]))),
}
"""Whole, and of another model."""


def pickles(canary: Path) -> dict[str, bytes]:
    """Pickles, bare and as members of an archive."""
    built = {name: build(canary) for name, build in MALICIOUS.items()}
    return built | {f"{name}, in an archive": zipped(coef=data) for name, data in built.items()}
