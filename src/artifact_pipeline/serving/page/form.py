"""The panel that fits any model: a form of its columns."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from artifact_pipeline.serving.http import Route
from artifact_pipeline.serving.page.panel import Panel
from artifact_pipeline.serving.page.row import answer_row
from artifact_pipeline.serving.page.sample import has_sample, sample
from artifact_pipeline.serving.page.typical import control, typical_row

if TYPE_CHECKING:
    from artifact_pipeline.serving.model import Served


def panel() -> Panel:
    """Return the panel."""
    assert __package__ is not None
    return Panel(
        name="form",
        folder=files(__package__) / "static",
        title="Ask the model",
        subtitle="Change a value: the answer moves, and you see which columns spoke for it.",
        drop="Drop a CSV",
        accept=".csv,text/csv",
        fits=lambda _: True,
        about=_about,
        routes={
            "/page/row": Route("page", answer_row, large=True, method="POST"),
            "/page/sample.csv": Route("page", lambda served, _: sample(served)),
        },
    )


def _about(served: Served) -> dict[str, Any]:
    columns = served.verified.manifest.model.columns
    each = zip(served.reference.features, columns, typical_row(served), strict=True)
    return {"columns": [control(*about) for about in each], "sample": has_sample(columns)}
