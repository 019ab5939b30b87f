"""`artifact-pipeline schema`: the config's JSON Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from artifact_pipeline.cli.options import verb

if TYPE_CHECKING:
    from artifact_pipeline.cli.output import Output


@verb("Print the config's JSON Schema.")
@click.pass_obj
def schema(output: Output) -> None:
    """Print the JSON Schema of the config: every key with its type, bounds and default.

    Name the file in the config's `$schema`, and an editor completes and checks while you type.
    """
    from artifact_pipeline.config import schema_text

    output.print(schema_text())
    output.talk(f"next: {output.typed('artifact-pipeline train --dry-run')}")
