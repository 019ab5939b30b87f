"""What the page is told of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from artifact_pipeline.artifact.figures import HeldOut
    from artifact_pipeline.serving.model import Served
    from artifact_pipeline.serving.page.panel import Panel


def describe(served: Served, panel: Panel, *, max_body: int) -> dict[str, Any]:
    """Return what the page is told: which model it is, what was measured of it, and what its panel must know.

    Args:
        served: the model.
        panel: its panel.
        max_body: bytes of a file at most.
    """
    manifest = served.verified.manifest
    return {
        "name": served.name,
        "digest": served.verified.digest,
        "model": manifest.model.digest,
        "gate": manifest.gate.verdict if manifest.gate else "missing",
        "rules": manifest.gate.rules if manifest.gate else (),
        "labels": served.labels,
        "target": manifest.data.target,
        "answers": served.predictor.kind,
        "max_body": max_body,
        "held_out": _measured(manifest.metrics.held_out),
        "panel": panel.name,
        **panel.about(served),
    }


def _measured(held_out: HeldOut) -> dict[str, Any]:
    return {
        "rows": held_out.rows,
        "accuracy": held_out.accuracy,
        "f1": held_out.f1_weighted,
        "confusion": held_out.confusion,
    }
