"""What `train` would do: the plan of a dry run, and what has changed since the artifact in charge was made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from artifact_pipeline.files import shown

if TYPE_CHECKING:
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.training.request import Request
    from artifact_pipeline.training.result import Plan
    from artifact_pipeline.training.unchanged import Look


def say_plan(output: Output, request: Request, plan: Plan) -> None:
    """What would be trained and written, and beside it what has changed where that was asked."""
    from artifact_pipeline.cli.columns import plain_columns
    from artifact_pipeline.cli.views import dotted
    from artifact_pipeline.config import recipe

    assert request.export is not None
    resolved, store = recipe(plan.config), shown(plan.store)
    artifact, export = shown(request.artifact), shown(request.export)
    for key, value in dotted(resolved).items():
        output.say(f"{key}: {json.dumps(value, ensure_ascii=False)}")
    output.say(f"would write: {artifact}, {store}/<digest>/, {export}")
    output.next("the same command without --dry-run")
    written = {"artifact": artifact, "store": store, "export": export}
    changes = {} if plan.look is None else plain_look(plan.look)
    output.result({"recipe": resolved, "would_write": written, **plain_columns(plan.columns), **changes})


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
