"""Pictures, each of which is converted into a row by the recipe of a data set that comes with the package."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from artifact_pipeline.errors import DataRejected
from artifact_pipeline.plugins import data_set_with
from artifact_pipeline.rows import sources
from artifact_pipeline.rows.batches import Piece, Rejected
from artifact_pipeline.rows.faults import unfit
from artifact_pipeline.rows.formats.opening import Reader
from artifact_pipeline.rows.formats.streams import spooled
from artifact_pipeline.rows.limits import MAX_PICTURE
from artifact_pipeline.storage import places as storage

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Wanted

_ROWS = 256
"""Pictures of a piece."""
_NAME = "image"
"""The column of the pictures' names."""


class PictureReader(Reader):
    """Reads pictures."""

    names: tuple[str, ...] = (_NAME,)

    def __init__(self, source: sources.Source, wanted: Wanted) -> None:
        super().__init__(source.place, wanted)
        self._members, self._read = source.members, 0
        self.total = len(source.members)
        self._listed = hashlib.sha256()
        known = data_set_with(wanted.features)
        if known is None or known.row_of_picture is None:
            raise unfit(source.place, ("not-digits", "a picture becomes a row of the digits, not of this model"))
        self._recipe = known.row_of_picture
        unknown = [name for name in wanted.keep if name != _NAME]
        if unknown:
            raise unfit(source.place, ("column-missing", f"no column {unknown[0]!r}: a picture has {_NAME!r} alone"))

    @classmethod
    @contextmanager
    def open(cls, source: sources.Source, wanted: Wanted, *, digest: bool) -> Iterator[PictureReader]:  # noqa: ARG003 - always
        """Open nothing yet: each picture is opened when it is read."""
        yield cls(source, wanted)

    def done(self) -> float:
        """Return the share of the pictures that has been read, 0 to 1."""
        return self._read / len(self._members)

    def digest(self) -> str:
        """Return the SHA-256 of what `sha256sum` prints for the pictures: a line with digest and name of each."""
        return self._listed.hexdigest()

    def pieces(self, start: int) -> Iterator[Piece]:
        """Read every picture, for the digest, and yield those from `start` on."""
        for first in range(0, len(self._members), _ROWS):
            piece = self._piece(first, self._members[first : first + _ROWS])
            if piece.end > start:
                yield piece

    def _piece(self, first: int, members: tuple[tuple[str, str], ...]) -> Piece:
        import numpy as np
        import pyarrow as pa

        rows, names, broken = [], [], []
        for number, (place, name) in enumerate(members, first):
            found = self._row(number, place, name)
            self._read += 1
            if isinstance(found, Rejected):
                broken.append(found)
            else:
                rows.append(found)
                names.append(name)
        matrix = np.array(rows).reshape(len(rows), len(self.wanted.features))
        columns = [pa.array(column) for column in np.ascontiguousarray(matrix.T)]
        table = pa.RecordBatch.from_arrays([*columns, pa.array(names, pa.string())], [*self.wanted.features, _NAME])
        return Piece(first, len(members), table, broken=tuple(broken))

    def _row(self, number: int, place: str, name: str) -> NDArray[np.float64] | Rejected:
        one = sources.Source(place, name, "image")
        with spooled(one) as path, storage.opened(path) as file:
            data = file.file.read(min(file.size, MAX_PICTURE) + 1)
        self._listed.update(f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode())
        if len(data) > MAX_PICTURE:
            return Rejected(number, "", name, "image-too-large", f"{name} is larger than {MAX_PICTURE:,} bytes", name)
        try:
            return self._recipe(data, place=place)
        except DataRejected as error:
            problem = error.problems[0]
            return Rejected(number, "", name, problem.rule, f"{name}: {problem.message}", name)
