"""What several reports say of a manifest, in either format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET

from artifact_pipeline.artifact.about import KEY
from artifact_pipeline.artifact.manifest1 import Manifest1
from artifact_pipeline.canonical import dotted
from artifact_pipeline.rows.matrix import FEEDBACK, HELD_OUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.artifact.manifest import Manifest


class StatedFigure(NamedTuple):
    """One figure of a manifest.

    Attributes:
        rows: `held_out`, `training` or `all`.
        name: as the registry of metrics has it.
        low: the lower end of its 95 % interval; None where it has none.
        high: the upper end.
        label: its class; None where it is a figure of all classes.
    """

    rows: str
    name: str
    value: float
    low: float | None = None
    high: float | None = None
    label: int | str | None = None


def figures_of(manifest: Manifest) -> Iterator[StatedFigure]:
    """Yield all figures of a manifest, those of all classes before those of each one."""
    if isinstance(manifest, Manifest1):
        yield from _of_format_1(manifest)
        return
    for each in manifest.metrics.figures:
        low, high = (None if end is UNSET else end for end in (each.low, each.high))
        yield StatedFigure(each.rows, each.name, each.value, low, high, None if each.label is UNSET else each.label)


def held_out_figures(manifest: Manifest, *, by_class: bool = False) -> list[StatedFigure]:
    """Return the figures of the held-out rows, of all classes together, or of each one."""
    found = (each for each in figures_of(manifest) if each.rows == "held_out")
    return [each for each in found if (each.label is not None) == by_class]


def verdict_of(manifest: Manifest) -> str:
    """Return the gate's verdict, `passed` or `failed`, or else `missing`."""
    return manifest.gate.verdict if manifest.gate else "missing"


def _of_format_1(manifest: Manifest1) -> Iterator[StatedFigure]:
    metrics, held_out = manifest.metrics, manifest.metrics.held_out
    for rows, figures in (("training", metrics.training), ("all", metrics.all)):
        for name in ("accuracy", "f1_weighted", "f1_macro", "log_loss"):
            yield StatedFigure(rows, name, getattr(figures, name))
    for name, each in (("accuracy", held_out.accuracy), ("f1_weighted", held_out.f1_weighted)):
        yield StatedFigure("held_out", name, each.value, each.low, each.high)
    for name in ("f1_macro", "log_loss"):
        yield StatedFigure("held_out", name, getattr(held_out, name))
    for name in ("precision", "recall", "f1"):
        for of_class in held_out.classes:
            yield StatedFigure("held_out", name, getattr(of_class, name), label=of_class.label)


def reproduce_command(manifest: Manifest, *, table: str) -> str | None:
    """Return the command that trains a model again; None where it was trained elsewhere.

    Args:
        manifest: of the model.
        table: what the command calls the table, which a manifest does not name.
    """
    dataset = manifest.recipe.get("dataset")
    if dataset == "packaged":
        return None
    data = f" --data {table}" if isinstance(dataset, dict) else ""
    options = {HELD_OUT: " --held-out HELD_OUT", FEEDBACK: " --with FEEDBACK"}
    return f"artifact-pipeline reproduce artifact{data}" + "".join(
        options.get(each.name, "") for each in manifest.data.sources
    )


def recipe_of(manifest: Manifest) -> dict[str, Any]:
    """Return the recipe by dotted names, without what people say of the model."""
    return dotted({key: value for key, value in manifest.recipe.items() if key != KEY})


def text_of(value: object) -> str:
    """Return a value of a recipe as text: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
