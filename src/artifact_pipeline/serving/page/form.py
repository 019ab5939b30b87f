"""The panel of any model: a form of its columns."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from artifact_pipeline.serving.page.panel import Panel

if TYPE_CHECKING:
    from artifact_pipeline.serving.model import Served


def panel() -> Panel:
    """Return the panel."""
    assert __package__ is not None
    return Panel(
        name="form",
        folder=files(__package__) / "static",
        title="Ask the model",
        subtitle="Drop a table, and the model answers each row.",
        drop="Drop a CSV",
        accept=".csv,text/csv",
        fits=lambda _: True,
        about=_about,
    )


def _about(served: Served) -> dict[str, Any]:
    return {"features": [column.name for column in served.verified.manifest.model.inputs]}
