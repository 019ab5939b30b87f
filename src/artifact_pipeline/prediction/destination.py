"""Where predictions go: a file, a folder of parts, standard output; here or in an object store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from artifact_pipeline.errors import ConfigError
from artifact_pipeline.prediction.receipt import SUFFIX
from artifact_pipeline.rows.sources import readable
from artifact_pipeline.storage import places as storage
from artifact_pipeline.storage.outputs import Place

if TYPE_CHECKING:
    Form = Literal["parquet", "csv", "jsonl"]

_SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
STDOUT = "-"
_OPTION = "--output"
PIECES = "_rejected"
"""The folder, below that of the parts, where each part's bad rows wait to be joined."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where predictions go.

    Attributes:
        place: a path or URL; a folder's without a slash at its end; `-` for standard output.
        form: the format.
        folder: whether it is a folder of parts.
        receipt: where the receipt goes, or None.
    """

    place: str
    form: Form
    folder: bool
    receipt: str | None

    @classmethod
    def of(cls, output: str, *, to: str | None = None, receipt: str | None = None) -> Destination:
        """Parse the name of an output.

        Args:
            output: a file, a folder (with a slash at its end, or there already), a URL, or `-`.
            to: the format; None takes that of the name, or Parquet for a folder and CSV for standard output.
            receipt: where the receipt goes; None puts it beside the output.

        Raises:
            ConfigError: the name ends like no format, or is that of a bucket.
        """
        if output == STDOUT:
            return cls(output, cast("Form", to or "csv"), folder=False, receipt=receipt)
        suffix = Path(output).suffix.lower()
        url = storage.is_url(output)
        folder = output.endswith("/") or (suffix not in _SUFFIXES and to is None if url else Path(output).is_dir())
        place = output.rstrip("/") if folder else output
        if url and "/" not in place.partition("://")[2]:
            raise ConfigError(
                f"--output: {output!r} is a whole bucket", hint=f"name a folder in it: {place}/predictions/"
            )
        form = to or ("parquet" if folder else _SUFFIXES.get(suffix))
        if form is None:
            hint = "or say it with --to, or end the name with / for a folder of parts"
            raise ConfigError(f"--output: {output!r} must end with one of {', '.join(_SUFFIXES)}", hint=hint)
        return cls(place, cast("Form", form), folder=folder, receipt=receipt or f"{place}{SUFFIX}")

    @property
    def name(self) -> str:
        """The last part of the place."""
        return readable(self.place.rsplit("/", 1)[-1])

    @property
    def rejected(self) -> str:
        """Where bad rows go."""
        return f"{self.place}.rejected.jsonl"

    def places(self, *, quarantine: bool) -> list[Place]:
        """Return every place that is written: of the predictions, the receipt, and the bad rows that are set aside."""
        if self.place == STDOUT:
            written = [Place(_OPTION, "standard output", "stream")]
        else:
            written = [Place(_OPTION, self.place, "folder" if self.folder else "file")]
            written += [Place(_OPTION, self.rejected, named=self.place)] if quarantine else []
        if self.receipt == f"{self.place}{SUFFIX}":
            return [*written, Place(_OPTION, self.receipt, named=self.place)]
        return [*written, *([Place("--receipt", self.receipt)] if self.receipt is not None else [])]

    def part(self, source: int, number: int) -> str:
        """Return the name of a part."""
        return f"part-{source:05d}-{number:05d}.{self.form}"

    def inside(self, name: str) -> str:
        """Return the place of a file in the folder."""
        return f"{self.place}/{name}"

    def piece(self, source: int, number: int) -> str:
        """Return the place of a part's bad rows, until all parts are there."""
        return f"{self.place}/{PIECES}/part-{source:05d}-{number:05d}.jsonl"
