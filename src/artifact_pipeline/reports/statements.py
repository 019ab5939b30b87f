"""What several reports say of a manifest, whichever format it has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET

from artifact_pipeline.artifact.about import KEY
from artifact_pipeline.artifact.manifest1 import Manifest1
from artifact_pipeline.canonical import dotted

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Manifest


class Stated(NamedTuple):
    """One figure of the held-out rows.

    Attributes:
        name: as the registry of metrics has it.
        low: the lower end of its 95 % interval; None where it has none.
        high: the upper end.
        label: the class that it is about; None where it is about all.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    label: int | str | None = None


def held_out_figures(manifest: Manifest, *, by_class: bool = False) -> list[Stated]:
    """Return the figures of the held-out rows, of all classes together, or of each one."""
    found = _of_format_1(manifest) if isinstance(manifest, Manifest1) else _of_format_2(manifest)
    return [each for each in found if (each.label is not None) == by_class]


def verdict_of(manifest: Manifest) -> str:
    """Return the gate's verdict, `passed` or `failed`, or else `missing`."""
    return manifest.gate.verdict if manifest.gate else "missing"


def _of_format_1(manifest: Manifest1) -> list[Stated]:
    held_out = manifest.metrics.held_out
    estimates = {"accuracy": held_out.accuracy, "f1_weighted": held_out.f1_weighted}
    found = [Stated(name, each.value, each.low, each.high) for name, each in estimates.items()]
    found.append(Stated("f1_macro", held_out.f1_macro))
    if held_out.log_loss is not None:
        found.append(Stated("log_loss", held_out.log_loss))
    return found + [
        Stated(name, getattr(each, name), label=each.label)
        for name in ("precision", "recall", "f1")
        for each in held_out.classes
    ]


def _of_format_2(manifest: Manifest) -> list[Stated]:
    assert not isinstance(manifest, Manifest1)
    return [
        Stated(
            each.name,
            each.value,
            None if each.low is UNSET else each.low,
            None if each.high is UNSET else each.high,
            None if each.label is UNSET else each.label,
        )
        for each in manifest.metrics.figures
        if each.rows == "held_out"
    ]


def recipe_of(manifest: Manifest) -> dict[str, Any]:
    """Return the recipe by dotted names, without what people say of the model."""
    return dotted({key: value for key, value in manifest.recipe.items() if key != KEY})


def text_of(value: object) -> str:
    """Return a value of a recipe as text: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
