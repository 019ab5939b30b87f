"""A sample CSV with the model's columns: some of its golden rows, which are not the data of a person."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from artifact_pipeline.artifact.manifest2 import WrittenModel
from artifact_pipeline.artifact.selftest import SelfTest
from artifact_pipeline.artifact.selftest2 import GoldenRows
from artifact_pipeline.rows.columns import FORMULA
from artifact_pipeline.serving.http import Refusal, Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from artifact_pipeline.rows.features import Column
    from artifact_pipeline.serving.model import Served

ROWS = 20
_KIND = (b"content-type", b"text/csv; charset=utf-8")


def sample(served: Served) -> Response:
    """Return the first golden rows as a CSV, without those with a text that a spreadsheet would run.

    Raises:
        Refusal: a spreadsheet would run the name of a column.
    """
    columns = served.verified.manifest.model.columns
    if not has_sample(columns):
        raise Refusal(404, "there is no sample: a spreadsheet would run the name of a column")
    rows = [[_text(value, column) for value, column in zip(row, columns, strict=True)] for row in _golden(served)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    writer.writerows([row for row in rows if not any(map(_is_formula, _texts(row, columns)))][:ROWS])
    where = (b"content-disposition", f'attachment; filename="{served.name}-sample.csv"'.encode())
    return Response(200, text.getvalue().encode(), (_KIND, where, (b"x-content-type-options", b"nosniff")))


def has_sample(columns: Sequence[Column]) -> bool:
    """Return whether a spreadsheet would run none of these columns' names."""
    return not any(_is_formula(column.name) for column in columns)


def _golden(served: Served) -> Sequence[Sequence[Any]]:
    data = served.verified.role("selftest")
    if isinstance(served.verified.manifest.model, WrittenModel):
        return GoldenRows.read(data).rows
    return SelfTest.read(data).rows


def _text(value: Any, column: Column) -> str:
    """A value as files have it; a number by the shortest digits that are read back as the same number."""
    if value is None:
        return ""
    if column.kind == "boolean":
        return "true" if value == 1 else "false"
    return value if isinstance(value, str) else repr(value).removesuffix(".0")


def _texts(row: Sequence[str], columns: Sequence[Column]) -> Iterable[str]:
    return (text for text, column in zip(row, columns, strict=True) if column.kind == "category")


def _is_formula(text: str) -> bool:
    return text.startswith(tuple(FORMULA))
