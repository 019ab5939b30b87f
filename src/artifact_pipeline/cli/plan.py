"""What `train` would do: the plan of a dry run, and what has changed since the artifact in charge was made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from artifact_pipeline.cli.paths import shown

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.config import Config
    from artifact_pipeline.rows.matrix import Rows
    from artifact_pipeline.training.unchanged import Look


@dataclass(frozen=True, slots=True)
class Places:
    """Where the pointer stands, and the export."""

    artifact: Path
    export: Path


def say_plan(
    output: Output, config: Config, places: Places, *, look: Look | None = None, rows: Rows | None = None
) -> None:
    """What would be trained and written, and beside it what has changed where that was asked."""
    from artifact_pipeline.artifact.pointer import STORE
    from artifact_pipeline.cli.columns import plain_columns
    from artifact_pipeline.cli.views import dotted
    from artifact_pipeline.config import recipe

    resolved, store = recipe(config), places.artifact.parent / STORE
    for key, value in dotted(resolved).items():
        output.say(f"{key}: {json.dumps(value, ensure_ascii=False)}")
    output.say(f"would write: {shown(places.artifact)}, {shown(store)}/<digest>/, {shown(places.export)}")
    output.next("the same command without --dry-run")
    written = {"artifact": shown(places.artifact), "store": shown(store), "export": shown(places.export)}
    changes = {} if look is None else plain_look(look)
    output.result({"recipe": resolved, "would_write": written, **plain_columns(rows), **changes})


def say_changes(output: Output, look: Look) -> None:
    """What has changed since the artifact in charge was made, or why that does not matter."""
    for each in look.changes:
        output.say(f"changed: {each.part}: {each.old or 'not there'} -> {each.new or 'not there'}")
    if look.reason is not None:
        output.say(f"to be trained: {look.reason}")
    elif not look.changes:
        output.say("changed: nothing")


def plain_look(look: Look) -> dict[str, Any]:
    """The same as `--json` prints it."""
    changes = [{"part": each.part, "old": each.old, "new": each.new} for each in look.changes]
    return {"changed": changes, "reason": look.reason}
